"""Pictures of hands with their truth: frames of the recording that comes with the package."""

from functools import cache

import numpy as np

from cmr_ros.files import playback
from cmr_ros.model import weights


@cache
def recording():
    """Return the camera and the frames of the recording."""
    return playback.read(weights.find("demo.mcap"))


def frames_of(hands: int, count: int):
    """Return the camera and the first `count` frames in a row that show that many hands."""
    camera, frames = recording()
    for start in range(len(frames) - count):
        some = frames[start : start + count]
        if all(len(frame.truth) == hands for frame in some):
            return camera, some
    raise LookupError(f"no {count} frames in a row with {hands} hands")


def errors_mm(hands, truth) -> list[float]:
    """Return the mean joint error in camera space of the nearest hand to each true one."""
    return [
        1000 * min(np.linalg.norm(hand.joints_m - true, axis=-1).mean() for hand in hands)
        for true in truth
    ]
