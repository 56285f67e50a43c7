"""What viewers show: an image and its hands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cmr_ros.geometry.skeleton import Handedness


class ShownHand(Protocol):
    """What is shown of a hand; `cmr_ros.hand.Hand` is one."""

    track_id: int
    handedness: Handedness
    score: float
    joints_m: np.ndarray  # (21, 3)
    vertices_m: np.ndarray  # (V, 3)
    root_covariance_m2: np.ndarray  # (3, 3)


@dataclass(frozen=True, eq=False)
class ShownImage:
    """An image with everything drawn in, and its hands in the camera's optical frame."""

    picture: np.ndarray  # (height, width, 3) uint8 RGB
    hands: Sequence[ShownHand]
    faces: np.ndarray  # (F, 3) of the template, a right hand
    stamp_ns: int
    frame_id: str = "camera"


class Viewer(Protocol):
    """Shows images while somebody watches."""

    @property
    def is_watched(self) -> bool:
        """Whether anybody would see an image."""

    def show(self, image: ShownImage) -> None:
        """Show an image in place of the last one."""

    def close(self) -> None:
        """Stop."""


def depth_sigma_m(hand: ShownHand) -> float:
    """Return the standard deviation of a hand's depth."""
    return float(np.sqrt(hand.root_covariance_m2[2, 2]))
