"""The maximum-likelihood fit behind the registration: robust Gauss-Newton on pixel residuals.

Unknown per hand: the root translation, and nuisances with priors: one border offset by which the
whole silhouette is too large or too small, and a linear field that bends the mesh.  Residuals of
joints and of extents follow Student's t; each cue's scale is estimated along (EM), so the cue
that fits better weighs more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmr_ros.extents import NORMALS, Extents, inside

#: Student's t: degrees of freedom of residuals and of the border offset (Cauchy: often nothing,
#: sometimes a lot).
_FREEDOM, _BORDER_FREEDOM = 3.0, 1.0
#: Prior of each cue's noise: its typical size, worth this many residuals.
_JOINT_PX, _JOINT_COUNT = 2.0, 6.0
_EXTENT_PX, _EXTENT_COUNT = 1.0, 10.0
_BORDER_PX = 0.8
_SMALLEST_PX = 0.3
_NEAREST_M = 0.05
_MOST_STEPS = 25
_STEP_M = 1e-4
#: Supporting vertices are looked for anew in the first steps, then kept: the problem is smooth.
_SEARCH_STEPS = 2


@dataclass(frozen=True)
class Problem:
    """B hands with usable cues, in crops' frames and pixels.

    vertices_m: (B, V, 3), joints_m: (B, 21, 3) root-relative.  matrices: (B, 3, 3).  joints_px:
    (B, 21, 2) finite.  precision: (B, 21) relative inverse variance, 0 for joints not to use.
    extents: of the silhouettes.  lines: (B, L, 3) edges of the picture.  shape: standard
    deviation of the mesh's bending strain.  size_px: of the crops.
    """

    vertices_m: np.ndarray
    joints_m: np.ndarray
    matrices: np.ndarray
    joints_px: np.ndarray
    precision: np.ndarray
    extents: Extents
    lines: np.ndarray
    shape: float
    use_joints: bool = True


@dataclass(frozen=True)
class Fit:
    """Roots (B, 3), their covariances (B, 3, 3) at the mesh's own size, and how well they fit.

    joint_px and extent_px: (B,) noise of the cues.  border_px: (B,) how far the mesh reaches
    beyond the silhouette.  extents_used: (B,) sum of extents' weights.  rms_px: (B,) of joints.
    step_m: (B,) length of the last step.
    """

    roots_m: np.ndarray
    covariances_m2: np.ndarray
    joint_px: np.ndarray
    extent_px: np.ndarray
    border_px: np.ndarray
    extents_used: np.ndarray
    rms_px: np.ndarray
    step_m: np.ndarray


def linear_roots(problem: Problem, weight: np.ndarray) -> np.ndarray:
    """Return roots (B, 3) from joints weighted by (B, 21), by linear least squares.

    The residual is algebraic: pixels times depth.
    """
    # Seen u and point X agree when (M - u e3) X = 0: linear in the root.
    rows = np.repeat(problem.matrices[:, None, :2], problem.joints_px.shape[1], axis=1)
    rows[..., 2] -= problem.joints_px
    target = -(rows @ problem.joints_m[..., None])
    root = np.sqrt(weight)[..., None, None]
    flat, right = (rows * root).reshape(len(rows), -1, 3), (target * root).reshape(len(rows), -1, 1)
    system = flat.transpose(0, 2, 1) @ flat
    # A trace of the identity keeps joints that all coincide solvable; the hand fails later.
    system += 1e-12 * np.trace(system, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    return np.linalg.solve(system, flat.transpose(0, 2, 1) @ right)[..., 0]


def closed_form_roots(problem: Problem) -> np.ndarray:
    """Return roots (B, 3) from joints alone: linear, repeated with weights that make it L1."""
    weight = problem.precision
    for _ in range(4):
        roots = linear_roots(problem, weight)
        points = problem.joints_m + roots[:, None]
        error = np.linalg.norm(_project(points, problem.matrices) - problem.joints_px, axis=-1)
        depth = np.maximum(points[..., 2], _NEAREST_M)
        weight = problem.precision / np.maximum(error, 0.5) / depth**2
    return roots


def fit_roots(problem: Problem, roots_m: np.ndarray, most_steps: int = _MOST_STEPS) -> Fit:
    """Return the fit that starts at roots (B, 3); with no steps allowed, the fit there."""
    count, joints = problem.precision.shape
    state = np.zeros((count, 10))  # root, border offset, two rows of the bending field
    state[:, :3] = roots_m
    joint_var = np.full(count, _JOINT_PX**2)
    extent_var = np.full(count, _EXTENT_PX**2)
    for step in range(most_steps + 1):
        if step < _SEARCH_STEPS:
            sites = _sites(problem, state)
        error, rows, pixels = _linearise(sites, state)
        joint_error, extent_error = error[:, : 2 * joints], error[:, 2 * joints :]
        # Where the mesh leaves the picture, the silhouette does not show how far it would reach.
        shown = problem.extents.shown & inside(pixels, problem.lines, 0.0)
        if step == 0:
            state[:, 3] = _median(extent_error, shown)
            extent_error -= state[:, 3:4]
        slack = 1 + state[:, 3:4] ** 2  # a silhouette that is off by much is off unevenly, too
        square = (joint_error**2).reshape(count, joints, 2).sum(-1)
        joint_var, joint_weight = _reweigh(
            square * problem.precision, joint_var, 2, problem.precision > 0,
            _JOINT_PX, _JOINT_COUNT, 3,
        )  # fmt: skip
        extent_var, extent_weight = _reweigh(
            extent_error**2 / slack, extent_var, 1, shown, _EXTENT_PX, _EXTENT_COUNT, 0
        )
        information, gradient = _normal_equations(
            problem, state, error, rows, joint_weight / joint_var[:, None],
            extent_weight / slack / extent_var[:, None],
        )  # fmt: skip
        if step == most_steps:
            break
        change = np.linalg.solve(information, gradient[..., None])[..., 0]
        state -= change
        np.maximum(state[:, 2], _NEAREST_M, out=state[:, 2])
        step_m = np.sqrt((change[:, :3] ** 2).sum(-1))
        if step >= _SEARCH_STEPS and step_m.max() < _STEP_M:
            break
    total = np.maximum(problem.precision.sum(1), 1e-12)
    return Fit(
        state[:, :3],
        np.linalg.inv(information)[:, :3, :3],
        np.sqrt(joint_var),
        np.sqrt(extent_var),
        state[:, 3],
        (extent_weight / slack).sum(1),
        np.sqrt((problem.precision * square).sum(1) / total),
        step_m if most_steps else np.zeros(count),
    )


@dataclass(frozen=True)
class _Sites:
    """Points of the mesh, each seen along one direction in the picture.

    Joints come first, twice each (x and y), then the supporting vertices of the extents.
    points_m: (B, N, 3) root-relative.  axes: (B, N, 3) the direction times the camera matrix, so
    that axis.X / z is the pixel coordinate along it.  seen_px: (B, N) where it was seen.
    matrices: (B, 3, 3).
    """

    points_m: np.ndarray
    axes: np.ndarray
    seen_px: np.ndarray
    matrices: np.ndarray


def _sites(problem: Problem, state: np.ndarray) -> _Sites:
    """Gather joints and the vertices that support the mesh's outline at present."""
    count = len(state)
    _, supporting = supports(problem, _bent(problem.vertices_m, state))
    directions = np.concatenate([np.tile(np.eye(2), (problem.joints_m.shape[1], 1)), NORMALS])
    return _Sites(
        np.concatenate([np.repeat(problem.joints_m, 2, axis=1), supporting], axis=1),
        directions @ problem.matrices[:, :2],
        np.concatenate([problem.joints_px.reshape(count, -1), problem.extents.reach_px], axis=1),
        problem.matrices,
    )


