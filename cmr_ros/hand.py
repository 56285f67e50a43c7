"""What the pipeline finds: the 2D cues of a crop, and a hand in camera space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.geometry.skeleton import Handedness


@dataclass(frozen=True)
class Cues:
    """The network's 2D findings in one crop, in the crop's pixels (centres at integers).

    joints_px: (21, 2).  confidence: (21,) in [0, 1].  spread_px: (21,) standard deviation of each
    joint as the heatmap's width tells it.  silhouette: (h, w) probabilities in [0, 1] that cover
    the whole crop, at the network's map resolution.
    """

    joints_px: np.ndarray
    confidence: np.ndarray
    spread_px: np.ndarray
    silhouette: np.ndarray


@dataclass(frozen=True)
class Hand:
    """One hand in camera space: metres, optical frame (x right, y down, z forward; REP-103).

    track_id: constant while the hand is followed.  score: probability in [0, 1] that this is a
    hand.  joints_m: (21, 3).  vertices_m: (V, 3) in the order of the template.
    root_covariance_m2: (3, 3) of the wrist.  rms_px: joint reprojection error in picture pixels.
    registration: the cues that placed the root, such as "joints+silhouette".  region: where the
    hand was looked for.  joints_px: (21, 2) picture pixels, the network's 2D joints.
    joint_confidence: (21,) in [0, 1].  silhouette: (h, w) probabilities in the crop that
    `silhouette_camera` describes.
    """

    track_id: int
    handedness: Handedness
    score: float
    joints_m: np.ndarray
    vertices_m: np.ndarray
    root_covariance_m2: np.ndarray
    rms_px: float
    registration: str
    region: Region
    joints_px: np.ndarray
    joint_confidence: np.ndarray
    silhouette: np.ndarray
    silhouette_camera: CropCamera
