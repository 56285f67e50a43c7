"""Where a hand is going to be, and how certain that is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

#: How fast hands are, in sides of their crop (about 0.3 m where they are) per second, and for how
#: long they stay about as fast.
_SPEED, _STEADY_S = 3.0, 0.6


@dataclass(frozen=True, eq=False)
class Sight:
    """Where a point is seen."""

    point: np.ndarray  # (D,) in any unit
    noise: float  # standard deviation of each coordinate, in that unit
    scale: float  # side of a hand's crop there, in that unit


@dataclass(frozen=True, eq=False)
class Motion:
    """What is believed of a moving point: a Kalman filter of its place and velocity, D axes alike.

    The velocity is an Ornstein-Uhlenbeck process (Singer 1970): constant for a moment, and unknown
    after a while, so that a hand that is hidden may be near and is never anywhere.
    """

    mean: np.ndarray  # (2, D) the point and its velocity per second
    covariance: np.ndarray  # (2, 2) of both, the same on each axis
    scale: float  # a crop's side where the hand is, in the point's unit
    seen_s: float

    @classmethod
    def start(cls, seen: Sight, now_s: float) -> Motion:
        """Return the belief after the first sight."""
        mean = np.stack([seen.point, np.zeros_like(seen.point)])
        covariance = np.diag([seen.noise**2, (_SPEED * seen.scale) ** 2])
        return cls(mean, covariance, seen.scale, now_s)

    def expected(self, now_s: float) -> Motion:
        """Return what is to be expected at a time, not before the last."""
        step = (now_s - self.seen_s) / _STEADY_S
        left = np.exp(-step)
        move = np.array([[1.0, _STEADY_S * (1 - left)], [0.0, left]])
        place, both, speed = 2 * step - 3 + 4 * left - left**2, (1 - left) ** 2, 1 - left**2
        spread = np.array([[_STEADY_S**2 * place, _STEADY_S * both], [_STEADY_S * both, speed]])
        spread *= (_SPEED * self.scale) ** 2
        covariance = move @ self.covariance @ move.T + spread
        return Motion(move @ self.mean, covariance, self.scale, now_s)

    def updated(self, seen: Sight, now_s: float) -> Motion:
        """Return the belief after a further sight."""
        before = self.expected(now_s)
        gain = before.covariance[:, :1] / (before.covariance[0, 0] + seen.noise**2)
        mean = before.mean + gain * (seen.point - before.mean[0])
        covariance = before.covariance - gain @ before.covariance[:1]
        return Motion(mean, covariance, seen.scale, now_s)

    def misfit(self, seen: Sight, now_s: float) -> tuple[float, float]:
        """Return how little a sight fits: its squared Mahalanobis distance, and log(variance)."""
        expected = self.expected(now_s)
        variance = expected.covariance[0, 0] + seen.noise**2
        off = np.sum((seen.point - expected.mean[0]) ** 2) / variance
        return float(off), float(len(seen.point) * np.log(variance / self.scale**2))


def assign(costs: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs (row, column) of least cost in sum, each row and column in one at most.

    Exact: the earth mover's distance of unit weights is an assignment.

    Args:
        costs: (N, M); where it is infinite there is no pair, and there are as many pairs as can be.
    """
    rows, columns = (np.flatnonzero(np.isfinite(costs).any(axis)) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return []
    part = costs[np.ix_(rows, columns)].astype(np.float32)
    possible = np.isfinite(part)
    part -= part[possible].min()
    # So dear that no sum of real pairs makes up for one that is not.
    part[~possible] = 1 + part[possible].sum()
    one_each = [np.ones((count, 1), np.float32) for count in part.shape]
    _, _, flow = cv2.EMD(one_each[0], one_each[1], cv2.DIST_USER, cost=part)
    return [(int(rows[i]), int(columns[j])) for i, j in np.argwhere((flow > 0.5) & possible)]
