"""The maximum-likelihood fit: robust Gauss-Newton on the pixel residuals of all cues at once.

Unknown per hand: the root, and nuisances with priors: a border offset by which the silhouette as
a whole is too small or too large, and a linear field that bends the mesh.  Residuals follow
Student's t; each cue's scale is estimated along with the root (EM), so the cue that fits better
weighs more and wrong joints or occluded sides weigh little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmr_ros.registration.extents import NORMALS, inside
from cmr_ros.registration.problem import NEAREST_M, Problem, project, supports

#: Student's t: degrees of freedom of residuals, and of the border offset (Cauchy: mostly next to
#: nothing, sometimes a lot).
_FREEDOM, _BORDER_FREEDOM = 3.0, 1.0
#: Each cue's noise before any residual is seen: its size, and how many residuals that is worth.
_JOINT_PX, _JOINT_COUNT = 2.0, 6.0
_EXTENT_PX, _EXTENT_COUNT = 1.0, 10.0
_SMALLEST_PX = 0.3
_BORDER_PX = 0.6
_MOST_STEPS = 25
_STEP_M = 5e-4
#: Supporting vertices are looked for in the first steps, then kept: that makes the problem smooth.
_SEARCH_STEPS = 2
_EXTENTS = slice(-len(NORMALS), None)


@dataclass(frozen=True)
class Fit:
    """Roots (B, 3), their covariances (B, 3, 3) for a mesh of the right size, and the fit.

    joint_px and extent_px: (B,) noise of the cues.  border_px: (B,) how far the mesh reaches
    beyond the silhouette.  extents_used: (B,) sum of the extents' weights.  rms_px: (B,) of the
    joints.  step_m: (B,) length of the last step.
    """

    roots_m: np.ndarray
    covariances_m2: np.ndarray
    joint_px: np.ndarray
    extent_px: np.ndarray
    border_px: np.ndarray
    extents_used: np.ndarray
    rms_px: np.ndarray
    step_m: np.ndarray


def fit_roots(
    problem: Problem,
    roots_m: np.ndarray,
    shape: float,
    use_joints: bool = True,
    most_steps: int = _MOST_STEPS,
) -> Fit:
    """Return the fit that starts at roots (B, 3); with no steps allowed, the fit there.

    shape: standard deviation of the mesh's bending, as strain.  A hand stops when its steps are
    small, so its answer does not depend on the others'.
    """
    count = len(roots_m)
    state = np.zeros((count, 10))  # root, border offset, two rows of the bending field
    state[:, :3] = roots_m
    noise = _Noise(np.full(count, _JOINT_PX**2), np.full(count, _EXTENT_PX**2))
    moving = np.ones(count, bool)
    step_m = np.zeros(count)
    for step in range(max(most_steps, 1)):
        if step < _SEARCH_STEPS:
            sites = _sites(problem, state)
        error, rows = _linearise(sites, state)
        if step == 0:
            state[:, 3] = _median(error[:, _EXTENTS], sites.shown)
            error[:, _EXTENTS] -= state[:, 3:4]
        noise, weight, extents_used, square = _weigh(
            problem, error, sites.shown, state, noise, moving
        )
        if not use_joints:
            weight[:, : _EXTENTS.start] *= 1e-6
        information, gradient = _normal_equations(rows, error, weight, state, shape)
        if most_steps == 0:
            break
        change = np.linalg.solve(information, gradient[..., None])[..., 0] * moving[:, None]
        state -= change
        np.maximum(state[:, 2], NEAREST_M, out=state[:, 2])
        step_m = np.where(moving, np.sqrt((change[:, :3] ** 2).sum(-1)), step_m)
        moving &= (step < _SEARCH_STEPS) | (step_m > _STEP_M)
        if not moving.any():
            break
    total = np.maximum(problem.precision.sum(1), 1e-12)
    return Fit(
        state[:, :3],
        _covariances(rows, weight, state, shape),
        np.sqrt(noise.joint_px2),
        np.sqrt(noise.extent_px2),
        state[:, 3],
        extents_used,
        np.sqrt((problem.precision * square).sum(1) / total),
        step_m,
    )


@dataclass(frozen=True)
class _Noise:
    """Variance (B,) of each cue in square pixels."""

    joint_px2: np.ndarray
    extent_px2: np.ndarray


@dataclass(frozen=True)
class _Sites:
    """Points of the mesh, each seen along one direction in the picture.

    Joints come first, twice each (x and y), then the supporting vertices of the extents.
    points_m: (B, N, 3) root-relative.  axes: (B, N, 3) the direction times the camera matrix:
    axis.X / z is the pixel coordinate along it.  seen_px: (B, N) where it was seen.  shown:
    (B, 24) whether the silhouette shows an extent.
    """

    points_m: np.ndarray
    axes: np.ndarray
    seen_px: np.ndarray
    shown: np.ndarray


def _sites(problem: Problem, state: np.ndarray) -> _Sites:
    """Gather joints and the vertices that now support the mesh's outline."""
    supporting = supports(problem, state[:, :3], state[:, 4:].reshape(-1, 2, 3))
    # Where the mesh leaves the picture, the silhouette does not show how far it would reach.
    reached = project(supporting + state[:, None, :3], problem.matrices)
    directions = np.concatenate([np.tile(np.eye(2), (problem.joints_m.shape[1], 1)), NORMALS])
    return _Sites(
        np.concatenate([np.repeat(problem.joints_m, 2, axis=1), supporting], axis=1),
        directions @ problem.matrices[:, :2],
        np.concatenate(
            [problem.joints_px.reshape(len(state), -1), problem.extents.reach_px], axis=1
        ),
        problem.extents.shown & inside(reached, problem.lines, 0.0),
    )


