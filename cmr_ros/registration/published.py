"""The registration of the CMR paper (section 3.3), for comparison with our own.

2D: joints by an algebraic residual, which depth multiplies; inliers are selected again in up to
five rounds.  1D: the silhouette's extents.  Adaptive: near together (2 cm) the 2D answer counts,
far apart (6 cm) the 1D answer, between them a blend.  Minima by least squares instead of SLSQP.
"""

from __future__ import annotations

import numpy as np

from cmr_ros.registration.extents import FEWEST_EXTENTS, NORMALS
from cmr_ros.registration.problem import MIN_DEPTH_M, Problem, linear_roots, project, supports

#: Distance of the 2D and the 1D answer up to which the former counts, and from which the latter.
_AGREED_M, _APART_M = 0.02, 0.06
#: The published optimiser's bounds of the root's depth.
_DEPTH_RANGE_M = 0.3, 2.0
_INLIER_ROUNDS, _EXTENT_STEPS = 5, 10
#: Joints are confident above this part of the median confidence, inliers below this many median
#: errors.
_CONFIDENT, _INLIER = 0.5, 2.5


def published_roots(problem: Problem) -> np.ndarray:
    """Return the roots (B, 3) of the adaptive scheme."""
    from_joints = roots_2d(problem)
    from_extents = roots_1d(problem, from_joints)
    apart = np.linalg.norm(from_joints - from_extents, axis=-1, keepdims=True)
    blend = np.clip((apart - _AGREED_M) / (_APART_M - _AGREED_M), 0, 1)
    return (1 - blend) * from_joints + blend * from_extents


def roots_2d(problem: Problem) -> np.ndarray:
    """Return the roots (B, 3) that joints alone give."""
    confident = selected = problem.precision > _CONFIDENT**2
    for _ in range(_INLIER_ROUNDS):
        roots = _clamped(linear_roots(problem, selected.astype(float)))
        pixels = project(problem.joints_m + roots[:, None], problem.matrices)
        error = np.linalg.norm(pixels - problem.joints_px, axis=-1)
        typical = np.ma.median(  # type: ignore[no-untyped-call]
            np.ma.array(error, mask=~confident), axis=1
        ).filled(0)
        selected = confident & (error <= _INLIER * typical[:, None])
    return roots


def roots_1d(problem: Problem, roots_m: np.ndarray) -> np.ndarray:
    """Return the roots (B, 3) that extents alone give, starting at roots (B, 3)."""
    shown = problem.extents.shown
    enough = (shown.sum(1) >= FEWEST_EXTENTS)[:, None]
    roots = roots_m
    for _ in range(_EXTENT_STEPS):
        points = supports(problem, roots) + roots[:, None]
        along = (project(points, problem.matrices) * NORMALS).sum(-1)
        rows = NORMALS @ problem.matrices[:, :2]
        rows[..., 2] -= along
        rows = rows / np.maximum(points[..., 2:], MIN_DEPTH_M) * shown[..., None]
        error = (along - problem.extents.reach_px) * shown
        system = rows.transpose(0, 2, 1) @ rows
        system += 1e-9 * (1 + np.trace(system, axis1=1, axis2=2)[:, None, None]) * np.eye(3)
        change = np.linalg.solve(system, rows.transpose(0, 2, 1) @ error[..., None])[..., 0]
        roots = np.where(enough, _clamped(roots - change), roots)
    return roots


def _clamped(roots_m: np.ndarray) -> np.ndarray:
    return np.concatenate([roots_m[:, :2], np.clip(roots_m[:, 2:], *_DEPTH_RANGE_M)], axis=1)
