"""The torch engine's half precision, computed here by the CPU, which no node would ask to."""

import numpy as np
import pytest
import torch

from cmr_ros.network.build import build
from cmr_ros.network.config import NetworkConfig, preset
from cmr_ros.network.engine import TorchEngine
from cmr_ros.network.runtime import RuntimeNetwork
from support.networks import sphere_template

SIZE = 64


def runtime(name):
    torch.manual_seed(0)
    values = preset(name).to_dict() | {"input_size": SIZE}
    values["decoder"] |= {"latent": 32, "widths": (16, 16, 8, 8)}
    return RuntimeNetwork(build(NetworkConfig.from_dict(values), sphere_template()))


@pytest.mark.parametrize("name", ["g_mobile", "g_mobile_lite", "sg_resnet18"])
def test_half_precision_is_near_single(name):
    images = np.random.default_rng(0).random((2, 3, SIZE, SIZE), np.float32)
    exact = TorchEngine(runtime(name), "single")(images)
    engine = TorchEngine(runtime(name), "half", half=True)
    rough = engine(images)
    assert exact.keys() == rough.keys()
    for output, values in exact.items():
        assert rough[output].dtype == np.float32
        error = np.linalg.norm(rough[output] - values) / np.linalg.norm(values)
        assert 0 <= error < 5e-3, output
    kinds = [p.dtype for p in engine.runtime.parameters() if p.ndim == 4]
    assert set(kinds) == {torch.float16}, "convolutions keep their weights in half precision"


@pytest.mark.parametrize("name", ["g_mobile", "sg_resnet18"])
def test_the_engine_answers_as_the_network_and_leaves_it_alone(name):
    images = torch.rand(2, 3, SIZE, SIZE)
    given = runtime(name)
    for norm in given.modules():
        if isinstance(norm, torch.nn.modules.batchnorm._BatchNorm):
            norm.running_mean.uniform_(-0.1, 0.1)
            norm.running_var.uniform_(0.5, 2)
    before = {key: values.clone() for key, values in given.state_dict().items()}
    with torch.inference_mode():
        expected = given(images)
    engine = TorchEngine(given, "single")
    found = engine(images.numpy())
    for output, values in expected.items():
        error = np.linalg.norm(found[output] - values.numpy()) / np.linalg.norm(values)
        assert 0 <= error < 1e-5, output
    assert all(torch.equal(values, before[key]) for key, values in given.state_dict().items())
    kinds = {type(part).__name__ for part in engine.runtime.modules()}
    assert not kinds & {"BatchNorm2d", "SpiralConv", "InceptionSpiralModule"}


def test_answers_are_the_callers_own():
    engine = TorchEngine(runtime("g_mobile"), "single")
    first, second = np.random.default_rng(0).random((2, 1, 3, SIZE, SIZE), np.float32)
    before = engine(first)
    kept = {name: values.copy() for name, values in before.items()}
    engine(second)
    for name, values in before.items():
        np.testing.assert_array_equal(values, kept[name])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("half", [False, True])
def test_graphs_answer_as_running_step_by_step(half):
    images = np.random.default_rng(0).random((3, 2, 3, SIZE, SIZE), np.float32)
    graphs = TorchEngine(runtime("g_mobile").to("cuda"), "graphs", half)
    steps = TorchEngine(runtime("g_mobile").to("cuda"), "steps", half, graphs=False)
    for batch in images:
        expected = steps(batch)
        for name, values in graphs(batch).items():
            np.testing.assert_allclose(values, expected[name], atol=5e-3)
