"""How long a hand is, from images of it at rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.hand import Hand
from cmr_ros.registration.estimate import HandSize

#: Fewer images with one hand are too few to see whether it was still.
_FEWEST = 5
#: A still hand's wrist stays within this standard deviation, and its depth's logarithm in that one.
_STILL_M, _STILL_LOG = 0.02, 0.1
#: A tape, held by hand, is right to that.
_TAPE_M = 0.01


class SizeMeasurement:
    """Collects what images show of the only hand in view."""

    def __init__(self) -> None:
        self._hands: list[Hand] = []
        self._others = 0

    def see(self, hands: Sequence[Hand]) -> None:
        """Take note of an image's hands."""
        if len(hands) == 1:
            self._hands.append(hands[0])
        self._others += len(hands) > 1

    def size(self, wrist_depth_m: float, scale_log_sd: float) -> HandSize:
        """Return the hand's size.

        Args:
            wrist_depth_m: true z of the wrist; 0: take what depth images made of the size.
            scale_log_sd: see `Noise`; a pose that is misjudged is so in all images.

        Raises:
            InputError: for too few images, more than one hand or one that moved, or no depth.

        """
        if self._others > len(self._hands):
            raise InputError("more than one hand was in view; show one hand alone")
        if len(self._hands) < _FEWEST:
            raise InputError(
                f"one hand was seen in {len(self._hands)} images, {_FEWEST} are needed; show one "
                "hand, stretched, with the palm to the camera"
            )
        wrists_m = np.array([hand.joints_m[0] for hand in self._hands])
        lengths = np.log([hand.length_m for hand in self._hands])
        moved_m, depths = wrists_m[:, :2].std(axis=0).max(), np.log(wrists_m[:, 2])
        if moved_m > _STILL_M or depths.std() > _STILL_LOG:
            raise InputError("the hand moved; hold it still, or rest it on something")
        if wrist_depth_m > 0:
            # Hands of the same picture are as far away as they are large.
            lengths += np.log(wrist_depth_m) - depths
            known = np.hypot(scale_log_sd, _TAPE_M / wrist_depth_m)
        elif all("depth" in hand.registration for hand in self._hands):
            known = np.median([hand.length_deviation_m / hand.length_m for hand in self._hands])
        else:
            raise InputError("depth images did not show the hand; give wrist_depth_m, or use_depth")
        return HandSize(float(np.exp(np.median(lengths))), float(np.hypot(known, lengths.std())))
