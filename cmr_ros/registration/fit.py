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
from cmr_ros.registration.problem import MIN_DEPTH_M, Problem, project, supports

#: Student's t: degrees of freedom of residuals, and of the border offset (Cauchy: mostly next to
#: nothing, sometimes a lot).
_FREEDOM, _BORDER_FREEDOM = 3.0, 1.0
#: Each cue's noise before any residual is seen: its size, and how many residuals that is worth.
_JOINT_PX, _JOINT_COUNT = 2.0, 6.0
_EXTENT_PX, _EXTENT_COUNT = 1.0, 10.0
#: No cue is taken for more accurate than this.
_SMALLEST_NOISE_PX = 0.3
#: Scale of the border offset's prior.
_BORDER_PX = 0.6
_MOST_STEPS = 25
#: A hand stops when its root moves less than this.
STEP_M = 5e-4
#: What is no hand may run away; from there its equations can still be solved.
_FARTHEST_M = 1e3
#: Supporting vertices are looked for in the first steps, then kept: that makes the problem smooth.
_SEARCH_STEPS = 2
#: Factor on the weight of joints that are not to place the hand: next to nothing, but solvable.
_UNUSED = 1e-6

#: The unknowns of a hand (its state): the root, the border offset, and the bending field's rows,
#: which are added to x and y.
_ROOT, _DEPTH, _BORDER = slice(0, 3), 2, 3
_BEND_X, _BEND_Y, _BEND = slice(4, 7), slice(7, 10), slice(4, 10)
_UNKNOWNS = 10
#: The residuals of a hand: x and y of each joint in turn, then the extents.
_EXTENTS = slice(-len(NORMALS), None)
_JOINTS = slice(None, -len(NORMALS))
_JOINTS_X, _JOINTS_Y = slice(0, -len(NORMALS), 2), slice(1, -len(NORMALS), 2)


@dataclass(frozen=True, eq=False)
class Fit:
    """The fit of B hands."""

    roots_m: np.ndarray  # (B, 3)
    covariances_m2: np.ndarray  # (B, 3, 3) of the roots, for meshes of the right size
    joint_px: np.ndarray  # (B,) noise of the joints
    extent_px: np.ndarray  # (B,) noise of the extents
    border_px: np.ndarray  # (B,) how far the mesh reaches beyond the silhouette
    extents_used: np.ndarray  # (B,) sum of the extents' weights
    step_m: np.ndarray  # (B,) length of the last step


def fit_roots(
    problem: Problem,
    roots_m: np.ndarray,
    *,
    bend_strain: float,
    use_joints: bool = True,
    most_steps: int = _MOST_STEPS,
) -> Fit:
    """Return the maximum-likelihood fit.

    A hand stops when its steps are small, so its answer does not depend on the others'.

    Args:
        problem: B hands and their cues.
        roots_m: (B, 3) where the fit starts.
        bend_strain: standard deviation of the mesh's bending, as strain.
        use_joints: whether joints place the hands, or the silhouettes alone.
        most_steps: with 0 the roots stay, and the fit there is returned.
    """
    count = len(roots_m)
    state = np.zeros((count, _UNKNOWNS))
    state[:, _ROOT] = roots_m
    variances = _Variances(np.full(count, _JOINT_PX**2), np.full(count, _EXTENT_PX**2))
    moving = np.ones(count, bool)
    step_m = np.zeros(count)
    for step in range(max(most_steps, 1)):
        if step < _SEARCH_STEPS:
            sites = _sites(problem, state)
        error, rows = _linearise(sites, state)
        if step == 0:
            state[:, _BORDER] = _median(error[:, _EXTENTS], sites.shown)
            error[:, _EXTENTS] -= state[:, _BORDER, None]
        weighing = _weigh(problem, error, sites.shown, state[:, _BORDER], variances, moving)
        variances = weighing.variances
        if not use_joints:
            weighing.weight[:, _JOINTS] *= _UNUSED
        if most_steps == 0:
            break
        information, gradient = _normal_equations(rows, error, weighing.weight, state, bend_strain)
        change = np.linalg.solve(information, gradient[..., None])[..., 0] * moving[:, None]
        state -= change
        state[:, _ROOT] = state[:, _ROOT].clip(-_FARTHEST_M, _FARTHEST_M)
        state[:, _DEPTH] = np.maximum(state[:, _DEPTH], MIN_DEPTH_M)
        step_m = np.where(moving, np.sqrt((change[:, _ROOT] ** 2).sum(-1)), step_m)
        moving &= (step < _SEARCH_STEPS) | (step_m > STEP_M)
        if not moving.any():
            break
    return Fit(
        roots_m=state[:, _ROOT],
        covariances_m2=_covariances(rows, weighing.weight, state, bend_strain),
        joint_px=np.sqrt(variances.joint_px2),
        extent_px=np.sqrt(variances.extent_px2),
        border_px=state[:, _BORDER],
        extents_used=weighing.extents_used,
        step_m=step_m,
    )


