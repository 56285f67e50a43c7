"""Measures of hand pose and shape, as the FreiHAND benchmark defines them.

Points are in metres, errors in millimetres.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import trapezoid
from scipy.spatial import cKDTree


def procrustes(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return points (..., N, 3) moved, turned and scaled onto target (..., N, 3), least squares.

    No reflection.  Points that all coincide are moved only.
    """
    mean, target_mean = (x.mean(axis=-2, keepdims=True) for x in (points, target))
    centred, goal = points - mean, target - target_mean
    u, s, vt = np.linalg.svd(np.swapaxes(goal, -1, -2) @ centred)
    sign = np.sign(np.linalg.det(u @ vt))
    s[..., -1] *= sign
    u = u * np.stack([np.ones_like(sign), np.ones_like(sign), sign], axis=-1)[..., None, :]
    size = (centred**2).sum(axis=(-1, -2))
    scale = np.where(size > 0, s.sum(axis=-1) / np.where(size > 0, size, 1), 1)[..., None, None]
    return scale * centred @ np.swapaxes(u @ vt, -1, -2) + target_mean


def distances_mm(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the distance (..., N) of each point (..., N, 3), metres, to its target."""
    return 1000 * np.linalg.norm(points - target, axis=-1)


def pck(errors: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return the share of errors (any shape) at or under each threshold (T,), same unit."""
    return np.searchsorted(np.sort(np.ravel(errors)), thresholds, side="right") / np.size(errors)


def auc(errors: np.ndarray, low: float = 0.0, high: float = 50.0, steps: int = 100) -> float:
    """Return the area under the PCK curve between two thresholds, 1 for no error at all.

    Args:
        errors: of any shape.
        low: first threshold, in the errors' unit.
        high: last threshold.
        steps: thresholds, evenly spaced.
    """
    thresholds = np.linspace(low, high, steps)
    return float(trapezoid(pck(errors, thresholds), thresholds) / (high - low))


def f_score(vertices: np.ndarray, target: np.ndarray, threshold_mm: float) -> float:
    """Return the harmonic mean of precision and recall of nearest-neighbour distances.

    vertices (V, 3) and target (W, 3) in metres; meshes of different topology may be compared.
    """
    to_target = 1000 * cKDTree(target).query(vertices)[0]
    to_vertices = 1000 * cKDTree(vertices).query(target)[0]
    precision, recall = (np.mean(d < threshold_mm) for d in (to_target, to_vertices))
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0
