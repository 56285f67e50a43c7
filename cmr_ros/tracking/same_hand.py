"""Which of several regions show the same hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.regions import palm_center
from cmr_ros.tracking.detection import Detection

#: Palms nearer than this share of the smaller region's side are those of one hand.
_SAME = 0.35
#: What is smaller than this share of a hand on which it lies is a part of it.
_PART_OF = 0.6


def without_doubles(found: Sequence[Detection]) -> list[Detection]:
    """Return the detections, the best first, without worse ones of the same hands."""
    kept: list[Detection] = []
    for detection in sorted(found, key=lambda detection: -detection.score):
        if not same_hands([detection.region], [other.region for other in kept]).any():
            kept.append(detection)
    return kept


def is_part(region: Region, hands: Sequence[Region]) -> bool:
    """Return whether a region seems to show a part of one of some hands, such as a finger."""
    return any(
        region.size_px < _PART_OF * hand.size_px
        and np.hypot(*np.subtract(palm_center(region), hand.center_px)) < hand.size_px / 2
        for hand in hands
    )


def same_hands(some: Sequence[Region], others: Sequence[Region]) -> np.ndarray:
    """Return which of some regions (A) show the same hand as which of others (B): (A, B) bool."""
    palms, other_palms = (
        np.array([palm_center(region) for region in regions]).reshape(-1, 2)
        for regions in (some, others)
    )
    sides, other_sides = (
        np.array([region.size_px for region in regions]) for regions in (some, others)
    )
    apart = np.linalg.norm(palms[:, None] - other_palms, axis=-1)
    same: np.ndarray = apart < _SAME * np.minimum(sides[:, None], other_sides)
    return same
