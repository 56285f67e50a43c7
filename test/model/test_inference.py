"""Model folders at run time: engines, providers, batches, and what cannot be used."""

import json
import shutil
import sys
import time
from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from cmr_ros.errors import InputError
from cmr_ros.model.inference import HandNetwork, load_network
from cmr_ros.model.onnxruntime_engine import _limited
from cmr_ros.network.build import build
from cmr_ros.network.compact import compacted
from cmr_ros.network.config import preset
from cmr_ros.network.export import card_of, export
from support.networks import sphere_template

SIZE = 64


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Give a small network and its model folder by preset; each is exported once, as it is slow."""

    @cache
    def written(name):
        torch.manual_seed(0)
        config, template = preset(name), sphere_template()
        decoder = replace(config.decoder, latent=32, widths=(16, 16, 8, 8))
        config = replace(config, decoder=decoder, input_size=SIZE)
        net = build(config, template)
        net(torch.rand(4, 3, SIZE, SIZE))  # running statistics that are not the initial ones
        torch.nn.init.normal_(net.nudge.layers[-1].weight, std=0.01)  # one that moves something
        folder = tmp_path_factory.mktemp(name)
        export(net, template, card_of(config, name, template), folder)
        return net.eval(), folder

    return written


@pytest.fixture(scope="module")
def exported(exports):
    """The model folder of the network that is exported fastest."""
    return exports("g_mobile_lite")[1]


@pytest.fixture(scope="module")
def network(exported):
    return load_network(exported)


@pytest.fixture
def folder(exported, tmp_path):
    """A copy of the model folder, to be spoilt."""
    for path in exported.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(1).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)


def change_card(folder, **entries):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_prediction(network, crops):
    prediction = network(crops)
    assert network.input_size == SIZE
    assert prediction.vertices_m.shape == (3, 1026, 3)
    assert prediction.heatmaps.shape == (3, 21, 16, 16)
    assert prediction.silhouettes.shape == (3, 16, 16)
    assert prediction.landmarks_px.shape == (3, 21, 2)
    assert prediction.presence.shape == prediction.handedness.shape == (3,)
    assert 0 <= prediction.heatmaps.min() and prediction.heatmaps.max() <= 1


@pytest.mark.parametrize(
    ("name", "precision"),
    [("g_mobile", "fp32"), ("g_mobile", "compact"), ("g_mobile_lite", "fp32")],
)
def test_onnx_computes_what_torch_computes(exports, crops, tmp_path, name, precision):
    net, folder = exports(name)
    if precision == "compact":  # as `export` makes it of the same graph
        folder = shutil.copytree(folder, tmp_path / "compact")
        path = folder / "model.onnx"
        path.write_bytes(compacted(onnx.load(path)).SerializeToString())
    prediction = load_network(folder, providers=("cpu",))(crops)
    with torch.no_grad():
        recovery = net(torch.from_numpy(crops).permute(0, 3, 1, 2) / 255)
    tolerance = {"fp32": 1e-5, "compact": 2e-3}[precision]
    for ours, theirs in (
        (prediction.vertices_m, recovery.mesh * 0.2),
        (prediction.heatmaps, recovery.heatmaps),
        (prediction.landmarks_px / SIZE, recovery.landmarks),
        (prediction.presence, recovery.presence[:, 0]),
        (prediction.handedness, recovery.handedness[:, 0]),
    ):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=tolerance)


def test_a_batch_is_its_crops(network, crops):
    together = network(crops)
    for index in range(3):
        alone = network(crops[index : index + 1])
        np.testing.assert_allclose(together.vertices_m[index], alone.vertices_m[0], atol=1e-5)
        np.testing.assert_allclose(together.heatmaps[index], alone.heatmaps[0], atol=1e-5)


def test_engines_agree(exported, network, crops):
    first = network(crops)
    second = load_network(exported, "torch")(crops)
    np.testing.assert_allclose(first.vertices_m, second.vertices_m, atol=1e-5)
    np.testing.assert_allclose(first.heatmaps, second.heatmaps, atol=1e-5)
    np.testing.assert_allclose(first.silhouettes, second.silhouettes, atol=1e-5)
    np.testing.assert_allclose(first.landmarks_px, second.landmarks_px, atol=1e-3)


def test_colours_are_normalised_as_the_card_says(exported, folder, crops):
    change_card(folder, mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5])
    images = load_network(folder).normalised(crops)
    np.testing.assert_allclose(images, crops.transpose(0, 3, 1, 2) / 127.5 - 1, atol=1e-6)
    assert images.dtype == np.float32


def test_says_who_serves_and_why_another_does_not(exported):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has a CUDA provider")
    network = load_network(exported, providers=("tensorrt", "cuda", "cpu"))
    assert network.serving == (
        "onnxruntime on cpu; tensorrt: not part of the installed onnxruntime; "
        "cuda: not part of the installed onnxruntime"
    )
    assert load_network(exported, half=True).serving.endswith(
        "half: cpu computes in the precision of the file"
    )
    with pytest.raises(InputError, match="none of the providers works .*add 'cpu'"):
        load_network(exported, providers=("cuda",))


def test_a_provider_that_fails_at_the_start_is_passed_over(exported, monkeypatch):
    """The library is there, the device is not: onnxruntime says so only when a session opens."""
    import onnxruntime

    monkeypatch.setattr(
        onnxruntime,
        "get_available_providers",
        lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
    )
    serving = load_network(exported, providers=("cuda", "cpu")).serving
    assert serving.startswith("onnxruntime on cpu; cuda: ")


def test_missing_libraries_are_one_sentence_with_the_remedy(exported, monkeypatch):
    import onnxruntime

    from cmr_ros.model import onnxruntime_engine

    def fails(path, threads=1, providers=()):
        if providers and providers[0][0] == "TensorrtExecutionProvider":
            raise InputError(
                f"{path}: onnxruntime cannot load it (/src/state.cc:729 RegisterTensorRT Please "
                "install TensorRT libraries as mentioned in the GPU requirements page, make sure "
                "they're in the PATH or LD_LIBRARY_PATH, and that your GPU is supported.)"
            )
        return open_session(path, threads)

    open_session = onnxruntime_engine.open_session
    monkeypatch.setattr(onnxruntime_engine, "open_session", fails)
    monkeypatch.setattr(
        onnxruntime,
        "get_available_providers",
        lambda: ["TensorrtExecutionProvider", "CPUExecutionProvider"],
    )
    assert load_network(exported, providers=("tensorrt", "cpu")).serving == (
        "onnxruntime on cpu; tensorrt: NVIDIA TensorRT does not load; install it where "
        "LD_LIBRARY_PATH finds it"
    )


@pytest.fixture
def recording_on_cpu(monkeypatch):
    """Have the CPU do all that is done to record on a GPU, but for the recording itself."""
    from cmr_ros.model import onnxruntime_engine

    monkeypatch.setattr(onnxruntime_engine, "_RECORDED", ("cpu", "cpu", {}))


def test_what_is_recorded_answers_as_a_run(exported, network, recording_on_cpu):
    recorded = load_network(exported, providers=("cpu",))
    assert recorded.serving == "onnxruntime on cpu"
    kept = []
    for seed, count in enumerate((1, 2, 1, 2)):
        images = np.random.default_rng(seed).random((count, 3, SIZE, SIZE), np.float32)
        before = images.copy()
        kept.append((recorded.engine(images), network.engine(images)))
        np.testing.assert_array_equal(images, before)
    assert len(recorded.engine._recordings) == 2
    for found, expected in kept:  # later answers are written elsewhere
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_recorded_is_run_and_told(exported, network, recording_on_cpu, monkeypatch):
    from cmr_ros.model.recording import Recording

    def replays_something_else(self, images):
        return [values + 0.1 for values in replays(self, images)]

    replays = Recording.__call__
    monkeypatch.setattr(Recording, "__call__", replays_something_else)
    images = np.random.default_rng(0).random((1, 3, SIZE, SIZE), np.float32)
    run = load_network(exported, providers=("cpu",), batch_sizes=())
    for _ in range(2):
        found = run.engine(images)
        for name, values in network.engine(images).items():
            np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5)
    assert run.serving == (
        "onnxruntime on cpu; without CUDA graphs: what is replayed is not what was recorded"
    )


def test_torch_says_what_it_runs_on(exported):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    serving = load_network(exported, "torch", half=True).serving
    assert serving == (
        "torch on cpu; cuda: torch finds no device; half: no CUDA device, single precision instead"
    )


def test_run_time_does_not_need_torch(exported):
    import subprocess

    code = (
        "import sys; from cmr_ros.model.inference import load_network; "
        f"load_network({str(exported)!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((1, 32, 32, 3), np.uint8),
        np.zeros((1, 3, SIZE, SIZE), np.uint8),
        np.zeros((SIZE, SIZE, 3), np.uint8),
        np.zeros((0, SIZE, SIZE, 3), np.uint8),
        np.zeros((1, SIZE, SIZE, 3), np.float32),
    ],
)
def test_wrong_crops(network, wrong):
    with pytest.raises(InputError, match="this network takes"):
        network(wrong)


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_weights_that_are_not_finite(folder, engine):
    model = onnx.load(folder / "model.onnx")
    weight = next(
        tensor for tensor in model.graph.initializer if tensor.name.endswith("de_layers.0.bias")
    )
    values = onnx.numpy_helper.to_array(weight).copy()
    values[0] = np.nan
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(InputError, match="'vertices' is not finite or far too large"):
        load_network(folder, engine)


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_network_of_another_template(folder, engine):
    template = sphere_template()
    _, *vertices = template.vertices
    other = replace(
        template,
        vertices=tuple(vertices),
        faces=template.faces[1:],
        spirals=template.spirals[1:],
        up=template.up[1:],
        down=template.down[1:],
        joint_regressor=np.eye(21, len(vertices[0]), dtype=np.float32),
    )
    other.save(folder / "template.npz")
    with pytest.raises(InputError, match="one export|one width a matrix"):
        load_network(folder, engine)


def test_template_of_another_name(folder):
    change_card(folder, template_name="mano_right")
    with pytest.raises(InputError, match="is for the template 'mano_right'"):
        load_network(folder)


def test_card_of_another_size(folder):
    change_card(folder, input_size=96)
    with pytest.raises(InputError, match="does not run on"):
        load_network(folder)


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
@pytest.mark.parametrize("content", [b"", b"no network at all", None])
def test_files_that_are_no_network(folder, engine, content):
    path = folder / "model.onnx"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="model.onnx"):
        load_network(folder, engine)


def test_network_without_an_output(folder):
    model = onnx.load(folder / "model.onnx")
    del model.graph.output[1]
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(InputError, match="no output 'heatmaps'"):
        load_network(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a readable JSON file"),
        ("[]", "not the card of a model"),
        ("{}", "missing entry 'name'"),
        ('{"name": 1, "variant": 2, "template_name": 3, "colour": 4}', "unknown entry 'colour'"),
    ],
)
def test_wrong_cards(folder, content, message):
    (folder / "model.json").write_text(content)
    with pytest.raises(InputError, match=message):
        load_network(folder)


@pytest.mark.parametrize(
    "entry",
    [
        {"crop": "round"},
        {"mean": 3},
        {"input_size": 0},
        {"scale_m": -1},
        {"new_hand_score": 1.0},
        {"std": [1, 0, 1]},
        {"mean": [0, 0]},
    ],
)
def test_wrong_entries_of_a_card(folder, entry):
    change_card(folder, **entry)
    with pytest.raises(InputError, match=f"entry '{next(iter(entry))}' is"):
        load_network(folder)


def test_unknown_engine_and_provider(exported):
    with pytest.raises(InputError, match="no engine 'caffe'"):
        load_network(exported, "caffe")
    with pytest.raises(InputError, match="no provider 'tpu'"):
        load_network(exported, providers=("tpu",))


class Answering:
    """An engine that answers as told, from the given call on."""

    serving = "a test"

    def __init__(self, network, change, first_call=0):
        self._engine, self._change, self._left = network.engine, change, first_call

    def __call__(self, images):
        outputs = self._engine(images)
        self._left -= 1
        return self._change(outputs) if self._left < 0 else outputs


def fail(outputs):
    raise RuntimeError("out of order")


@pytest.mark.parametrize("first_call", [0, 1])
@pytest.mark.parametrize(
    "change",
    [
        fail,
        lambda outputs: {name: one for name, one in outputs.items() if name != "heatmaps"},
        lambda outputs: {name: one for name, one in outputs.items() if name != "presence"},
        lambda outputs: outputs | {"vertices": outputs["vertices"][:, :5]},
        lambda outputs: outputs | {"heatmaps": outputs["heatmaps"][..., 0]},
        lambda outputs: outputs | {"heatmaps": outputs["heatmaps"][..., :0, :0]},
        lambda outputs: outputs | {"silhouette": outputs["silhouette"][..., :3]},
        lambda outputs: outputs | {"landmarks": outputs["landmarks"] * np.nan},
        lambda outputs: outputs | {"vertices": outputs["vertices"] + np.float32(1e30)},
        lambda outputs: outputs | {"vertices": outputs["vertices"].astype(str)},
    ],
)
def test_what_was_not_promised_is_one_error_at_the_start_and_later(
    network, crops, change, first_call
):
    engine = Answering(network, change, first_call)
    other = HandNetwork(engine, network.template, network.card, "the model")
    if first_call:
        other.warm_up([1])
    with pytest.raises(InputError, match="the model: "):
        other(crops)


def test_a_graph_that_loops_for_ever_is_stopped(folder, monkeypatch):
    monkeypatch.setattr("cmr_ros.model.onnxruntime_engine._LONGEST_RUN_S", 1.0)
    path = folder / "model.onnx"
    model = onnx.load(path)
    kind, helper = onnx.TensorProto, onnx.helper
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_on"], ["go_on_2"]),
         helper.make_node("Add", ["sum", "one"], ["sum_2"])],
        "body",
        [helper.make_tensor_value_info("trip", kind.INT64, []),
         helper.make_tensor_value_info("go_on", kind.BOOL, []),
         helper.make_tensor_value_info("sum", kind.FLOAT, [])],
        [helper.make_tensor_value_info("go_on_2", kind.BOOL, []),
         helper.make_tensor_value_info("sum_2", kind.FLOAT, [])],
        [helper.make_tensor("one", kind.FLOAT, [], [1.0])],
    )  # fmt: skip
    graph = model.graph
    graph.initializer.extend([
        helper.make_tensor("trips", kind.INT64, [], [1 << 62]),
        helper.make_tensor("always", kind.BOOL, [], [True]),
    ])  # fmt: skip
    graph.node.extend([
        helper.make_node("ReduceMax", ["image"], ["start"], keepdims=0),
        helper.make_node("Loop", ["trips", "always", "start"], ["endless"], body=body),
    ])  # fmt: skip
    graph.output.append(helper.make_tensor_value_info("endless", kind.FLOAT, []))
    onnx.save(model, path)
    with pytest.raises(InputError, match="no answer within 1 s"):
        load_network(folder, providers=("cpu",))


def test_a_run_that_waits_for_the_processor_is_not_stopped(monkeypatch):
    monkeypatch.setattr("cmr_ros.model.onnxruntime_engine._LONGEST_RUN_S", 0.2)
    options = onnxruntime.RunOptions()
    with _limited(options):
        time.sleep(0.7)
    assert not options.terminate
