"""Follows hands from picture to picture: where to look next, and which hand is which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.skeleton import PALM_JOINTS, Handedness
from cmr_ros.registration import HandSize
from cmr_ros.tracking.smoothing import Smoother

#: Where the box of the palm's joints lies in a right hand's region, and its longer side, both as
#: shares of the region's side.  MediaPipe's palm detector looks at hands that way.
PALM_CENTER, PALM_SIDE = (0.49, 0.70), 0.385
_WRIST, _MIDDLE_MCP = 0, 9
#: A palm seen at a slant is short: the box of all joints may fill this share of the region.
_WIDEST_HAND = 0.9
_SMALLEST_PX = 8.0
#: A hand's box is that much larger than the box of its joints.
_FLESH = 1.1
#: Palms of which more than this share overlaps are one.
_SAME_PALM = 0.6
#: A track whose crop differs from a detection's by more than this factor has gone astray.
_ASTRAY = 1.5
#: Doubt about a hand's size (see HandSize) that no number of pictures removes.
_SIZE_DOUBT = 0.015
#: The share of new evidence in a track's belief about its handedness, and how far the belief must
#: be from a coin toss before a track changes sides.
_HANDEDNESS_GAIN, _HANDEDNESS_MARGIN = 0.2, 0.2


def region_from_joints(
    joints_px: np.ndarray, mirrored: bool = False, margin: float | None = None
) -> Region:
    """Return the region of a hand whose joints lie at picture pixels (21, 2).

    Its up is the way from the wrist to the middle finger's base; `mirrored` is for left hands.  It
    is placed by the palm, as detections are, but never cuts the fingers off.  With a margin it is
    that many times as large as the whole hand's box, and in its middle, as the published networks
    want it.
    """
    x, y = joints_px[_MIDDLE_MCP] - joints_px[_WRIST]
    rotation = float(np.arctan2(x, -y))
    c, s = np.cos(rotation), np.sin(rotation)
    axes = np.array([[c, s], [-s, c]])  # the region's right and down, in the picture
    turned = joints_px @ axes.T
    hand_center, hand_side = _box(turned)
    if margin is not None:
        center, size = hand_center, hand_side * _FLESH * margin
    else:
        center, palm_side = _box(turned[list(PALM_JOINTS)])
        size = max(palm_side / PALM_SIDE, hand_side / _WIDEST_HAND)
        right, down = np.array(PALM_CENTER) - 0.5
        center = center - size * np.array([-right if mirrored else right, down])
    center = center @ axes
    return Region((float(center[0]), float(center[1])), max(float(size), _SMALLEST_PX), rotation)


def _box(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the centre (2,) and the longer side of the upright box around points (N, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, (high - low).max()


def palm_overlap(a: Region, b: Region) -> float:
    """Return the share, 0 to 1, of the smaller of two regions' palms that the larger one covers."""
    palms = [_palm(region) for region in (a, b)]
    _, corners = cv2.rotatedRectangleIntersection(*palms)
    if corners is None:
        return 0.0
    smaller = min(side for _, (side, _), _ in palms)
    return cv2.contourArea(cv2.convexHull(corners)) / max(smaller**2, 1e-9)


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
    size: what depth pictures so far tell of the hand's size.  right: belief in [0, 1] that it is a
    right hand.  age: pictures it was seen in.
    """

    id: int
    region: Region
    palm: Region
    handedness: Handedness = Handedness.UNKNOWN
    size: HandSize | None = None
    right: float = 0.5
    age: int = 0
    smoother: Smoother = field(default_factory=Smoother)

    def aim(self, joints_px: np.ndarray, margin: float | None) -> None:
        """Point the next crop at a hand whose joints lie at picture pixels (21, 2)."""
        left = self.handedness is Handedness.LEFT
        self.palm = self.region = region_from_joints(joints_px, left)
        if margin is not None:
            self.region = region_from_joints(joints_px, left, margin)

    def learn_size(self, size: HandSize, doubt: float) -> None:
        """Remember what a picture tells of the hand's size for the next one.

        doubt: the part of its deviation that further pictures do not remove, because the network
        errs in the same direction again and again.
        """
        self.size = HandSize(size.length_m, max(size.deviation, doubt, _SIZE_DOUBT))

    def decide(self, right: float) -> None:
        """Forget what was believed of the hand's side for a probability that it is a right hand."""
        self.right = right
        self.handedness = Handedness.RIGHT if right > 0.5 else Handedness.LEFT

    def believe(self, right: float) -> None:
        """Take in what one more picture says; the hand changes sides with hysteresis."""
        self.right += _HANDEDNESS_GAIN * (right - self.right)
        if abs(self.right - 0.5) > _HANDEDNESS_MARGIN:
            self.decide(self.right)


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

    def associate(self, regions: Sequence[Region]) -> list[Region]:
        """Return those detected regions whose palm no living track holds.

        A track that has gone astray in size is put back on the detection of its palm.
        """
        unknown = []
        for region in regions:
            track = self._holder(region)
            if track is None:
                unknown.append(region)
            elif not 1 / _ASTRAY < track.palm.size_px / region.size_px < _ASTRAY:
                track.palm = track.region = region
        return unknown

    def _holder(self, region: Region) -> Track | None:
        """Return the track that holds the palm of a region."""
        overlaps = [palm_overlap(region, track.palm) for track in self.tracks]
        best = int(np.argmax(overlaps)) if overlaps else None
        return None if best is None or overlaps[best] < _SAME_PALM else self.tracks[best]

    def keep(self, tracks: Sequence[Track]) -> None:
        """Let these tracks live on and all others end; of two on one hand the older one lives."""
        self.tracks = []
        for track in sorted(tracks, key=lambda track: track.id):
            if self._holder(track.palm) is None:
                track.age += 1
                self.tracks.append(track)
