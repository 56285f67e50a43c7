"""What the pipeline finds: the 2D cues of a crop, and a hand in camera space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.geometry.skeleton import Handedness


class Identified(Protocol):
    """A hand that is followed."""

    @property
    def track_id(self) -> int:
        """Constant while the hand is followed."""

    @property
    def handedness(self) -> Handedness:
        """Which hand it is."""


@dataclass(frozen=True, eq=False)
class Cues:
    """The network's 2D findings in one crop, in the crop's pixels (centres at integers)."""

    joints_px: np.ndarray  # (21, 2)
    confidence: np.ndarray  # (21,) in [0, 1]
    spread_px: np.ndarray | None  # (21,) standard deviation of each joint; None where unknown
    silhouette: np.ndarray  # (h, w) probabilities; spans the whole crop at the map's resolution


@dataclass(frozen=True, eq=False)
class Hand:
    """One hand in camera space: metres, optical frame (x right, y down, z forward; REP-103)."""

    track_id: int  # constant while the hand is followed
    handedness: Handedness
    score: float  # probability in [0, 1] that this is a hand
    joints_m: np.ndarray  # (21, 3), in the order of `JOINT_NAMES`
    vertices_m: np.ndarray  # (V, 3), in the order of the template
    joint_covariances_m2: np.ndarray  # (21, 3, 3) of the joints
    #: (21, 3, 3) of the joints against the wrist, for a hand whose size is certain
    pose_covariances_m2: np.ndarray
    length_m: float  # from the wrist to the tip of the middle finger along the bones
    length_deviation_m: float  # standard deviation of what is believed of the length
    rms_px: float  # joint reprojection error in image pixels
    registration: str  # the cues that placed the root, such as "joints+silhouette"
    region: Region  # where the hand was looked for
    joints_px: np.ndarray  # (21, 2) image pixels, the network's 2D joints
    joint_confidence: np.ndarray  # (21,) in [0, 1]
    silhouette: np.ndarray  # (h, w) probabilities in the crop that `silhouette_camera` describes
    silhouette_camera: CropCamera

    @property
    def root_covariance_m2(self) -> np.ndarray:
        """The covariance (3, 3) of the wrist."""
        return self.joint_covariances_m2[0]


def frame_names(hands: Sequence[Identified]) -> list[str]:
    """Return `hand_left`, `hand_right`, `hand_right_2`, ...: a name for each hand, in order."""
    names: dict[int, str] = {}
    for handedness in Handedness:
        alike = [hand for hand in hands if hand.handedness == handedness]
        for number, hand in enumerate(sorted(alike, key=lambda hand: hand.track_id), start=1):
            suffix = "" if number == 1 else f"_{number}"
            names[hand.track_id] = f"hand_{handedness.name.lower()}{suffix}"
    return [names[hand.track_id] for hand in hands]
