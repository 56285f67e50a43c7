"""Covariances as ellipsoids."""

from __future__ import annotations

import numpy as np

#: Radius that holds 90 % of a Gaussian of unit deviation in three dimensions.
_RADIUS_90 = 2.5003


def ellipsoids_90(covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return diameters (N, 3) and rotations (N, 3, 3) of the ellipsoids that hold 90 %.

    The columns of a rotation, which is right-handed, are the ellipsoid's axes.
    covariances: (N, 3, 3).
    """
    variances, axes = np.linalg.eigh(covariances)
    axes[..., 0] *= np.sign(np.linalg.det(axes))[:, None]
    return 2 * _RADIUS_90 * np.sqrt(np.maximum(variances, 0)), axes
