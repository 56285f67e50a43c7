"""What may be changed of a pipeline while it runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.registration import SCHEMES


@dataclass(frozen=True)
class PipelineSettings:
    """Settings of a `HandPipeline`; InputError for values that make no sense."""

    #: Most hands to follow at once; each number of hands is tried once at the start.
    max_hands: int = 2
    #: Probability in [0, 1]; what is less probably a hand is dropped.
    min_score: float = 0.5
    #: While fewer hands than max_hands are followed, more are searched for in every n-th image;
    #: in every image while no hand is followed or one has just been lost.
    detection_interval: int = 5
    #: Whether new hands are searched for in the whole image, not only in places that are named.
    search_everywhere: bool = True
    #: Handedness of all hands in view where it is known; otherwise the network predicts it.
    handedness: Handedness = Handedness.UNKNOWN
    #: Cut-off frequency, for a hand at rest, of the one-euro filters of depth and pose; 0: none.
    smoothing_hz: float = 0.0
    #: Length of all hands in metres, from the wrist to the tip of the middle finger along the
    #: bones; 0: unknown, learned from depth images, where there are some, while a hand is followed.
    hand_length_m: float = 0.0
    #: Which cues place a hand in space, one of `registration.SCHEMES`.
    scheme: str = SCHEMES[0]

    def __post_init__(self):
        ranges = {
            "max_hands": (1, 10),
            "min_score": (0, 1),
            "detection_interval": (1, np.inf),
            "smoothing_hz": (0, np.inf),
            "hand_length_m": (0, 1),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name} {value}: must be from {low} to {high}")
        if self.scheme not in SCHEMES:
            raise InputError(f"scheme {self.scheme!r}: must be one of {', '.join(SCHEMES)}")
