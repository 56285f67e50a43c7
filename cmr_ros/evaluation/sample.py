"""A picture of a data set with its truth, and a method's answer to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.pictures import read_picture
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand import Hand
from cmr_ros.viewing.drawing import hand_mask


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture with one true hand (or body), in the camera's optical frame, metres.

    joints_m: (J, 3), joint 0 is the root; hands in the order of JOINT_NAMES.  vertices_m: (V, 3)
    or None.  mask: picture whose values within `mask_values` (inclusive) lie on the hand, or None.
    """

    image: Path
    camera: Camera
    handedness: Handedness
    joints_m: np.ndarray
    vertices_m: np.ndarray | None = None
    mask: Path | None = None
    mask_values: tuple[int, int] = (1, 255)

    def picture(self) -> np.ndarray:
        """Return the picture, RGB (height, width, 3) uint8; InputError when it cannot be used."""
        picture = read_picture(self.image)
        if picture.shape[:2] != (self.camera.height, self.camera.width):
            raise InputError(
                f"{self.image}: {picture.shape[1]}x{picture.shape[0]} pixels, but its camera has "
                f"{self.camera.width}x{self.camera.height}"
            )
        return picture

    def true_mask(self) -> np.ndarray | None:
        """Return where the hand is seen, (height, width) bool, or None if nobody knows."""
        if self.mask is None:
            return None
        mask = cv2.imread(str(self.mask), cv2.IMREAD_GRAYSCALE)
        if mask is None or mask.shape != (self.camera.height, self.camera.width):
            raise InputError(f"{self.mask}: expected a mask as large as {self.image.name}")
        low, high = self.mask_values
        return (mask >= low) & (mask <= high)


@dataclass(frozen=True, eq=False)
class Answer:
    """A method's prediction of one hand, in the camera's optical frame, metres.

    joints_m: (J, 3).  joints_px: (J, 2), its 2D joints.  confidence: (J,) of the 2D joints.  score:
    that it is a hand; both in [0, 1].  vertices_m: (V, 3) and mask: (height, width) bool, of
    methods that have them.
    """

    joints_m: np.ndarray
    joints_px: np.ndarray
    confidence: np.ndarray
    score: float = 1.0
    handedness: Handedness = Handedness.UNKNOWN
    vertices_m: np.ndarray | None = None
    mask: np.ndarray | None = None

    @classmethod
    def of(cls, hand: Hand, camera: Camera) -> Answer:
        """Return a hand of the pipeline as an answer."""
        return cls(
            joints_m=hand.joints_m,
            joints_px=hand.joints_px,
            confidence=hand.joint_confidence,
            score=hand.score,
            handedness=hand.handedness,
            vertices_m=hand.vertices_m,
            mask=hand_mask([hand], camera) > 0,
        )


def nearest(answers: list[Answer], sample: Sample) -> Answer | None:
    """Return the answer whose 2D joints lie nearest to the true ones; None when there is none."""
    true_px = sample.camera.project(sample.joints_m)
    return min(
        answers,
        key=lambda answer: np.linalg.norm(answer.joints_px - true_px, axis=-1).mean(),
        default=None,
    )
