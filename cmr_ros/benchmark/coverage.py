"""How often the truth lies inside predicted 90 % ellipsoids."""

from __future__ import annotations

import numpy as np

#: Radius that holds 90 % of a Gaussian of unit deviation, in one, two and three dimensions.
RADIUS_90 = (1.6449, 2.1460, 2.5003)


def coverage_90(errors: np.ndarray, covariances: np.ndarray) -> float:
    """Return the share of errors (N, 3) inside the 90 % ellipsoids of covariances (N, 3, 3)."""
    squared = (errors * np.linalg.solve(covariances, errors[..., None])[..., 0]).sum(axis=1)
    return float((squared <= RADIUS_90[2] ** 2).mean())
