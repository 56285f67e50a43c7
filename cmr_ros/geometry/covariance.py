"""Covariances as ellipsoids."""

from __future__ import annotations

import numpy as np

#: Radius that holds 90 % of a Gaussian of unit deviation, in one, two and three dimensions.
RADIUS_90 = (1.6449, 2.1460, 2.5003)


def ellipsoids_90(covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return diameters (N, 3) and rotations (N, 3, 3) of the ellipsoids that hold 90 %.

    The columns of a rotation, which is right-handed, are the ellipsoid's axes.
    covariances: (N, 3, 3).
    """
    variances, axes = np.linalg.eigh(covariances)
    axes[..., 0] *= np.sign(np.linalg.det(axes))[:, None]
    return 2 * RADIUS_90[2] * np.sqrt(np.maximum(variances, 0)), axes


def inside_90(errors: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Return which errors (..., 3) lie inside the 90 % ellipsoids of covariances (..., 3, 3)."""
    squared = (errors * np.linalg.solve(covariances, errors[..., None])[..., 0]).sum(axis=-1)
    inside: np.ndarray = squared <= RADIUS_90[2] ** 2
    return inside