@dataclass(frozen=True, eq=False)
class _Variances:
    """Each cue's variance in square pixels."""

    joint_px2: np.ndarray  # (B,)
    extent_px2: np.ndarray  # (B,)


@dataclass(frozen=True, eq=False)
class _Sites:
    """Points of the mesh, each seen along one direction in the image.

    Joints come first, twice each (x and y), then the supporting vertices of the extents.
    """

    points_m: np.ndarray  # (B, N, 3) root-relative
    axes: np.ndarray  # (B, N, 3) direction times camera matrix: axis.X / z is the pixel along it
    seen_px: np.ndarray  # (B, N) where each was seen
    shown: np.ndarray  # (B, 24) whether the silhouette shows an extent


@dataclass(frozen=True, eq=False)
class _Weighing:
    """What the residuals of B hands count."""

    variances: _Variances  # after one more EM step
    weight: np.ndarray  # (B, N) of each residual, in 1 / px^2
    extents_used: np.ndarray  # (B,) sum of the extents' relative weights


def _sites(problem: Problem, state: np.ndarray) -> _Sites:
    """Gather joints and the vertices that now support the mesh's outline."""
    roots_m = state[:, _ROOT]
    supporting = supports(problem, roots_m, state[:, _BEND].reshape(-1, 2, 3))
    # Where the mesh leaves the image, the silhouette does not show how far it would reach.
    reached = project(supporting + roots_m[:, None], problem.matrices)
    directions = np.concatenate([np.tile(np.eye(2), (problem.joints_m.shape[1], 1)), NORMALS])
    joints_px = problem.joints_px.reshape(len(state), -1)
    return _Sites(
        points_m=np.concatenate([np.repeat(problem.joints_m, 2, axis=1), supporting], axis=1),
        axes=directions @ problem.matrices[:, :2],
        seen_px=np.concatenate([joints_px, problem.extents.reach_px], axis=1),
        shown=problem.extents.shown & inside(reached, problem.lines, 0.0),
    )


