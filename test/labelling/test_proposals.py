"""Crops that the finder proposes, and what is known of them."""

import numpy as np
import pytest

from cmr_ros.cli import main
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.labelling.places import ImageHand, seen_of
from cmr_ros.synthesis.shards import Shards

CROP = CropCamera.looking_at(Camera.from_fov(640, 480, 60), Region((200, 200), 100), 224)
JOINTS = np.random.default_rng(0).uniform(-30, 30, (21, 2))


@pytest.mark.parametrize(
    ("hands", "presence", "shown"),
    [
        ([], 0.01, None),
        ([JOINTS + 200], 0.99, 0),
        ([JOINTS + [400, 200]], 0.01, None),
        ([JOINTS + [400, 200], JOINTS + 200], 0.99, 1),
        ([JOINTS + [250, 200]], None, 0),
        ([0.37 * JOINTS + 200], None, 0),
        ([0.2 * JOINTS + 200], 0.01, 0),
        ([5 * JOINTS + 200], 0.01, None),
        ([2.5 * JOINTS + 200], None, 0),
        ([2.5 * JOINTS + 200, 0.8 * JOINTS + 200], 0.99, 1),
    ],
    ids=[
        "none", "here", "elsewhere", "both", "cut off", "too small", "an arm", "a finger",
        "too large", "in another's palm",
    ],
)  # fmt: skip
def test_a_crop_shows_a_hand_that_lies_in_it(hands, presence, shown):
    hands = [ImageHand(joints_px, left=False) for joints_px in hands]
    seen = seen_of(CROP, hands)
    assert seen.presence == pytest.approx(presence)
    assert seen.hand is (None if shown is None else hands[shown])


def test_proposals_are_samples_of_which_presence_and_place_alone_are_known(tmp_path):
    pytest.importorskip("moderngl")

    def made(folder, count):
        command = ["synth", "proposals", "-o", str(folder), "--count", str(count)]
        if main([*command, "--shard-size", "5"]):
            pytest.skip("rendering needs EGL")
        shards = Shards(folder)
        return [shards[index] for index in range(len(shards))]

    samples = made(tmp_path / "a", 20)
    told = [sample.presence and round(sample.presence, 2) for sample in samples]
    assert {0.01, 0.99} <= set(told) <= {0.01, 0.99, None}
    for sample, presence in zip(samples, told, strict=True):
        assert sample.visible.any() or presence == 0.01
        inside = ((sample.joints_px > 0) & (sample.joints_px < 224)).all(axis=1)
        assert not sample.visible.any() or (sample.visible == inside).all()
    assert not any(sample.weights.any() or sample.mask.any() for sample in samples)
    assert all(sample.picture.shape == (224, 224, 3) for sample in samples)
    # A shard is the same whatever came before it.
    again = made(tmp_path / "b", 5)
    for sample, other in zip(samples, again, strict=False):
        np.testing.assert_array_equal(sample.picture, other.picture)
