"""What viewers show: an image and its hands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cmr_ros.files.playback import FoundHand
from cmr_ros.geometry.camera import Camera
from cmr_ros.hand import Hand


@dataclass(frozen=True, eq=False)
class ShownImage:
    """An image with everything drawn in, and its hands, which share a template."""

    picture: np.ndarray  # (height, width, 3) uint8 RGB
    hands: Sequence[Hand | FoundHand]
    faces: np.ndarray  # (F, 3) of the template, a right hand
    stamp_ns: int
    frame_id: str = "camera"  # an optical frame, that of the hands
    camera: Camera | None = None  # None where it is not known


class Viewer(Protocol):
    """Shows images while somebody watches."""

    #: What to do to see it.
    invitation: str

    @property
    def is_watched(self) -> bool:
        """Whether anybody would see an image."""

    def show(self, image: ShownImage) -> None:
        """Show an image in place of the last one."""

    def close(self) -> None:
        """Stop."""


def depth_sigma_m(hand: Hand | FoundHand) -> float:
    """Return the standard deviation of a hand's depth."""
    return float(np.sqrt(hand.root_covariance_m2[2, 2]))
