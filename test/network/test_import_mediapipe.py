"""Importing MediaPipe's networks; the conversion itself needs tensorflow, tests do without."""

import importlib.util
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cmr_ros.cli import main
from cmr_ros.model.weights import find
from cmr_ros.network.mediapipe import NETWORKS, split_prelu, tidy

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
    assert "pip install '.[convert]'" in capsys.readouterr().err


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


def test_prelu_is_split_into_convolutions_with_the_same_answer():
    slope = numpy_helper.from_array(np.array([0.25, -0.5, 1.5], np.float32)[:, None, None], "slope")
    graph = helper.make_graph(
        [helper.make_node("PRelu", ["image", "slope"], ["out"])],
        "graph",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 4, 5])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, 4, 5])],
        [slope],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    split_prelu(model.graph)
    onnx.checker.check_model(model)
    import onnxruntime

    image = np.random.default_rng(0).normal(size=(1, 3, 4, 5)).astype(np.float32)
    (out,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"image": image})
    expected = np.where(image > 0, image, image * numpy_helper.to_array(slope))
    np.testing.assert_allclose(out, expected, atol=1e-6)
    assert not any(node.op_type == "PRelu" for node in model.graph.node)


def test_the_shipped_palm_detector_holds_no_prelu():
    model = onnx.load(find("palm_detection.onnx"))
    assert not any(node.op_type == "PRelu" for node in model.graph.node)
