"""Simple solids for hands to hold, wear or hide behind."""

from __future__ import annotations

import numpy as np

_LATITUDES, _LONGITUDES = 17, 24


def superquadric(
    half_size_m: np.ndarray, roundness: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices (V, 3), faces (F, 3) and corner UVs (F, 3, 2) of a superquadric.

    half_size_m: (3,) half axes.  roundness: exponents along latitude and longitude; (1, 1) is an
    ellipsoid, (0.15, 1) a can whose axis is z, (0.15, 0.15) a box (Barr 1981).
    """
    latitude = np.linspace(-np.pi / 2, np.pi / 2, _LATITUDES)[:, None]
    longitude = np.linspace(-np.pi, np.pi, _LONGITUDES + 1)[None]
    ring = _power(np.cos(latitude), roundness[0])
    unit = np.stack(
        [
            ring * _power(np.cos(longitude), roundness[1]),
            ring * _power(np.sin(longitude), roundness[1]),
            _power(np.sin(latitude), roundness[0]) + 0 * longitude,
        ],
        axis=-1,
    )
    return unit.reshape(-1, 3) * half_size_m, *grid(_LATITUDES, _LONGITUDES + 1)


def torus(
    radius_m: float, tube_m: float, width: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices, faces and corner UVs of a ring around z, `width` times as wide as thick."""
    around = np.linspace(0, 2 * np.pi, _LONGITUDES + 1)[:, None]
    tube = np.linspace(0, 2 * np.pi, 9)[None]
    radius = radius_m + tube_m * np.cos(tube)
    vertices = np.stack(
        [
            radius * np.cos(around),
            radius * np.sin(around),
            width * tube_m * np.sin(tube) + 0 * around,
        ],
        axis=-1,
    )
    return vertices.reshape(-1, 3), *grid(_LONGITUDES + 1, 9)


def _power(base: np.ndarray, exponent: float) -> np.ndarray:
    return np.sign(base) * np.abs(base) ** exponent


def grid(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return faces (F, 3) and corner UVs (F, 3, 2) of a grid of rows x columns vertices."""
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], -2).reshape(-1, 3)
    uv = np.stack([index % columns / (columns - 1), index // columns / (rows - 1)], -1)
    return faces, uv.reshape(-1, 2)[faces].astype(np.float32)
