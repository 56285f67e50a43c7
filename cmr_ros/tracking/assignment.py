"""Which detection is which track, for all of them at once."""

from __future__ import annotations

import cv2
import numpy as np


def assign(costs: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs (row, column) of least cost in sum, each row and column in one at most.

    Exact: the earth mover's distance of unit weights is an assignment.
    costs: (N, M), at least 0; where it is infinite there is no pair, and pairs are as many as can
    be had for less than that.
    """
    rows, columns = (np.flatnonzero(np.isfinite(costs).any(axis)) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return []
    part = costs[np.ix_(rows, columns)].astype(np.float32)
    possible = np.isfinite(part)
    # So dear that no sum of real pairs makes up for one that is not.
    part[~possible] = 1 + part[possible].sum()
    one_each = [np.ones((count, 1), np.float32) for count in part.shape]
    _, _, flow = cv2.EMD(one_each[0], one_each[1], cv2.DIST_USER, cost=part)
    return [(int(rows[i]), int(columns[j])) for i, j in np.argwhere((flow > 0.5) & possible)]
