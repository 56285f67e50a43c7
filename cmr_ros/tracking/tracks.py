"""Follows hands from image to image: which hand is which, and where to look for it next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.regions import palm_overlap, region_from_joints
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.registration import HandSize
from cmr_ros.tracking.smoothing import Smoother

#: A hand that is not seen for longer is a new one when it comes back: hidden for some images, it
#: can hardly have been taken for another.
PATIENCE_S = 0.4
#: Palms of which more than this share overlaps are one.
_SAME_PALM = 0.6
#: A hand that was lost is found again within this many sides of its crop from where it was: at
#: arm's length the crop is 0.3 m wide, and a hand moves at about 1 m/s.
_REGAINED = 1.0
#: A track whose crop differs from a detection's by more than this factor has gone astray.
_ASTRAY = 1.5
#: Uncertainty of a hand's size (see HandSize.deviation) that no number of images removes.
_SIZE_DEVIATION = 0.015
#: The share of new evidence in the belief about a track's handedness, and how far the belief must
#: be from a coin toss before the track changes sides: three images that clearly disagree.
_SIDE_GAIN, _SIDE_MARGIN = 0.2, 0.2


@dataclass(frozen=True)
class Side:
    """Which hand a track is believed to be."""

    handedness: Handedness = Handedness.UNKNOWN
    #: In [0, 1].
    right_probability: float = 0.5

    @classmethod
    def likelier(cls, right_probability: float) -> Side:
        """Return the side that a single probability speaks for."""
        return cls(
            Handedness.RIGHT if right_probability > 0.5 else Handedness.LEFT, right_probability
        )

    def updated(self, right_probability: float) -> Side:
        """Return the belief after one more image, which changes sides with hysteresis."""
        if self.handedness is Handedness.UNKNOWN:
            return Side.likelier(right_probability)
        belief = self.right_probability + _SIDE_GAIN * (right_probability - self.right_probability)
        if abs(belief - 0.5) > _SIDE_MARGIN:
            return Side.likelier(belief)
        return Side(self.handedness, belief)


@dataclass(frozen=True, eq=False)
class Observation:
    """What the images of one moment show of a tracked hand."""

    #: On which side, these images included.
    side: Side
    #: (21, 2) image pixels by number of the view: where it is seen, or is to be expected.
    joints_px: Mapping[int, np.ndarray]
    #: (3,) metres, camera frame.
    root_m: np.ndarray
    #: (V, 3) metres, relative to the root, camera frame.
    vertices_m: np.ndarray
    #: What is now known of its size; None if these images add nothing.
    size: HandSize | None = None


@dataclass(eq=False)
class Track:
    """One hand followed over time; it changes in `update` alone."""

    id: int
    #: Its next crop in each view that shows it.
    regions: dict[int, Region]
    #: Where those crops would be if placed by the palm, as detections are.
    palms: dict[int, Region]
    side: Side = Side()
    #: What depth images and second views so far tell of the hand's size.
    size: HandSize | None = None
    #: When it was last seen; None until the network has confirmed its detection.
    seen_s: float | None = None
    smoother: Smoother = field(default_factory=Smoother)

    @property
    def is_new(self) -> bool:
        """Whether no image has confirmed it yet."""
        return self.seen_s is None

    def has_gone_astray(self, detected: Region, view: int) -> bool:
        """Return whether a detection of its palm in a view differs too much in size."""
        return not 1 / _ASTRAY < self.palms[view].size_px / detected.size_px < _ASTRAY

    def update(
        self, seen: Observation, now_s: float, *, margin: float | None, smoothing_hz: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take in what images of one moment show of the hand.

        Args:
            seen: the hand in the images.
            now_s: their time, on a clock that never runs backwards.
            margin: side of the crop over that of the hand's box; None: placed by the palm.
            smoothing_hz: see `PipelineSettings`.

        Returns:
            Its root (3,) and root-relative vertices (V, 3) in metres, smoothed.

        """
        if seen.side.handedness is not self.side.handedness:
            self.smoother = Smoother()  # a mesh must not turn into its mirror image by degrees
        self.side = seen.side
        # By the 2D joints: crops that follow the mesh would drift where it fits badly.
        left = self.side.handedness is Handedness.LEFT
        joints_px = seen.joints_px.items()
        self.palms = {view: region_from_joints(joints, left) for view, joints in joints_px}
        self.regions = self.palms
        if margin is not None:
            self.regions = {
                view: region_from_joints(joints, left, margin) for view, joints in joints_px
            }
        if seen.size is not None:
            deviation = max(seen.size.deviation, _SIZE_DEVIATION)
            self.size = HandSize(seen.size.length_m, deviation, is_measured=True)
        self.seen_s = now_s
        if smoothing_hz <= 0:
            return seen.root_m, seen.vertices_m
        return self.smoother(seen.root_m, seen.vertices_m, now_s, smoothing_hz)


