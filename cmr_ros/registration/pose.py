"""How uncertain the joints are against the root, because the network misjudges the pose."""

from __future__ import annotations

import numpy as np

from cmr_ros.geometry.skeleton import BONES

#: The error of a joint grows as the confidence in its place in the image falls below this one, but
#: only so far; measured on renders, as the errors that grow from bone to bone are.
_CONFIDENT, _LARGEST_FACTOR = 0.5, 3.0


def pose_variances(confidence: np.ndarray) -> np.ndarray:
    """Return variances (..., 21) of joints against the first, in units of a confident bone's.

    Each bone errs by itself, and what it errs by moves all joints after it.
    confidence: (..., 21) in [0, 1] of the joints' places in the image.
    """
    confidence = np.asarray(confidence, np.float64)
    factors = np.clip(_CONFIDENT / np.maximum(confidence, 1e-6), 1, _LARGEST_FACTOR)
    variances = np.zeros_like(factors)
    for parent, joint in BONES:
        variances[..., joint] = variances[..., parent] + factors[..., joint] ** 2
    return variances


def pose_covariances(
    confidence: np.ndarray, bone_across_m: float, bone_along_m: float
) -> np.ndarray:
    """Return the covariances (21, 3, 3) in square metres of joints against the first.

    Args:
        confidence: (21,) in [0, 1] of the joints' places in the image.
        bone_across_m: see `Noise`.
        bone_along_m: see `Noise`.
    """
    square_m2 = np.diag([bone_across_m**2, bone_across_m**2, bone_along_m**2])
    return pose_variances(confidence)[:, None, None] * square_m2