def _linearise(sites: _Sites, state: np.ndarray):
    """Return errors (B, N), derivatives (B, N, 10) by the state and supports' pixels (B, 24, 2)."""
    moved = _bent(sites.points_m, state)
    depth = np.maximum(moved[..., 2:], _NEAREST_M)
    along = (sites.axes * moved).sum(-1, keepdims=True) / depth
    extents = slice(-len(NORMALS), None)
    rows = np.zeros((*along.shape[:2], 10))
    rows[..., :3] = sites.axes
    rows[..., 2:3] -= along
    rows[..., :3] /= depth
    rows[:, extents, 3] = -1
    rows[..., 4:7] = rows[..., :1] * sites.points_m
    rows[..., 7:] = rows[..., 1:2] * sites.points_m
    error = along[..., 0] - sites.seen_px
    error[:, extents] -= state[:, 3:4]
    pixels = moved[:, extents] @ sites.matrices[:, :2].transpose(0, 2, 1) / depth[:, extents]
    return error, rows, pixels


def _bent(points_m: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Return root-relative points (B, N, 3) bent by the state's field and moved to its root."""
    bend = points_m @ state[:, 4:].reshape(-1, 2, 3).transpose(0, 2, 1)
    moved = points_m + state[:, None, :3]
    moved[..., :2] += bend
    return moved


def _project(points_m: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    flat = points_m @ matrices[:, :2].transpose(0, 2, 1)
    return flat / np.maximum(points_m[..., 2:], _NEAREST_M)


def supports(problem: Problem, points_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which vertex, at points (B, V, 3), reaches farthest along each normal.

    Returns its index (B, 24) and its root-relative place (B, 24, 3).
    """
    pixels = _project(points_m, problem.matrices).astype(np.float32)
    indices = (NORMALS.astype(np.float32) @ pixels.transpose(0, 2, 1)).argmax(-1)
    return indices, np.take_along_axis(problem.vertices_m, indices[..., None], axis=1)


def rows_by_root(points_m: np.ndarray, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (B, N, 2) of points (B, N, 3) and their derivatives (B, N, 2, 3) by them."""
    pixels = _project(points_m, matrices)
    rows = np.repeat(matrices[:, None, :2], points_m.shape[1], axis=1)
    rows[..., 2] -= pixels
    return pixels, rows / np.maximum(points_m[..., 2:], _NEAREST_M)[..., None]


def _reweigh(square, variance, dimension, used, prior_px, prior_count, lost):
    """Return one EM step of Student's t: variances (B,) and weights (B, N) of residuals.

    square: (B, N) squared residuals of the given dimension; lost: degrees of freedom the fit took.
    """
    weight = used * (_FREEDOM + dimension) / (_FREEDOM + square / variance[:, None])
    total = prior_count * prior_px**2 + (weight * square).sum(1)
    freedom = prior_count + np.maximum(dimension * used.sum(1) - lost, 0)
    return np.maximum(total / freedom, _SMALLEST_PX**2), weight


def _median(values: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return the median (B,) of the used ones of values (B, N), 0 where there are none."""
    ordered = np.sort(np.where(used, values, np.inf), axis=1)
    middle = ordered[np.arange(len(values)), np.maximum(used.sum(1) - 1, 0) // 2]
    return np.where(used.any(1), middle, 0.0)


def _normal_equations(problem, state, error, rows, joint_weight, extent_weight):
    """Return the information (B, 10, 10) and the gradient (B, 10) of all residuals and priors."""
    joint_weight = joint_weight * problem.precision * (1 if problem.use_joints else 1e-6)
    weight = np.concatenate([np.repeat(joint_weight, 2, axis=1), extent_weight], axis=1)
    weighted = rows.transpose(0, 2, 1) * weight[:, None]
    prior = np.empty_like(state)
    prior[:, :3] = 0
    prior[:, 3] = (_BORDER_FREEDOM + 1) / (_BORDER_FREEDOM * _BORDER_PX**2 + state[:, 3] ** 2)
    prior[:, 4:] = 1 / problem.shape**2
    information = weighted @ rows
    information[:, range(10), range(10)] += prior
    return information, (weighted @ error[..., None])[..., 0] + prior * state
