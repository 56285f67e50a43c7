"""A crop head that is trained by itself, and what it leaves as it was."""

import dataclasses

import numpy as np
import pytest
import torch

from cmr_ros.cli import main
from cmr_ros.errors import InputError
from cmr_ros.model import weights
from cmr_ros.model.inference import load_network
from cmr_ros.network.build import build
from cmr_ros.network.checkpoint import save_checkpoint
from cmr_ros.network.config import NetworkConfig, preset
from cmr_ros.network.crop_head import CropHead, RegionHead
from cmr_ros.network.fixed import fix
from cmr_ros.synthesis.sample import without_truth
from cmr_ros.synthesis.shards import encode_picture, shard_path, write_shard
from cmr_ros.training.crop_head import SeenCrops, describe, fit
from cmr_ros.training.loop import _start_from
from support.networks import sphere_template

SIZE = 224
MATRIX = np.array([[400, 0, 111.5], [0, 400, 111.5], [0, 0, 1.0]])


def crops(count, seed):
    """Discs, which are to be hands, and stripes, which are not, in turn."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[:SIZE, :SIZE]
    pictures, answers = [], []
    for number in range(count):
        x, y = rng.uniform(80, 144, 2)
        disc = np.hypot(across - x, down - y) < rng.uniform(40, 70)
        stripes = (across + int(x)) // 16 % 2 > 0
        shown = (disc, stripes)[number % 2][..., None]
        pictures.append(np.where(shown, rng.integers(150, 255, 3), 40).astype(np.uint8))
        answers.append((0.99, 0.01)[number % 2])
    return pictures, answers


def test_what_is_a_hand_is_learnt_and_all_else_stays(tmp_path, shipped_template, capsys):
    vertices_m = shipped_template.vertices[0] + [0, 0, 0.5]
    joints_m = shipped_template.joints(vertices_m)
    pictures, answers = crops(96, seed=0)
    samples = [
        without_truth(picture, MATRIX, vertices_m, joints_m, answer)
        for picture, answer in zip(pictures, answers, strict=True)
    ]
    write_shard(shard_path(tmp_path / "data", 0), samples, list(map(encode_picture, pictures)), 0)
    model = tmp_path / "taught"
    arguments = ["train-head", str(tmp_path / "data"), "--model", "lite", "-o", str(model)]
    assert main([*arguments, "--epochs", "150", "--channels", "16"]) == 0
    assert capsys.readouterr().out.startswith("12 crops held out; with 0.5 %")

    shown = np.stack(crops(8, seed=1)[0])
    before = load_network(weights.hand_network("lite"), providers=("cpu",))(shown)
    now = load_network(model, providers=("cpu",))(shown)
    assert (now.presence[::2] > 0.6).all() and (now.presence[1::2] < 0.4).all()
    assert not (before.presence[::2] > 0.6).all()
    for name in ("vertices_m", "heatmaps", "silhouettes", "landmarks_px"):
        np.testing.assert_allclose(
            getattr(now, name), getattr(before, name), rtol=1e-3, atol=1e-3, err_msg=name
        )


def test_the_side_of_mirrored_images_is_the_other_one():
    torch.manual_seed(0)
    count = 256
    turned = torch.rand(count) < 0.5
    maps = torch.randn(3, count, 8, 4, 4) / 4
    maps[0, :, 0, :, :2] += 2  # right hands, as they are
    maps[1, ~turned, 0, :, :2] += 2
    maps[1, turned, 0, :, 2:] += 2
    answers, known = torch.full((count, 2), 0.99), torch.ones(count, dtype=torch.bool)
    said, regions = torch.full((2, count, 2), 0.9), torch.zeros(3, count, 6)
    crops = SeenCrops(maps, turned, regions, answers, known, said)
    head = CropHead(8, 16)
    fit(head, crops, epochs=20)
    told = describe(head, crops)
    wrong = turned.float().mean()
    assert f"the right side of {1 - wrong:.3f} of 256" in told.splitlines()[1]
    assert "the right side of 1.000 of 256" in told.splitlines()[2]


@pytest.mark.parametrize("kind", [CropHead, RegionHead])
def test_a_head_stays_as_it_is_unless_it_is_trained(kind):
    head = kind(8, 16).requires_grad_(False).train()
    maps = torch.rand(4, 8, 14, 14)
    first = head(maps)[0]
    torch.testing.assert_close(head(maps)[0], first)
    assert not torch.equal(head.requires_grad_(True).train()(maps)[0], first)


def test_fixed_for_run_time_a_head_answers_as_before():
    heads = {"crop_head": 16, "region_head": 8}
    config = dataclasses.replace(preset("g_mobile_lite"), input_size=64, **heads)
    network = build(config, sphere_template()).eval()
    for head in (network.crop_head, network.region_head):
        head.requires_grad_(True).train()
        head(torch.rand(8, 64, 4, 4))
        head.requires_grad_(False).eval()
    image = torch.rand(2, 3, 64, 64)
    expected = network(image)
    fix(network)
    for name in ("presence", "handedness", "region"):
        torch.testing.assert_close(getattr(network(image), name), getattr(expected, name))


def test_what_cannot_be_is_refused(tmp_path, capsys):
    with pytest.raises(InputError, match="multiple of 8"):
        dataclasses.replace(NetworkConfig(), crop_head=12)
    assert main(["train-head", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "no shard_*.npz here" in capsys.readouterr().err


def test_a_plan_names_the_head_of_what_it_starts_from(tmp_path):
    start = tmp_path / "last.pt"
    state = {"average": {"crop_head.layers.0.weight": torch.zeros(16, 64, 1, 1)}}
    save_checkpoint(start, state)
    for width in (0, 8):
        config = dataclasses.replace(preset("g_mobile_lite"), input_size=64, crop_head=width)
        with pytest.raises(InputError, match="crop_head: 16"):
            _start_from(build(config, sphere_template()), start, ())
