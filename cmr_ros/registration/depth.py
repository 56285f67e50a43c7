"""An aligned depth picture as a cue: how far it moves the visible part of a mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Vertices share cells of this size; what lies deeper than the nearest of a cell is hidden.
_CELL_PX = 8
_HIDDEN_M = 0.008
_FEWEST_POINTS = 20
#: Depths farther from the mesh than this, besides three deviations of its place, are other things.
_GATE_M = 0.03


@dataclass(frozen=True)
class DepthCue:
    """offset_m: by how much the mesh is to move along z.  distance_m: mean z of its points used.

    deviation_m: standard deviation of the offset, without systematic errors of the camera.
    """

    offset_m: float
    distance_m: float
    deviation_m: float


def measure_depth(
    vertices_m: np.ndarray,
    root_m: np.ndarray,
    covariance_m2: np.ndarray,
    matrix: np.ndarray,
    depth_m: np.ndarray,
    size_px: int,
) -> DepthCue | None:
    """Return what a depth picture (h, w) that covers the crop says of a mesh, or None.

    vertices_m: (V, 3) around root_m.  The offset is the median over visible vertices, taken again
    among those near it: holes (0, NaN) and objects in front of the hand do not count.
    """
    points = vertices_m + root_m
    pixels = (points @ matrix.T)[:, :2] / np.maximum(points[:, 2:], 1e-6)
    points, pixels = _visible(points, pixels, size_px)
    scale = np.array(depth_m.shape[::-1]) / size_px
    column, row = np.clip(
        ((pixels + 0.5) * scale).astype(int), 0, np.array(depth_m.shape[::-1]) - 1
    ).T
    measured = np.asarray(depth_m[row, column], np.float64)
    difference = measured - points[:, 2]
    gate = _GATE_M + 3 * np.sqrt(covariance_m2[2, 2]) + 0.15 * root_m[2]
    with np.errstate(invalid="ignore"):
        near = (measured > 0) & (np.abs(difference) < gate)
    for _ in range(3):
        if near.sum() < _FEWEST_POINTS:
            return None
        middle = np.median(difference[near])
        with np.errstate(invalid="ignore"):
            near = (measured > 0) & (np.abs(difference - middle) < _GATE_M)
    spread = 1.4826 * np.median(np.abs(difference[near] - middle))
    # Neighbours err alike: about one independent point per finger-wide patch.
    independent = max(near.sum() / 16, 1)
    return DepthCue(
        float(middle), float(points[near, 2].mean()), float(1.2533 * spread / np.sqrt(independent))
    )


def _visible(points: np.ndarray, pixels: np.ndarray, size_px: int):
    """Return the points (N, 3) and pixels (N, 2) that lie in the crop and nearest the camera."""
    shown = ((pixels >= 0) & (pixels <= size_px - 1) & (points[:, 2:] > 0)).all(-1)
    points, pixels = points[shown], pixels[shown]
    across = size_px // _CELL_PX + 1
    cell = (pixels // _CELL_PX).astype(int) @ [1, across]
    nearest = np.full(across * across, np.inf)
    np.minimum.at(nearest, cell, points[:, 2])
    front = points[:, 2] < nearest[cell] + _HIDDEN_M
    return points[front], pixels[front]
