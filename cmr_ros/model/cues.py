"""Turns what a network says of its crops into the 2D cues that registration works with."""

from __future__ import annotations

import numpy as np

from cmr_ros.hand import Cues
from cmr_ros.model.choices import JointCue
from cmr_ros.model.heatmap import decode
from cmr_ros.model.inference import Prediction


def read_cues(prediction: Prediction, size_px: int, joint_cue: JointCue) -> list[Cues]:
    """Return the 2D findings in each crop of a prediction.

    joint_cue names where the joints come from: "heatmaps", "landmarks" (the trunk's own output) or
    the "mean" of both.  Where both exist, their distance adds to the spread.
    """
    joints, confidence, spread = decode(prediction.heatmaps, size_px, prediction.heatmap_sigma_px)
    if joint_cue != "heatmaps":
        apart = prediction.landmarks_px - joints
        spread = np.hypot(spread, np.linalg.norm(apart, axis=-1) / 2)
        joints = joints + apart * (1.0 if joint_cue == "landmarks" else 0.5)
    return [
        Cues(*cue) for cue in zip(joints, confidence, spread, prediction.silhouettes, strict=True)
    ]
