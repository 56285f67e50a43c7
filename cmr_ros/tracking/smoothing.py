"""Calms the jitter of hands at rest without making fast ones lag."""

from __future__ import annotations

import numpy as np


class OneEuro:
    """Casiez et al., "1 euro filter", CHI 2012: smooths slow motion a lot and fast motion little.

    beta: how much the cut-off frequency rises per unit of speed.  Values are arrays; their speed is
    the norm over the last axis.  A pause of more than a second, or a clock that stands or runs
    backwards, restarts the filter.
    """

    #: Cut-off frequency of the speed itself, the value that the paper leaves fixed.
    _SPEED_CUTOFF_HZ = 1.0
    #: After a longer pause a hand has moved on: to blend in its old place would show a motion that
    #: never was.
    _LONGEST_STEP_S = 1.0

    def __init__(self, beta: float):
        self._beta = beta
        self._stamp_s: float | None = None

    def __call__(self, value: np.ndarray, stamp_s: float, cutoff_hz: float) -> np.ndarray:
        """Return the smoothed value at a time in seconds; cutoff_hz holds for a value at rest."""
        step = None if self._stamp_s is None else stamp_s - self._stamp_s
        self._stamp_s = stamp_s
        if step is None or not 0 < step <= self._LONGEST_STEP_S:
            self._value, self._velocity = value, np.zeros_like(value)
            return value
        velocity = (value - self._value) / step
        self._velocity += _gain(self._SPEED_CUTOFF_HZ, step) * (velocity - self._velocity)
        speed = np.linalg.norm(self._velocity, axis=-1, keepdims=True)
        gain = _gain(cutoff_hz + self._beta * speed, step)
        self._value = self._value + gain * (value - self._value)
        return self._value


def _gain(cutoff_hz: float | np.ndarray, step_s: float) -> float | np.ndarray:
    rate = 2 * np.pi * cutoff_hz * step_s
    return rate / (rate + 1)


class Smoother:
    """Smooths one hand: its depth and its pose.

    The direction of the root is left alone: an image determines it well, and its lag would be seen.
    Of a hand at rest the distance is smoothed the more, the less certain it is.
    """

    #: Hz per 1/s of depth's logarithm, and per m/s of a vertex against the root.  A steady motion
    #: of speed v lags by v / (2 pi (cutoff + beta v)), so by less than 1 / (2 pi beta), however
    #: fast: by 1.6 % of the depth, or 16 mm of a vertex.
    _BETA = 10.0

    def __init__(self) -> None:
        self._depth, self._pose = OneEuro(self._BETA), OneEuro(self._BETA)

    def __call__(
        self,
        root_m: np.ndarray,
        vertices_m: np.ndarray,
        stamp_s: float,
        cutoff_hz: float,
        depth_certainty: float = 1.0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the smoothed root (3,) and vertices (V, 3).

        Args:
            root_m: (3,) in the camera's frame.
            vertices_m: (V, 3) root-relative, in the camera's frame.
            stamp_s: time in seconds.
            cutoff_hz: cut-off frequency for a hand at rest.
            depth_certainty: factor, 0 to 1, on that of its distance.
        """
        depth = np.exp(self._depth(np.log(root_m[2:]), stamp_s, cutoff_hz * depth_certainty))
        return root_m * depth / root_m[2], self._pose(vertices_m, stamp_s, cutoff_hz)