def _linearise(sites: _Sites, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return errors (B, N) in pixels and their derivatives (B, N, 10) by the state."""
    moved = sites.points_m + state[:, None, _ROOT]
    moved[..., :2] += sites.points_m @ state[:, _BEND].reshape(-1, 2, 3).transpose(0, 2, 1)
    depth = np.maximum(moved[..., 2:], MIN_DEPTH_M)
    along = (sites.axes * moved).sum(-1, keepdims=True) / depth
    rows = np.zeros((*along.shape[:2], _UNKNOWNS))
    rows[..., _ROOT] = sites.axes
    rows[..., _DEPTH, None] -= along
    rows[..., _ROOT] /= depth
    rows[:, _EXTENTS, _BORDER] = -1
    by_x, by_y = rows[..., 0, None], rows[..., 1, None]
    rows[..., _BEND_X] = by_x * sites.points_m
    rows[..., _BEND_Y] = by_y * sites.points_m
    error = along[..., 0] - sites.seen_px
    error[:, _EXTENTS] -= state[:, _BORDER, None]
    return error, rows


def _weigh(
    problem: Problem,
    error: np.ndarray,
    shown: np.ndarray,
    border_px: np.ndarray,
    variances: _Variances,
    moving: np.ndarray,
) -> _Weighing:
    """Return what residuals (B, N) count after one EM step for the moving hands."""
    joint_square = error[:, _JOINTS_X] ** 2 + error[:, _JOINTS_Y] ** 2
    # A silhouette that is off by much is off unevenly, too.
    slack = 1 + border_px[:, None] ** 2
    joint_px2, joint_weight = _student(
        square=joint_square * problem.precision,
        variance=variances.joint_px2,
        dimension=2,
        used=problem.precision > 0,
        prior_sum=_JOINT_COUNT * _JOINT_PX**2,
        prior_count=_JOINT_COUNT - 3,  # the joints determine the three numbers of the root
        moving=moving,
    )
    extent_px2, extent_weight = _student(
        square=error[:, _EXTENTS] ** 2 / slack,
        variance=variances.extent_px2,
        dimension=1,
        used=shown,
        prior_sum=_EXTENT_COUNT * _EXTENT_PX**2,
        prior_count=_EXTENT_COUNT,
        moving=moving,
    )
    joint_weight *= problem.precision
    extent_weight /= slack
    weight = np.empty_like(error)
    weight[:, _JOINTS_X] = weight[:, _JOINTS_Y] = joint_weight / joint_px2[:, None]
    weight[:, _EXTENTS] = extent_weight / extent_px2[:, None]
    return _Weighing(_Variances(joint_px2, extent_px2), weight, extent_weight.sum(1))


def _student(
    *,
    square: np.ndarray,
    variance: np.ndarray,
    dimension: int,
    used: np.ndarray,
    prior_sum: float,
    prior_count: float,
    moving: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return variances (B,) of moving hands and weights (B, N) of Student's t after an EM step.

    square: (B, N) squared residuals, each of the given dimension; only the used ones count.
    """
    weight = used * (_FREEDOM + dimension) / (_FREEDOM + square / variance[:, None])
    freedom = np.maximum(prior_count + dimension * used.sum(1), 1)
    found = np.maximum((prior_sum + (weight * square).sum(1)) / freedom, _SMALLEST_NOISE_PX**2)
    return np.where(moving, found, variance), weight


def _median(values: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return the (lower) median (B,) of the used ones of values (B, N), 0 where there are none."""
    ordered = np.sort(np.where(used, values, np.inf), axis=1)
    middle = ordered[np.arange(len(values)), np.maximum(used.sum(1) - 1, 0) // 2]
    return np.where(used.any(1), middle, 0.0)


def _covariances(
    rows: np.ndarray, weight: np.ndarray, state: np.ndarray, bend_strain: float
) -> np.ndarray:
    """Return the covariances (B, 3, 3) of the roots, from the Fisher information of Student's t.

    It is smaller than that of Gaussians with the same weights by (v + d) / (v + d + 2).
    """
    fisher = np.empty(weight.shape[1])
    fisher[_JOINTS] = (_FREEDOM + 2) / (_FREEDOM + 4)
    fisher[_EXTENTS] = (_FREEDOM + 1) / (_FREEDOM + 3)
    no_error = np.zeros_like(weight)
    information, _ = _normal_equations(rows, no_error, weight * fisher, state, bend_strain)
    return np.linalg.inv(information)[:, _ROOT, _ROOT]


def _normal_equations(
    rows: np.ndarray, error: np.ndarray, weight: np.ndarray, state: np.ndarray, bend_strain: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the information (B, 10, 10) and the gradient (B, 10) of all residuals and priors."""
    weighted = rows.transpose(0, 2, 1) * weight[:, None]
    border_px2 = state[:, _BORDER] ** 2
    prior = np.zeros_like(state)
    prior[:, _BORDER] = (_BORDER_FREEDOM + 1) / (_BORDER_FREEDOM * _BORDER_PX**2 + border_px2)
    prior[:, _BEND] = 1 / bend_strain**2
    information = weighted @ rows
    diagonal = range(_UNKNOWNS)
    information[:, diagonal, diagonal] += prior
    return information, (weighted @ error[..., None])[..., 0] + prior * state
