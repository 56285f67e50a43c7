"""Crops that the finder proposes, and what is known of them."""

import numpy as np
import pytest

from cmr_ros.cli import main
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.labelling.proposals import _presence
from cmr_ros.synthesis.scene_kinds import SceneOfKind
from cmr_ros.synthesis.shards import Shards

CROP = CropCamera.looking_at(Camera.from_fov(640, 480, 60), Region((200, 200), 100), 224)
JOINTS = np.random.default_rng(0).uniform(-30, 30, (21, 2))


@pytest.mark.parametrize(
    ("hands", "presence"),
    [
        ([], 0.01),
        ([JOINTS + 200], 0.99),
        ([JOINTS + [400, 200]], 0.01),
        ([JOINTS + [400, 200], JOINTS + 200], 0.99),
        ([JOINTS + [250, 200]], None),
        ([0.2 * JOINTS + 200], None),
        ([5 * JOINTS + 200], 0.01),
        ([2.5 * JOINTS + 200], None),
    ],
    ids=["none", "here", "elsewhere", "both", "cut off", "too small", "a finger", "too large"],
)
def test_a_crop_shows_a_hand_that_lies_in_it(hands, presence):
    scene = SceneOfKind("kind", np.zeros((480, 640, 3), np.uint8), tuple(hands))
    assert _presence(CROP, scene) == pytest.approx(presence)


def test_proposals_are_samples_of_which_presence_alone_is_known(tmp_path):
    pytest.importorskip("moderngl")

    def made(folder, count):
        command = ["synth", "proposals", "-o", str(folder), "--count", str(count)]
        if main([*command, "--shard-size", "5"]):
            pytest.skip("rendering needs EGL")
        shards = Shards(folder)
        return [shards[index] for index in range(len(shards))]

    samples = made(tmp_path / "a", 10)
    assert {round(sample.presence, 2) for sample in samples} == {0.01, 0.99}
    assert not any(sample.weights.any() or sample.mask.any() for sample in samples)
    assert all(sample.picture.shape == (224, 224, 3) for sample in samples)
    # A shard is the same whatever came before it.
    again = made(tmp_path / "b", 5)
    for sample, other in zip(samples, again, strict=False):
        np.testing.assert_array_equal(sample.picture, other.picture)
