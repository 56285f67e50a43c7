"""Crops of places where the finder believes hands to be, and what they show of hands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.hand_model.model import HandModel
from cmr_ros.model import weights
from cmr_ros.synthesis.sample import CERTAINTY, Sample, without_truth
from cmr_ros.tracking.detection import PalmDetector
from cmr_ros.tracking.finder import HandFinder
from cmr_ros.tracking.hand_detector import HandDetector

#: Of looks at an image, the most.
_MOST_LOOKS = 9
#: A crop shows a hand if so many of its joints lie inside, and they extend over so much of its
#: side.  It shows none if hardly any joint lies inside, or if the hand is so small in it that the
#: crop is of an arm or a person.  What is in between says nothing of presence.
_INSIDE, _EXTENT, _HARDLY, _TINY = 0.7, (0.27, 1.0), 0.15, 0.18
#: The hand that stands for an unknown truth lies there.
_AHEAD_M = np.array([0.0, 0.0, 0.5])


@dataclass(frozen=True, eq=False)
class ImageHand:
    """A hand in an image."""

    joints_px: np.ndarray  # (21, 2)
    left: bool


class PlaceSampler:
    """Makes samples of crops of an image, of whose hands nothing but the place is known."""

    def __init__(self, model: HandModel, size_px: int):
        """Load the finder's networks.

        Args:
            model: of the hand that stands for what is not known.
            size_px: side of the crops.
        """
        self._finder = HandFinder(
            PalmDetector(weights.find(weights.PALM_DETECTION)),
            HandDetector(weights.find(weights.HAND_DETECTION)),
        )
        posed = model.rest()
        self._stand_in = posed.template_vertices + _AHEAD_M, posed.joints + _AHEAD_M
        self._size_px = size_px

    def proposed(self, picture: np.ndarray) -> list[Region]:
        """Return the regions that the finder hands on in an image (height, width, 3) uint8 RGB."""
        finder = self._finder
        finder.reset()
        with finder.still(picture) as count:
            looks = [finder(picture, []) for _ in range(min(count, _MOST_LOOKS))]
        return [detection.region for found in looks for detection in found]

    def __call__(
        self,
        picture: np.ndarray,
        camera: Camera,
        region: Region,
        hands: Sequence[ImageHand],
        rng: np.random.Generator,
    ) -> Sample:
        """Return the crop of a region; if it shows something of a hand, that is a right one.

        Args:
            picture: (height, width, 3) uint8 RGB.
            camera: the image's.
            region: to cut out.
            hands: all of the image.
            rng: mirrors crops without a hand.

        Returns:
            A sample with the hand's `joints_px`, of which those in the crop are `visible`, and with
            a presence where that is not debatable; all other truth counts for nothing.
        """
        seen = seen_of(CropCamera.looking_at(camera, region, self._size_px), hands)
        mirrored = bool(rng.integers(2)) if seen.hand is None else seen.hand.left
        crop = CropCamera.looking_at(camera, region, self._size_px, mirrored)
        sample = without_truth(crop.cut(picture), crop.matrix, *self._stand_in, seen.presence)
        if seen.hand is None:
            return sample
        joints_px = crop.from_picture(seen.hand.joints_px)
        return replace(sample, joints_px=joints_px, visible=_inside(joints_px, self._size_px))


@dataclass(frozen=True, eq=False)
class Seen:
    """What a crop shows."""

    presence: float | None  # probability that it shows a hand; None if that is debatable
    hand: ImageHand | None  # of which it shows something


def seen_of(crop: CropCamera, hands: Sequence[ImageHand]) -> Seen:
    """Return what a crop shows of an image's hands."""
    pixels = [crop.from_picture(hand.joints_px) for hand in hands]
    shares = [float(_inside(one, crop.size_px).mean()) for one in pixels]
    extents = [float(np.ptp(one, axis=0).max()) / crop.size_px for one in pixels]
    if max(shares, default=0) <= _HARDLY:
        return Seen(1 - CERTAINTY, None)
    # Of several hands the one that fills the crop best.
    best = max(range(len(hands)), key=lambda n: shares[n] * min(extents[n], 1 / extents[n]))
    if max(extents) < _TINY:
        return Seen(1 - CERTAINTY, hands[best])
    is_hand = shares[best] >= _INSIDE and _EXTENT[0] < extents[best] < _EXTENT[1]
    return Seen(CERTAINTY if is_hand else None, hands[best] if shares[best] > _HARDLY else None)


def _inside(pixels: np.ndarray, size_px: int) -> np.ndarray:
    return ((pixels > 0) & (pixels < size_px)).all(axis=1)
