"""What registration takes from a network's prediction."""

import numpy as np
import pytest

from cmr_ros.model.cues import read_cues
from cmr_ros.model.inference import Prediction


def prediction(landmarks_px):
    heatmaps = np.zeros((1, 21, 56, 56), np.float32)
    heatmaps[:, :, 20, 30] = 0.8
    return Prediction(
        np.zeros((1, 5, 3)), heatmaps, np.zeros((1, 56, 56)), np.full((1, 21, 2), landmarks_px)
    )


@pytest.mark.parametrize(
    "joint_cue, x", [("heatmaps", 121.5), ("landmarks", 131.5), ("mean", 126.5)]
)
def test_2d_joints_come_from_where_the_card_says(joint_cue, x):
    (cue,) = read_cues(prediction((131.5, 81.5)), 224, joint_cue)
    np.testing.assert_allclose(cue.joints_px, np.tile([x, 81.5], (21, 1)))
    np.testing.assert_allclose(cue.confidence, 0.8)


def test_disagreement_of_maps_and_landmarks_widens_the_spread():
    close, far = (
        read_cues(prediction((121.5 + d, 81.5)), 224, "mean")[0].spread_px[0] for d in (0, 20)
    )
    assert far == pytest.approx(np.hypot(close, 10))
