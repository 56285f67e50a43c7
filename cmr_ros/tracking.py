"""Follows hands from picture to picture: where to look next, and which hand is which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from cmr_ros.crop import Region
from cmr_ros.hand import PALM_JOINTS, Handedness
from cmr_ros.smoothing import Smoother

#: Where the box of the palm's joints lies in a right hand's region, and its longer side, both as
#: shares of the region's side.  MediaPipe's palm detector looks at hands that way.
PALM_CENTER, PALM_SIDE = (0.49, 0.70), 0.385
_WRIST, _MIDDLE_MCP = 0, 9
#: A hand's box is that much larger than the box of its joints.
_FLESH = 1.1
#: Palms that overlap more than this (intersection over union) are one.
_SAME_PALM_IOU = 0.4
#: The share of new evidence in a track's belief about its handedness, and how far the belief must
#: be from a coin toss before a track changes sides.
_HANDEDNESS_GAIN, _HANDEDNESS_MARGIN = 0.2, 0.2


def region_from_joints(
    joints_px: np.ndarray, mirrored: bool = False, margin: float | None = None
) -> Region:
    """Return the region of a hand whose joints lie at picture pixels (21, 2).

    Its up is the way from the wrist to the middle finger's base; `mirrored` is for left hands.
    With a margin the region is that many times as large as the whole hand's box, and in its middle,
    as the published networks want it; without, it is placed by the palm.
    """
    x, y = joints_px[_MIDDLE_MCP] - joints_px[_WRIST]
    rotation = float(np.arctan2(x, -y))
    c, s = np.cos(rotation), np.sin(rotation)
    axes = np.array([[c, s], [-s, c]])  # the region's right and down, in the picture
    turned = joints_px @ axes.T
    if margin is None:
        turned, side, shift = turned[list(PALM_JOINTS)], PALM_SIDE, np.array(PALM_CENTER) - 0.5
    else:
        side, shift = 1 / (_FLESH * margin), np.zeros(2)
    low, high = turned.min(axis=0), turned.max(axis=0)
    size = float((high - low).max() / side)
    if mirrored:
        shift[0] *= -1
    center = ((low + high) / 2 - size * shift) @ axes
    return Region((float(center[0]), float(center[1])), size, rotation)


def palm_overlap(a: Region, b: Region) -> float:
    """Return intersection over union of the palms that two regions hold, 0 to 1."""
    palms = [_palm(region) for region in (a, b)]
    _, corners = cv2.rotatedRectangleIntersection(*palms)
    shared = 0.0 if corners is None else cv2.contourArea(cv2.convexHull(corners))
    return shared / max(sum(side * side for _, (side, _), _ in palms) - shared, 1e-9)


def _palm(region: Region):
    """Return the palm's square as OpenCV's (center, sides, angle in degrees)."""
    side = PALM_SIDE * region.size_px
    return _palm_center(region), (side, side), np.degrees(region.rotation_rad)


def _palm_center(region: Region) -> tuple[float, float]:
    down = (PALM_CENTER[1] - 0.5) * region.size_px
    c, s = np.cos(region.rotation_rad), np.sin(region.rotation_rad)
    return region.center_px[0] - down * s, region.center_px[1] + down * c


def palm_in_picture(region: Region, width: int, height: int) -> bool:
    """Return whether the middle of the region's palm lies in a picture of that size."""
    x, y = _palm_center(region)
    return -0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5


@dataclass
class Track:
    """One hand followed over time.

    region: its next crop.  palm: where the crop would be if placed by the palm, as detections are.
    right: belief in [0, 1] that it is a right hand, None as long
    as nothing is known.  age: pictures it was seen in.
    """

    id: int
    region: Region
    palm: Region
    handedness: Handedness = Handedness.UNKNOWN
    right: float | None = None
    age: int = 0
    smoother: Smoother = field(default_factory=Smoother)

    def aim(self, joints_px: np.ndarray, margin: float | None) -> None:
        """Point the next crop at a hand whose joints lie at picture pixels (21, 2)."""
        left = self.handedness is Handedness.LEFT
        self.palm = self.region = region_from_joints(joints_px, left)
        if margin is not None:
            self.region = region_from_joints(joints_px, left, margin)

    def believe(self, right: float) -> None:
        """Take in a new probability that this is a right hand; sides change with hysteresis."""
        self.right = (
            right if self.right is None else (self.right + _HANDEDNESS_GAIN * (right - self.right))
        )
        margin = 0.0 if self.handedness is Handedness.UNKNOWN else _HANDEDNESS_MARGIN
        if self.right > 0.5 + margin:
            self.handedness = Handedness.RIGHT
        elif self.right < 0.5 - margin or self.handedness is Handedness.UNKNOWN:
            self.handedness = Handedness.LEFT


class Tracker:
    """The tracks alive; ids count up from 0 and are never used again."""

    def __init__(self):
        self.tracks: list[Track] = []
        self._next_id = 0

    def start(self, region: Region, handedness: Handedness = Handedness.UNKNOWN) -> Track:
        """Return a new track on a detection's region; it is not alive until `keep` names it."""
        track = Track(self._next_id, region, region, handedness)
        self._next_id += 1
        return track

    def unknown(self, regions: Sequence[Region]) -> list[Region]:
        """Return those regions, placed by the palm, whose palm no living track holds."""
        return [
            region
            for region in regions
            if all(palm_overlap(region, track.palm) < _SAME_PALM_IOU for track in self.tracks)
        ]

    def keep(self, tracks: Sequence[Track]) -> None:
        """Let these tracks live on and all others end; of two on one hand the older one lives."""
        self.tracks = []
        for track in sorted(tracks, key=lambda track: track.id):
            if self.unknown([track.palm]):
                track.age += 1
                self.tracks.append(track)