def _linearise(sites: _Sites, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return errors (B, N) in pixels and their derivatives (B, N, 10) by the state."""
    moved = sites.points_m + state[:, None, :3]
    moved[..., :2] += sites.points_m @ state[:, 4:].reshape(-1, 2, 3).transpose(0, 2, 1)
    depth = np.maximum(moved[..., 2:], NEAREST_M)
    along = (sites.axes * moved).sum(-1, keepdims=True) / depth
    rows = np.zeros((*along.shape[:2], 10))
    rows[..., :3] = sites.axes
    rows[..., 2:3] -= along
    rows[..., :3] /= depth
    rows[:, _EXTENTS, 3] = -1
    rows[..., 4:7] = rows[..., :1] * sites.points_m
    rows[..., 7:] = rows[..., 1:2] * sites.points_m
    error = along[..., 0] - sites.seen_px
    error[:, _EXTENTS] -= state[:, 3:4]
    return error, rows


def _weigh(problem: Problem, error, shown, state, noise: _Noise, moving):
    """Return the noise after one EM step, weights (B, N), extents used (B,), squares (B, J)."""
    square = error[:, : _EXTENTS.start : 2] ** 2 + error[:, 1 : _EXTENTS.start : 2] ** 2
    slack = 1 + state[:, 3:4] ** 2  # a silhouette that is off by much is off unevenly, too
    joint_px2, joint_weight = _student(
        square * problem.precision, noise.joint_px2, 2, problem.precision > 0,
        _JOINT_COUNT * _JOINT_PX**2, _JOINT_COUNT - 3, moving,
    )  # fmt: skip
    extent_px2, extent_weight = _student(
        error[:, _EXTENTS] ** 2 / slack, noise.extent_px2, 1, shown,
        _EXTENT_COUNT * _EXTENT_PX**2, _EXTENT_COUNT, moving,
    )  # fmt: skip
    joint_weight *= problem.precision
    extent_weight /= slack
    weight = np.empty_like(error)
    weight[:, : _EXTENTS.start : 2] = joint_weight / joint_px2[:, None]
    weight[:, 1 : _EXTENTS.start : 2] = weight[:, : _EXTENTS.start : 2]
    weight[:, _EXTENTS] = extent_weight / extent_px2[:, None]
    return _Noise(joint_px2, extent_px2), weight, extent_weight.sum(1), square


def _student(square, variance, dimension, used, prior_sum, prior_count, moving):
    """Return variances (B,) of moving hands and weights (B, N) of Student's t after an EM step.

    square: (B, N) squared residuals, each of the given dimension; only the used ones count.
    """
    weight = used * (_FREEDOM + dimension) / (_FREEDOM + square / variance[:, None])
    freedom = np.maximum(prior_count + dimension * used.sum(1), 1)
    found = np.maximum((prior_sum + (weight * square).sum(1)) / freedom, _SMALLEST_PX**2)
    return np.where(moving, found, variance), weight


def _median(values: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return the (lower) median (B,) of the used ones of values (B, N), 0 where there are none."""
    ordered = np.sort(np.where(used, values, np.inf), axis=1)
    middle = ordered[np.arange(len(values)), np.maximum(used.sum(1) - 1, 0) // 2]
    return np.where(used.any(1), middle, 0.0)


def _covariances(rows, weight, state, shape) -> np.ndarray:
    """Return the covariances (B, 3, 3) of the roots, from the Fisher information of Student's t.

    It is smaller than that of Gaussians with the same weights by (v + d) / (v + d + 2).
    """
    fisher = np.full(weight.shape[1], (_FREEDOM + 2) / (_FREEDOM + 4))
    fisher[_EXTENTS] = (_FREEDOM + 1) / (_FREEDOM + 3)
    information, _ = _normal_equations(rows, np.zeros_like(weight), weight * fisher, state, shape)
    return np.linalg.inv(information)[:, :3, :3]


def _normal_equations(rows, error, weight, state, shape):
    """Return the information (B, 10, 10) and the gradient (B, 10) of all residuals and priors."""
    weighted = rows.transpose(0, 2, 1) * weight[:, None]
    prior = np.zeros_like(state)
    prior[:, 3] = (_BORDER_FREEDOM + 1) / (_BORDER_FREEDOM * _BORDER_PX**2 + state[:, 3] ** 2)
    prior[:, 4:] = 1 / shape**2
    information = weighted @ rows
    information[:, range(10), range(10)] += prior
    return information, (weighted @ error[..., None])[..., 0] + prior * state
