"""A depth image as a cue: how far it moves the visible part of a mesh, or parts of that."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cmr_ros.registration.problem import project

#: Vertices share cells of this size; what lies deeper than the nearest of a cell is hidden.
_CELL_PX = 8
_HIDDEN_M = 0.008
_FEWEST_POINTS = 20
#: Depths farther than this from where the mesh is expected belong to other things.
_GATE_M = 0.03
#: Before that is known, the mesh may be off by that many deviations of the expected depth.
_GATE_DEVIATIONS = 3
#: How often the median is taken, each time among the depths near the last one.
_MEDIAN_ROUNDS = 3
#: Neighbours err alike: about one independent point per finger-wide patch of that many vertices.
_POINTS_PER_PATCH = 16
#: The surface near a joint is that within this distance, of so many points at least.
_AROUND_M, _FEWEST_AROUND = 0.03, 8
#: Of Gaussians: deviation over the median absolute deviation, and that of a median over a mean's.
_DEVIATION_OVER_MAD, _MEDIAN_OVER_MEAN = 1.4826, 1.2533


@dataclass(frozen=True)
class DepthCue:
    """What a depth image says of a mesh's place: the mean z of the points that it shows."""

    distance_m: float  # as measured
    behind_root_m: float  # the same points against the root, of the mesh as it was fitted
    deviation_m: float  # standard deviation of the distance, less the camera's systematic errors


def measure_depth(
    *,
    vertices_m: np.ndarray,
    root_m: np.ndarray,
    growth: float,
    deviation_m: float,
    matrix: np.ndarray,
    depth_m: np.ndarray,
    size_px: int,
) -> DepthCue | None:
    """Return what a depth image that covers the crop says of a mesh, or None.

    By how much the mesh is off is the median over visible vertices, taken again among those near
    it: holes (0, NaN) and objects in front of the hand do not count.

    Args:
        vertices_m: (V, 3) root-relative, in the crop's frame.
        root_m: (3,) fitted root.
        growth: factor by which root and mesh are believed to be larger than they were fitted.
        deviation_m: standard deviation of the root's z that is believed.
        matrix: (3, 3) of the crop's camera.
        depth_m: (h, w) z in the crop's frame, 0 or NaN where unknown.
        size_px: side of the crop.

    Returns:
        The cue, or None where too few depths belong to the mesh.
    """
    points, measured = _measured(growth * (vertices_m + root_m), matrix, depth_m, size_px)
    difference = measured - points[:, 2]
    near = _near(measured, difference, _GATE_M + _GATE_DEVIATIONS * deviation_m)
    for _ in range(_MEDIAN_ROUNDS):
        if near.sum() < _FEWEST_POINTS:
            return None
        middle = np.median(difference[near])
        near = _near(measured, difference - middle, _GATE_M)
    deviation = _DEVIATION_OVER_MAD * np.median(np.abs(difference[near] - middle))
    independent = max(near.sum() / _POINTS_PER_PATCH, 1)
    expected_m = points[near, 2].mean()
    return DepthCue(
        distance_m=float(expected_m + middle),
        behind_root_m=float(expected_m / growth - root_m[2]),
        deviation_m=float(_MEDIAN_OVER_MEAN * deviation / np.sqrt(independent)),
    )


def surfaces_m(
    vertices_m: np.ndarray, joints_m: np.ndarray, matrix: np.ndarray, depth_m: np.ndarray,
    silhouette: np.ndarray, size_px: int,
) -> np.ndarray:  # fmt: skip
    """Return how much deeper than the mesh its surface near each joint is, (21,), NaN if unknown.

    Args:
        vertices_m: (V, 3) of a hand in the crop's frame.
        joints_m: (21, 3) of the same.
        matrix: (3, 3) of the crop's camera.
        depth_m: (h, w) z in the crop's frame, 0 or NaN where unknown.
        silhouette: (s, s) probabilities: what the hand holds and what covers it does not count.
        size_px: side of the crop.
    """
    hand = cv2.resize(
        np.uint8(silhouette > 0.5), depth_m.shape[::-1], interpolation=cv2.INTER_NEAREST
    )
    points, measured = _measured(vertices_m, matrix, np.where(hand, depth_m, 0), size_px)
    deeper = measured - points[:, 2]
    known = _near(measured, deeper, _GATE_M)
    points, deeper = points[known], deeper[known]
    offsets = np.full(len(joints_m), np.nan)
    for joint, middle in enumerate(joints_m):
        around = deeper[((points - middle) ** 2).sum(1) < _AROUND_M**2]
        if len(around) >= _FEWEST_AROUND:
            offsets[joint] = np.median(around)
    return offsets


def _measured(
    points_m: np.ndarray, matrix: np.ndarray, depth_m: np.ndarray, size_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the visible ones of a mesh's points, (N, 3), and the depths measured there, (N,)."""
    points, pixels = _visible(points_m, project(points_m[None], matrix[None])[0], size_px)
    size = np.array(depth_m.shape[::-1])
    column, row = np.clip(((pixels + 0.5) * (size / size_px)).astype(int), 0, size - 1).T
    return points, np.asarray(depth_m[row, column], np.float64)


def _near(measured_m: np.ndarray, off_m: np.ndarray, gate_m: float) -> np.ndarray:
    """Return which depths (N,) were measured at all, and are off by less than a gate."""
    with np.errstate(invalid="ignore"):
        near: np.ndarray = (measured_m > 0) & (np.abs(off_m) < gate_m)
    return near


def _visible(points: np.ndarray, pixels: np.ndarray, size_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the points (N, 3) and pixels (N, 2) that lie in the crop and nearest the camera."""
    shown = ((pixels >= 0) & (pixels <= size_px - 1) & (points[:, 2:] > 0)).all(-1)
    points, pixels = points[shown], pixels[shown]
    across = size_px // _CELL_PX + 1
    cell = (pixels // _CELL_PX).astype(int) @ [1, across]
    nearest = np.full(across * across, np.inf)
    np.minimum.at(nearest, cell, points[:, 2])
    front = points[:, 2] < nearest[cell] + _HIDDEN_M
    return points[front], pixels[front]
