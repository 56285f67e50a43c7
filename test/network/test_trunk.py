"""The mobile trunk: its structure, and equality with MediaPipe's network."""

import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cmr_ros.errors import InputError  # noqa: E402
from cmr_ros.network.trunk import (  # noqa: E402
    FULL_WIDTHS,
    LITE_WIDTHS,
    LandmarkHeads,
    MobileTrunk,
    SameConv,
    TrunkChannels,
    load_mediapipe,
)

needs_original = pytest.mark.skipif(
    "CMR_LANDMARKS" not in os.environ,
    reason="CMR_LANDMARKS does not name the folder of landmark_*.onnx (cmr import-mediapipe)",
)
both = pytest.mark.parametrize(
    ("name", "widths"), [("full", FULL_WIDTHS), ("lite", LITE_WIDTHS)], ids=["full", "lite"]
)


def original(name):
    return Path(os.environ["CMR_LANDMARKS"]) / f"landmark_{name}.onnx"


@both
def test_feature_maps_have_the_promised_shapes(name, widths):
    features, channels = MobileTrunk(widths)(torch.rand(2, 3, 64, 64)), TrunkChannels.of(widths)
    for map_, count, factor in zip(features[:5], channels[:5], (2, 4, 8, 16, 32), strict=True):
        assert map_.shape == (2, count, 64 // factor, 64 // factor)
    assert features.pooled.shape == (2, channels.pooled)


@both
def test_trunk_has_as_many_parameters_as_the_original(name, widths):
    # Of the originals' bytes: all of them but the graph itself.
    size = {"full": 10.9e6, "lite": 4.06e6}[name]
    modules = MobileTrunk(widths), LandmarkHeads(widths)
    count = sum(p.numel() for m in modules for p in m.parameters())
    assert count * 4 == pytest.approx(size, rel=0.01)


def test_strided_convolution_pads_less_before_than_after():
    conv = SameConv(1, 1, 5, stride=2)
    torch.nn.init.ones_(conv.weight)
    torch.nn.init.zeros_(conv.bias)
    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, 0, 0] = 1
    # SAME pads 1 before and 2 after: the corner pixel is seen by windows that start at -1 only.
    assert conv(image)[0, 0].nonzero().tolist() == [[0, 0]]
    image = image.flip(2, 3)
    assert conv(image)[0, 0].nonzero().tolist() == [[2, 2], [2, 3], [3, 2], [3, 3]]


def test_gradients_reach_the_stem():
    trunk = MobileTrunk()
    trunk(torch.rand(1, 3, 32, 32)).pooled.sum().backward()
    assert trunk.stem[0].weight.grad.abs().sum() > 0


def _pictures():
    """Return noise, and smooth shapes as a photograph has them, (2, 224, 224, 3) in [0, 1]."""
    rng = np.random.default_rng(0)
    noise = rng.random((224, 224, 3), dtype=np.float32)
    y, x = np.mgrid[:224, :224] / 223
    blob = np.exp(-((x - 0.5) ** 2 + (y - 0.6) ** 2) / 0.05)
    return np.stack([noise, (blob[..., None] * [0.9, 0.7, 0.6]).astype(np.float32)])


@needs_original
@both
def test_trunk_equals_the_original(name, widths):
    import onnxruntime

    images, path = _pictures(), original(name)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"image": images})
    trunk, heads = MobileTrunk(widths), LandmarkHeads(widths)
    for module, state in zip((trunk, heads), load_mediapipe(path), strict=True):
        module.load_state_dict(state)
    with torch.inference_mode():
        found = heads(trunk(torch.from_numpy(images).permute(0, 3, 1, 2)).pooled)
    for name, theirs, ours in zip(found._fields, expected, found, strict=True):
        error = np.abs(ours.flatten(1).numpy() - theirs).max() / np.abs(theirs).max()
        assert error <= 1e-4, name


def test_missing_original_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_mediapipe(tmp_path / "none.onnx")


def test_other_networks_are_refused(tmp_path):
    (tmp_path / "noise.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(InputError, match="not an ONNX file"):
        load_mediapipe(tmp_path / "noise.onnx")
    palm = Path(__file__).parents[2] / "weights" / "palm_detection.onnx"
    with pytest.raises(InputError, match="not one of MediaPipe"):
        load_mediapipe(palm)
