"""Follows hands from picture to picture: where to look next, which hand is which, smoothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from cmr_ros.crop import Region
from cmr_ros.hand import PALM_JOINTS, Handedness

#: Where the box of the palm's joints lies in a right hand's region, and its longer side, both as
#: shares of the region's side.  MediaPipe's palm detector looks at hands that way.
PALM_CENTER, PALM_SIDE = (0.49, 0.70), 0.385
_WRIST, _MIDDLE_MCP = 0, 9
#: Palms that overlap more than this (intersection over union) are one.
_SAME_PALM_IOU = 0.4
#: The share of new evidence in a track's belief about its handedness, and how far the belief must
#: be from a coin toss before a track changes sides.
_HANDEDNESS_GAIN, _HANDEDNESS_MARGIN = 0.2, 0.2


def region_from_joints(joints_px: np.ndarray, mirrored: bool = False) -> Region:
    """Return the region of a hand whose joints lie at picture pixels (21, 2).

    Its up is the way from the wrist to the middle finger's base; `mirrored` is for left hands.
    """
    x, y = joints_px[_MIDDLE_MCP] - joints_px[_WRIST]
    rotation = float(np.arctan2(x, -y))
    c, s = np.cos(rotation), np.sin(rotation)
    axes = np.array([[c, s], [-s, c]])  # the region's right and down, in the picture
    palm = joints_px[list(PALM_JOINTS)] @ axes.T
    low, high = palm.min(axis=0), palm.max(axis=0)
    size = float((high - low).max() / PALM_SIDE)
    shift = np.array(PALM_CENTER) - 0.5
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


class OneEuro:
    """Casiez et al., "1 euro filter", CHI 2012: smooths slow motion a lot and fast motion little.

    min_cutoff_hz: cut-off frequency at rest.  beta: how much it rises per unit of speed.  Values
    are arrays; their speed is the norm over the last axis.  A pause of more than a second or a
    clock that stands or runs backwards starts the filter anew.
    """

    _SPEED_CUTOFF_HZ = 1.0
    _LONGEST_STEP_S = 1.0

    def __init__(self, min_cutoff_hz: float, beta: float):
        self._min_cutoff_hz, self._beta = min_cutoff_hz, beta
        self._stamp_s = None

    def __call__(self, value: np.ndarray, stamp_s: float) -> np.ndarray:
        """Return the smoothed value at a time in seconds."""
        step = None if self._stamp_s is None else stamp_s - self._stamp_s
        self._stamp_s = stamp_s
        if step is None or not 0 < step <= self._LONGEST_STEP_S:
            self._value, self._velocity = value, np.zeros_like(value)
            return value
        velocity = (value - self._value) / step
        self._velocity = self._velocity + _gain(self._SPEED_CUTOFF_HZ, step) * (
            velocity - self._velocity
        )
        speed = np.linalg.norm(self._velocity, axis=-1, keepdims=True)
        gain = _gain(self._min_cutoff_hz + self._beta * speed, step)
        self._value = self._value + gain * (value - self._value)
        return self._value


def _gain(cutoff_hz, step_s: float):
    rate = 2 * np.pi * cutoff_hz * step_s
    return rate / (rate + 1)


@dataclass
class Track:
    """One hand followed over time.

    region: where its next crop is.  right: belief in [0, 1] that it is a right hand, None as long
    as nothing is known.  age: pictures it was seen in.
    """

    id: int
    region: Region
    handedness: Handedness = Handedness.UNKNOWN
    right: float | None = None
    age: int = 0
    filters: dict[str, OneEuro] = field(default_factory=dict)

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

    def start(self, region: Region) -> Track:
        """Return a new track; it is not alive until `keep` names it."""
        track = Track(self._next_id, region)
        self._next_id += 1
        return track

    def unknown(self, regions: Sequence[Region]) -> list[Region]:
        """Return those regions whose palm no living track holds."""
        return [
            region
            for region in regions
            if all(palm_overlap(region, track.region) < _SAME_PALM_IOU for track in self.tracks)
        ]

    def keep(self, tracks: Sequence[Track]) -> None:
        """Let these tracks live on and all others end; of two on one hand the older one lives."""
        self.tracks = []
        for track in sorted(tracks, key=lambda track: track.id):
            if self.unknown([track.region]):
                track.age += 1
                self.tracks.append(track)
