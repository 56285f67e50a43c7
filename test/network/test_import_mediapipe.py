"""Importing MediaPipe's networks; the conversion itself needs tensorflow, tests do without."""

import importlib.util
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cmr_ros.cli import main
from cmr_ros.network.mediapipe import NETWORKS, tidy

HAS_TENSORFLOW = importlib.util.find_spec("tensorflow") is not None


def wheel(tmp_path, names):
    path = tmp_path / "mediapipe.whl"
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, b"")
    return path


@pytest.mark.parametrize("make", ["missing", "empty wheel", "folder", "no wheel"])
def test_sources_without_the_networks_are_refused(tmp_path, capsys, make):
    source = tmp_path / "none.whl"
    if make == "empty wheel":
        source = wheel(tmp_path, ["mediapipe/__init__.py"])
    elif make == "folder":
        source = tmp_path
    elif make == "no wheel":
        source.write_bytes(b"text")
    assert main(["import-mediapipe", str(source), "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "mediapipe 0.10.21" in error and error.count("\n") == 1


@pytest.mark.skipif(HAS_TENSORFLOW, reason="tensorflow is installed")
def test_missing_converters_are_named(tmp_path, capsys):
    source = wheel(tmp_path, [network.path for network in NETWORKS.values()])
    assert main(["import-mediapipe", str(source), "-o", str(tmp_path / "out")]) == 2
    assert "cmr_ros[convert]" in capsys.readouterr().err


def test_converted_graphs_take_any_batch_and_speak_plainly():
    shape = numpy_helper.from_array(np.array([1, -1, 2]), "shape")
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["input_1", "shape"], ["Identity"])],
        "graph",
        [helper.make_tensor_value_info("input_1", TensorProto.FLOAT, [1, 4, 4, 2])],
        [helper.make_tensor_value_info("Identity", TensorProto.FLOAT, [1, 16, 2])],
        [shape],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    tidy(model.graph, ("boxes",))
    onnx.checker.check_model(model)
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    (boxes,) = session.run(["boxes"], {"image": np.ones((3, 4, 4, 2), np.float32)})
    assert boxes.shape == (3, 16, 2)
