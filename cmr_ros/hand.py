"""What the package says about a hand: names of its parts and the result of the pipeline."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from cmr_ros.crop import CropCamera, Region

FINGER_NAMES = ("thumb", "index", "middle", "ring", "little")
JOINT_NAMES = (
    "wrist",
    "thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip",
    "index_mcp", "index_pip", "index_dip", "index_tip",
    "middle_mcp", "middle_pip", "middle_dip", "middle_tip",
    "ring_mcp", "ring_pip", "ring_dip", "ring_tip",
    "little_mcp", "little_pip", "little_dip", "little_tip",
)  # fmt: skip
#: Parent of each joint; -1 for the wrist, the root.
JOINT_PARENTS = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
#: Joints of the five finger tips, thumb to little finger.
TIPS = (4, 8, 12, 16, 20)
#: Joints of the palm: they hardly move against each other, so crops are placed by them.
PALM_JOINTS = (0, 1, 2, 5, 9, 13, 17)


class Handedness(enum.IntEnum):
    """Which hand; the values are those of `HandMesh.handedness`."""

    UNKNOWN = 0
    LEFT = 1
    RIGHT = 2


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
