"""Follows hands from picture to picture: where to look next, and which hand is which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.regions import palm_overlap, region_from_joints
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.registration import HandSize
from cmr_ros.tracking.smoothing import Smoother

#: Palms of which more than this share overlaps are one.
_SAME_PALM = 0.6
#: A track whose crop differs from a detection's by more than this factor has gone astray.
_ASTRAY = 1.5
#: Doubt about a hand's size (see HandSize) that no number of pictures removes.
_SIZE_DOUBT = 0.015
#: The share of new evidence in a track's belief about its handedness, and how far the belief must
#: be from a coin toss before a track changes sides.
_HANDEDNESS_GAIN, _HANDEDNESS_MARGIN = 0.2, 0.2


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
