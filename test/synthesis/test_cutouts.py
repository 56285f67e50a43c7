"""Cut-outs and where they end up when they are pasted."""

import cv2
import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.hand_model.model import HandModel
from cmr_ros.model.weights import find
from cmr_ros.synthesis.cutouts import Cutout, CutoutGenerator
from cmr_ros.synthesis.pasting import Pose2D, extend_arm, paste


@pytest.fixture(scope="module")
def generator():
    pytest.importorskip("moderngl")
    try:
        return CutoutGenerator(HandModel.load(find("hand_model.npz")), seed=3)
    except InputError as error:
        pytest.skip(f"rendering needs EGL: {error}")


def dots():
    """Return a cut-out that shows nothing but 21 dots where its joints are."""
    joints = np.random.default_rng(0).uniform(60, 260, (21, 2)).round()
    color = np.zeros((320, 320, 4), np.uint8)
    for x, y in joints.astype(int):
        cv2.circle(color, (int(x), int(y)), 8, (255, 255, 255, 255), -1)
    return Cutout(color, joints, np.array([0.0, 1.0]))


def test_cutouts_show_a_hand_on_nothing(generator):
    for index in range(4):
        cutout = generator.sample(index)
        alpha = cutout.color[..., 3]
        last = np.subtract(alpha.shape, 1)
        row, column = np.clip(cutout.joints_px.round().astype(int)[:, ::-1], 0, last).T
        assert (alpha[row, column] > 128).mean() > 0.7
        edges = alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]
        assert all(edge.any() for edge in edges) and (alpha == 0).mean() > 0.1


@pytest.mark.parametrize("extent", [30.0, 60.0, 150.0])
@pytest.mark.parametrize("left", [False, True])
def test_pasted_joints_lie_where_the_picture_shows_them(extent, left):
    picture = np.zeros((400, 400, 3), np.uint8)
    pose = Pose2D(extent, np.array([200.0, 180.0]), turn_rad=0.6, left=left)
    joints = paste(picture, dots(), pose)
    row, column = joints.round().astype(int)[:, ::-1].T
    assert (picture[row, column] > 60).all()
    np.testing.assert_allclose(joints[[0, 1, 2, 5, 9, 13, 17]].mean(axis=0), [200, 180])


def test_the_arm_goes_on_from_where_the_cutout_ends(generator):
    cutout = next(c for c in map(generator.sample, range(50)) if c.elbow_px.any())
    picture = np.zeros((400, 400, 3), np.uint8)
    pose = Pose2D(60.0, np.array([200.0, 100.0]))
    extend_arm(picture, cutout, pose, np.random.default_rng(0))
    row, column = np.nonzero(picture.any(axis=-1))
    away = np.stack([column, row], axis=1) - pose.palm_px
    assert len(away) > 50 and (away @ cutout.elbow_px).max() > 60
