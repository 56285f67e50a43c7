"""Decides where to look for hands next, so that hands of any size are found at little cost.

The palm detector knows hands that fill a fifth of its square or more.  So a second, small detector
goes over the image and, in turn with that, over its parts.  It proposes places, many of them wrong,
and looks at the likeliest of them again by themselves; the palm detector looks at one that is still
open.  While no hand is followed, it now and then is shown the whole image instead, for hands that
are near, or the image with a border, for hands that fill it.
Whoever knows where persons or hands are may name places, which are looked at first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Protocol

import numpy as np

from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.regions import palm_in_picture
from cmr_ros.geometry.scaling import resize
from cmr_ros.tracking.detection import FULL_SIZE, Detection, PalmDetector, Window
from cmr_ros.tracking.same_hand import is_part_or_arm, same_hands, without_doubles

#: Longer side of what the finder sees, in pixels; larger images are scaled down.  The palm detector
#: needs no more pixels of the smallest hands that are proposed.
_LONGEST_PX = 2048
#: Width of the border by the image's longer side.
_BORDER = 0.25
#: Images that are so many times as long as what the small detector computes with are looked at in
#: parts, too: their number along each side, and their sides as shares of the image's.
_PARTS = ((1.3, 2, 0.56), (4.2, 3, 0.4))
#: A place that is named is looked at with that much around it, as a share of its longer side.
_AROUND = 0.2
#: Most places that wait.
MOST_PLACES = 16
#: Side of the square in which the palm detector is shown all but the whole image: as sure as the
#: full one, at half the cost, where a hand fills a third of it.
_SMALL_SIZE = 128
#: The palm detector is shown the whole image or that with a border once in so many looks, in which
#: nothing is proposed.
_WHOLE_EVERY = 6
#: Side of the window around a proposal by the side of its region.
_CLOSE = 1.5
#: How many times a place is passed over after it has been looked at.
_PAUSE = 15
#: So many proposals are looked at again each time, each with that much around it, by the side of
#: its region, in so many pixels.
_AGAIN, _CONTEXT, _AGAIN_PX = 2, 2.2, 128
#: By how much of its side a proposal may be off.
_OFF = 0.35
#: Places that then have this score are handed on as hands, and shown to the palm detector if they
#: do not become hands; or else are not shown even to the palm detector.
_CLEAR, _OPEN = 0.24, 0.14


#: Left, top, width and height in pixels.
Box = tuple[int, int, int, int]


class Proposer(Protocol):
    """Proposes places where hands may be."""

    #: Of the images it computes with, in pixels; larger ones are scaled down.
    longer_side: int

    def __call__(
        self, picture: np.ndarray, part: Box, longer_side: int | None = None
    ) -> list[Detection]:
        """Return proposals in a part of an image, scaled down to a longer side, the best first."""


@dataclass
class _Tried:
    """A place that was looked at, and how many looks ago."""

    region: Region
    age: int = 0


@dataclass(frozen=True, eq=False)
class _View:
    """An image (height, width, 3) as the finder sees it, and its scale against the original."""

    picture: np.ndarray
    scale: float = 1.0

    @classmethod
    def of(cls, picture: np.ndarray) -> _View:
        scale = _LONGEST_PX / max(picture.shape[:2])
        if scale >= 1:
            return cls(picture)
        width, height = (max(round(side * scale), 1) for side in picture.shape[1::-1])
        return cls(resize(picture, width, height), scale)


class HandFinder:
    """Looks for hands; each time costs at most one run of the palm detector.

    palms: the palm detector.  proposer: of places to look at enlarged.
    """

    def __init__(self, palms: PalmDetector, proposer: Proposer):
        self._palms, self._proposer = palms, proposer
        self._shape: tuple[int, ...] | None = None
        self._still: _View | None = None
        self.reset()

    def reset(self) -> None:
        """Forget what was looked at, as before an image that has nothing to do with the last."""
        self._tried: list[_Tried] = []
        self._handed_on: list[_Tried] = []
        self._places: deque[Box] = deque(maxlen=MOST_PLACES)
        self._looks = 0
        if self._shape:
            self._plan(*self._shape[:2])

    def __call__(
        self,
        picture: np.ndarray,
        known: Sequence[Region],
        places: Sequence[Box] = (),
        everywhere: bool = True,
    ) -> list[Detection]:
        """Return hands found in an RGB image this time, the best first.

        Args:
            picture: (height, width, 3) uint8.
            known: regions of hands that are followed; nothing is proposed there.
            places: where to look first, this time and the next.
            everywhere: whether to look elsewhere, too.
        """
        view = self._still or self._view(picture)
        for place in places:
            self._name(place, view)
        found = self._look(
            view.picture, [region.scaled(view.scale) for region in known], everywhere
        )
        return [Detection(one.region.scaled(1 / view.scale), one.score) for one in found]

    @contextmanager
    def still(self, picture: np.ndarray) -> Iterator[int]:
        """Within, all images are this one, which need not be scaled down every time.

        Yields after how many looks the finder has been everywhere in it.
        """
        self._still = self._view(picture)
        try:
            yield self._round
        finally:
            self._still = None

    def _view(self, picture: np.ndarray) -> _View:
        """Return an image as it is looked at; start anew if its size is not that of the last."""
        view = _View.of(picture)
        if view.picture.shape != self._shape:
            self._shape = view.picture.shape
            self.reset()
        return view

    def _name(self, place: Box, view: _View) -> None:
        """Put a place of the original image among those that wait."""
        left, top, width, height = (view.scale * side for side in place)
        around = _AROUND * max(width, height)
        part = _clipped(
            left - around, top - around, width + 2 * around, height + 2 * around, view.picture
        )
        if min(part[2:]) > 0 and part not in self._places:
            self._places.append(part)

    def _look(
        self, picture: np.ndarray, known: Sequence[Region], everywhere: bool
    ) -> list[Detection]:
        self._tried, self._handed_on = (
            [_Tried(one.region, one.age + 1) for one in places if one.age < _PAUSE]
            for places in (self._tried, self._handed_on)
        )
        # Beside a hand that is followed there are others of its size, if any, which are proposed;
        # and looks are rare, so each takes two turns.
        shows_whole = everywhere and not known and self._looks % _WHOLE_EVERY == 0
        # The first look of all does both: it may be the only one.
        rests = not everywhere or (shows_whole and self._looks > 0)
        parts = self._next_parts(0 if rests else 2 if known else 1)
        proposals = [found for part in parts for found in self._proposer(picture, part)]
        found = self._palms(picture, *next(self._windows)) if shows_whole else []
        self._looks += 1
        clear: list[Detection] = []
        still_open: list[tuple[Detection, Detection]] = []
        for proposal in self._likeliest(proposals, picture, known):
            place = self._again(picture, proposal)
            before = [handed_on.region for handed_on in self._handed_on]
            if place.score < _OPEN:
                self._tried.append(_Tried(proposal.region))
            elif place.score < _CLEAR or same_hands([place.region], before).any():
                # Where a clear one has not become a hand, the palm detector may know better.
                still_open.append((proposal, place))
            else:
                clear.append(place)
        found = without_doubles([*found, *clear])
        self._handed_on += [_Tried(one.region) for one in clear if one in found]
        if still_open and not shows_whole:
            proposal, place = max(still_open, key=lambda pair: pair[1].score)
            self._tried.append(_Tried(proposal.region))
            found = without_doubles([*found, *self._look_closely(picture, place)])
        return found

    def _plan(self, height: int, width: int) -> None:
        """Lay out the windows and parts of images of this size, to be visited in turn."""
        whole, bordered = (Window.around(width, height, border) for border in (0.0, _BORDER))
        self._windows = cycle([(whole, FULL_SIZE), (bordered, _SMALL_SIZE)])
        parts = []
        times = max(width, height) / self._proposer.longer_side
        for count, share in [row[1:] for row in _PARTS if times > row[0]][-1:]:
            size = round(share * width), round(share * height)
            lefts, tops = (
                np.linspace(0, whole - side, count).round().astype(int).tolist()
                for whole, side in zip((width, height), size, strict=True)
            )
            parts += [(left, top, *size) for top in tops for left in lefts]
        everything = (0, 0, width, height)
        order = [one for part in parts for one in (everything, part)] or [everything]
        self._parts, self._round = cycle(order), 2 * max(_WHOLE_EVERY, len(order))

    def _next_parts(self, turns: int) -> list[Box]:
        """Return where the proposer looks: at a place that waits, or the image and parts in turn.

        So near hands are proposed soon, and small ones after some looks.
        """
        if self._places:
            return [self._places.popleft()]
        return [*dict.fromkeys(islice(self._parts, turns))]

    def _likeliest(
        self, proposals: Sequence[Detection], picture: np.ndarray, known: Sequence[Region]
    ) -> list[Detection]:
        """Return proposals that are not about hands followed or places looked at lately.

        What has been handed on and has not become a hand comes after what is new.
        """
        regions = [proposal.region for proposal in proposals]
        taken = [*known, *(place.region for place in self._tried)]
        handed_on = [place.region for place in self._handed_on]
        is_taken, was_handed_on = (
            np.logical_or.reduce(same_hands(regions, others), axis=1)
            for others in (taken, handed_on)
        )
        alike = same_hands(regions, regions)
        chosen: list[int] = []
        for n in sorted(
            range(len(proposals)), key=lambda n: (was_handed_on[n], -proposals[n].score)
        ):
            is_known = is_taken[n] or alike[n, chosen].any() or is_part_or_arm(regions[n], known)
            if not is_known and palm_in_picture(regions[n], *picture.shape[1::-1]):
                chosen.append(n)
            if len(chosen) == _AGAIN:
                break
        return [proposals[n] for n in chosen]

    def _again(self, picture: np.ndarray, proposal: Detection) -> Detection:
        """Return what the proposer says of a proposal by itself, its score the mean of both."""
        region = proposal.region
        side = _CONTEXT * region.size_px
        left, top = np.subtract(region.center_px, side / 2)
        part = _clipped(left, top, side, side, picture)
        found = self._proposer(picture, part, _AGAIN_PX) if min(part[2:]) > 0 else []
        same = same_hands([one.region for one in found], [region], _OFF)[:, 0]
        near = [one for one, is_same in zip(found, same, strict=True) if is_same]
        second = near[0] if near else Detection(region, 0.0)
        surer = max(second, proposal, key=lambda one: one.score)
        return Detection(surer.region, (proposal.score + second.score) / 2)

    def _look_closely(self, picture: np.ndarray, place: Detection) -> list[Detection]:
        side = _CLOSE * place.region.size_px
        x, y = place.region.center_px
        window = Window(x + 0.5 - side / 2, y + 0.5 - side / 2, side)
        return self._palms(picture, window, _SMALL_SIZE)


def _clipped(left: float, top: float, width: float, height: float, picture: np.ndarray) -> Box:
    """Return what of a box lies in a picture, its sides at least 0."""
    (x, across), (y, down) = (
        (max(int(start), 0), min(int(np.ceil(start + side)), whole))
        for start, side, whole in (
            (left, width, picture.shape[1]),
            (top, height, picture.shape[0]),
        )
    )
    return x, y, max(across - x, 0), max(down - y, 0)
