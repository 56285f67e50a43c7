"""What may be changed of a pipeline while it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.registration import SCHEMES, HandSize

#: Sizes of hands before any is seen: of men and women by ANSUR II (193.3 +- 9.9 mm of 4082, 181.1
#: +- 10.1 mm of 1986), of children of 6 to 12 years by Snyder et al. 1977; see docs/ros.md.
POPULATIONS = {
    "adult": HandSize(),
    "man": HandSize(0.193, 0.052),
    "woman": HandSize(0.181, 0.056),
    "child": HandSize(0.147, 0.10),
}


@dataclass(frozen=True)
class PipelineSettings:
    """Settings of a `HandPipeline`; InputError for values that make no sense."""

    #: Most hands to follow at once; each number of hands is tried once at the start.
    max_hands: int = 2
    #: Probability in [0, 1]; what is less probably a hand is dropped.  See also `min_new_score`.
    min_score: float = 0.5
    #: While fewer hands than max_hands are followed, more are searched for in every n-th image;
    #: in every image while no hand is followed or one has just been lost.
    detection_interval: int = 5
    #: Whether new hands are searched for in the whole image, not only in places that are named.
    search_everywhere: bool = True
    #: Handedness of all hands in view where it is known; otherwise the network predicts it.
    handedness: Handedness = Handedness.UNKNOWN
    #: Cut-off frequency, for a hand at rest, of the one-euro filters of depth and pose, of the
    #: former less the less certain it is; 0: none.
    smoothing_hz: float = 0.0
    #: Length of all hands in metres, from the wrist to the tip of the middle finger along the
    #: bones; 0: unknown, learned from depth images, where there are some, while a hand is followed.
    hand_length_m: float = 0.0
    #: Standard deviation of that length in metres, where it is known.
    hand_length_deviation_m: float = 0.002
    #: Whose hands they are where their length is not known, one of `POPULATIONS`.
    population: str = "adult"
    #: Which cues place a hand in space, one of `registration.SCHEMES`.
    scheme: str = SCHEMES[0]

    def __post_init__(self):
        ranges = {
            "max_hands": (1, 10),
            "min_score": (0, 1),
            "detection_interval": (1, np.inf),
            "smoothing_hz": (0, np.inf),
            "hand_length_m": (0, 1),
            "hand_length_deviation_m": (1e-4, 1),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name} {value}: must be from {low} to {high}")
        if self.scheme not in SCHEMES:
            raise InputError(f"scheme {self.scheme!r}: must be one of {', '.join(SCHEMES)}")
        if self.population not in POPULATIONS:
            known = ", ".join(POPULATIONS)
            raise InputError(f"population {self.population!r}: must be one of {known}")

    def min_new_score(self, at_half: float) -> float:
        """Return the least probability of a hand that is not followed yet.

        Where nothing is, many proposals come and go; one that is believed once will be followed.

        Args:
            at_half: what it is for a min_score of 0.5, by the model's card.
        """
        return float(self.min_score ** math.log(at_half, 0.5))

    def hand_size(self, learned: HandSize | None) -> HandSize:
        """Return what is known of a hand's size; learned: from depth images, if there were some."""
        if self.hand_length_m:
            deviation = self.hand_length_deviation_m / self.hand_length_m
            return HandSize(self.hand_length_m, deviation, is_measured=True)
        return learned or POPULATIONS[self.population]
