"""Whether an image shows anything at all."""

from __future__ import annotations

import numpy as np

#: Every n-th pixel of every n-th row is enough to see that.
_STEP_PX = 8
#: Of 255: what is never brighter is as good as black, and what differs less shows nothing.
_BLACK, _UNIFORM = 16, 8


def why_nothing_shows(picture: np.ndarray) -> str:
    """Say what is wrong with an image (height, width, 3) uint8 that nearly is of one colour.

    Returns an empty string for all others.  One pixel in a hundred may be different: noise, dead
    pixels, a time printed into the image.
    """
    sample = picture[::_STEP_PX, ::_STEP_PX].reshape(-1, picture.shape[2])
    low, high = np.percentile(sample, (1, 99), axis=0)
    if high.max() < _BLACK:
        return f"nearly black (99 % of it is darker than {high.max():.0f} of 255)"
    if (high - low).max() < _UNIFORM:
        return f"nearly uniform (99 % of it is within {(high - low).max():.0f} of 255)"
    return ""
