"""Follows hands from image to image: which hand is which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.regions import palm_overlap
from cmr_ros.tracking.motion import assign
from cmr_ros.tracking.tracks import Observation, Track

#: A hand that is not seen for longer is a new one when it comes back.
PATIENCE_S = 0.7
#: Palms of which more than this share overlaps are one.
_SAME_PALM = 0.6
#: What differs more from what is expected of a hand is another one, in squared standard deviations.
_GATE = 16.0
#: The costs of taking what does not fit for a new hand, and for one that has jumped.
_NEW, _JUMP = 20.0, 25.0


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
        self, detections: Sequence[Region], most: int, now_s: float, view: int = 0
    ) -> list[tuple[Track, dict[int, Region]]]:
        """Return at most `most` tracks, new ones included, and where to look for each in each view.

        Tracks seen in the last image come first, then new ones, then lost ones; those that are
        known are looked for where they are expected, or where one that has gone astray is detected.
        A new one may turn out to be a lost one, see `assign`.

        Args:
            detections: in one of the views.
            most: tracks.
            now_s: the time of the images.
            view: number of the view.
        """
        regions = {track: track.expected(now_s) for track in self.seen}
        for detected in detections:
            track = self._holder(detected, view)
            if track is None:
                regions[self.start(detected, view)] = {view: detected}
            elif track.has_gone_astray(detected, view):
                regions[track] = {**regions[track], view: detected}
        for track in self.lost:
            regions[track] = track.expected(now_s)
        return list(regions.items())[:most]

    def assign(self, seen: Sequence[tuple[Track, Observation]], now_s: float) -> list[Track | None]:
        """Return for each observation whose it is, None where another one shows the same hand.

        A crop may show another hand than the one it was cut for.

        Args:
            seen: what the images show in the crops of each track.
            now_s: their time.
        """
        hands: list[list[int]] = []  # the observations that show each hand
        for index, (_, one) in enumerate(seen):
            for hand in hands:
                if any(_same_palm(one, seen[other][1]) for other in hand):
                    hand.append(index)
                    break
            else:
                hands.append([index])
        tracks = list(dict.fromkeys([*self.seen, *self.lost, *(track for track, _ in seen)]))
        costs = np.full((len(tracks), len(hands)), np.inf)
        chosen = {}
        for i, track in enumerate(tracks):
            for j, hand in enumerate(hands):
                own = [index for index in hand if seen[index][0] is track]
                for index in own or hand:
                    cost = self._cost(track, *seen[index], now_s)
                    if cost < costs[i, j]:
                        costs[i, j], chosen[i, j] = cost, index
        owners: list[Track | None] = [None] * len(seen)
        for i, j in assign(costs):
            owners[chosen[i, j]] = tracks[i]
        return owners

    @staticmethod
    def _cost(track: Track, owner: Track, seen: Observation, now_s: float) -> float:
        """Return the cost of taking what the crop of one track shows for another track's hand."""
        if track.is_new:
            return _NEW if track is owner else np.inf
        off, cost = track.misfit(seen, now_s)
        if track is owner and off >= _GATE:
            return _JUMP
        # A new hand is looked at on both sides, others as their tracks have it.
        fits = owner is track or owner.is_new or seen.side.handedness is track.side.handedness
        return cost if fits and off < _GATE else np.inf

    def keep(self, seen: Sequence[Track], now_s: float) -> None:
        """Take note of the tracks that an image showed.

        Those that it did not show are lost, and end after PATIENCE_S.
        """
        self.lost = [
            track
            for track in self.seen + self.lost
            if track not in seen and track.seen_s is not None and now_s - track.seen_s <= PATIENCE_S
        ]
        self.seen = sorted(seen, key=lambda track: track.id)

    def reset(self) -> None:
        """Forget all tracks; ids count on."""
        self.seen, self.lost = [], []

    def _holder(self, region: Region, view: int) -> Track | None:
        """Return the track seen that holds the palm of a region in a view."""
        tracks = [track for track in self.seen if view in track.palms]
        overlaps = [palm_overlap(region, track.palms[view]) for track in tracks]
        best = int(np.argmax(overlaps)) if overlaps else None
        return None if best is None or overlaps[best] < _SAME_PALM else tracks[best]


def _same_palm(a: Observation, b: Observation) -> bool:
    views = a.palms.keys() & b.palms.keys()
    return any(palm_overlap(a.palms[view], b.palms[view]) > _SAME_PALM for view in views)