class Tracker:
    """The tracks alive: `seen` in the last image, and `lost` since, but not for long."""

    def __init__(self) -> None:
        self.seen: list[Track] = []
        self.lost: list[Track] = []
        self._next_id = 0

    def start(self, region: Region, view: int = 0) -> Track:
        """Return a new track on a view's detection; it is not alive until `keep` gets it."""
        track = Track(self._next_id, {view: region}, {view: region})
        self._next_id += 1
        return track

    def targets(
        self, detections: Sequence[Region], most: int, view: int = 0
    ) -> list[tuple[Track, dict[int, Region]]]:
        """Return at most `most` tracks, new ones included, and where to look for each in each view.

        Tracks seen in the last image come first, then those that a detection shows, then lost
        ones, which are looked for where they were.  A detection of a palm that a track holds is
        that track's, which is looked for there if it was lost or has gone astray.

        Args:
            detections: in one of the views.
            most: tracks.
            view: number of the view.
        """
        regions = {track: dict(track.regions) for track in self.seen}
        for detected in detections:
            track = self._holder(detected, view, self.seen + self.lost) or self._regained(
                detected, view, [track for track in self.lost if track not in regions]
            )
            if track is None:
                regions[self.start(detected, view)] = {view: detected}
            elif track not in regions or track.has_gone_astray(detected, view):
                regions[track] = {**track.regions, view: detected}
        for track in self.lost:
            regions.setdefault(track, dict(track.regions))
        return list(regions.items())[:most]

    def keep(self, seen: Sequence[Track], now_s: float) -> None:
        """Take note of the tracks that an image showed.

        Of two tracks on one palm the one lives that was not lost, or else the older one.  Tracks
        that the image did not show are lost, and end after PATIENCE_S.
        """
        old = self.seen + self.lost
        alive: list[Track] = []
        for track in sorted(seen, key=lambda track: (track in self.lost, track.id)):
            if not self._is_held(track, alive):
                alive.append(track)
        self.seen = sorted(alive, key=lambda track: track.id)
        self.lost = [
            track
            for track in old
            if track not in seen
            and track.seen_s is not None
            and now_s - track.seen_s <= PATIENCE_S
            and not self._is_held(track, self.seen)
        ]

    def reset(self) -> None:
        """Forget all tracks; ids count on."""
        self.seen, self.lost = [], []

    def _is_held(self, track: Track, others: Sequence[Track]) -> bool:
        """Return whether other tracks hold its palm in a view."""
        palms = track.palms.items()
        return any(self._holder(palm, view, others) is not None for view, palm in palms)

    @staticmethod
    def _holder(region: Region, view: int, tracks: Sequence[Track]) -> Track | None:
        """Return the track that holds the palm of a region in a view."""
        tracks = [track for track in tracks if view in track.palms]
        overlaps = [palm_overlap(region, track.palms[view]) for track in tracks]
        best = int(np.argmax(overlaps)) if overlaps else None
        return None if best is None or overlaps[best] < _SAME_PALM else tracks[best]

    @staticmethod
    def _regained(region: Region, view: int, lost: Sequence[Track]) -> Track | None:
        """Return the nearest lost track whose hand may have moved to a region of a view."""
        lost = [track for track in lost if view in track.regions]
        was = [track.regions[view] for track in lost]
        away = [np.hypot(*np.subtract(region.center_px, r.center_px)) / r.size_px for r in was]
        best = int(np.argmin(away)) if away else None
        return None if best is None or away[best] > _REGAINED else lost[best]
