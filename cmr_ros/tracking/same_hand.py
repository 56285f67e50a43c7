"""Which of several regions show the same hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.regions import palm_center
from cmr_ros.tracking.detection import Detection

#: Palms nearer than this share of the smaller region's side are those of one hand: those of two
#: that touch or cross can be a quarter of it apart.
_SAME = 0.22
#: Where one region lies in another one and is smaller than this share of it, one of them shows no
#: hand but a finger of one, or an arm with one.
_PART_OF = 0.6


def without_doubles(found: Sequence[Detection]) -> list[Detection]:
    """Return the detections, the best first, without worse ones of the same hands and arms."""
    kept: list[Detection] = []
    for detection in sorted(found, key=lambda detection: -detection.score):
        others = [other.region for other in kept]
        is_double = same_hands([detection.region], others).any()
        if not is_double and not is_part_or_arm(detection.region, others):
            kept.append(detection)
    return kept


def is_part_or_arm(region: Region, hands: Sequence[Region]) -> bool:
    """Return whether a region seems to show a finger of one of some hands, or an arm with one."""

    def lies_in(inner: Region, outer: Region) -> bool:
        apart = np.hypot(*np.subtract(palm_center(inner), outer.center_px))
        return bool(inner.size_px < _PART_OF * outer.size_px and apart < outer.size_px / 2)

    return any(lies_in(region, hand) or lies_in(hand, region) for hand in hands)


def same_hands(
    some: Sequence[Region], others: Sequence[Region], within: float = _SAME
) -> np.ndarray:
    """Return which of some regions (A) show the same hand as which of others (B): (A, B) bool.

    within: how far apart the palms may be, as a share of the smaller region's side.
    """
    palms, other_palms = (
        np.array([palm_center(region) for region in regions]).reshape(-1, 2)
        for regions in (some, others)
    )
    sides, other_sides = (
        np.array([region.size_px for region in regions]) for regions in (some, others)
    )
    apart = np.linalg.norm(palms[:, None] - other_palms, axis=-1)
    same: np.ndarray = apart < within * np.minimum(sides[:, None], other_sides)
    return same
