"""The fit of a hand in several calibrated views: its joints are triangulated.

Unknown are root, scale and joints.  The joints lie around those of the views' mean mesh: they err
together where they are near each other (a Gaussian process over the hand).  What a network sees of
them errs from view to view: joint by joint, by Student's t with a scale of each view's own, and as
a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cmr_ros.geometry.stereo_matching import MatchedDepth
from cmr_ros.hand import Cues
from cmr_ros.registration.estimate import RootEstimate
from cmr_ros.registration.problem import MIN_DEPTH_M

#: Of the joints around the mean mesh, across the line of sight and along it: standard deviation and
#: reach of what they have in common.  Networks misjudge slant most.  What each has of its own.
_SHARED_M, _REACH_M = (0.006, 0.006, 0.012), (0.08, 0.08, 0.2)
_OWN_M = 0.002
#: What a view shows of a joint, at the hand: noise before any residual is seen, how many joints
#: that is worth, and the least it can be.
_JOINT_M, _JOINT_COUNT, _LEAST_JOINT_M = 0.004, 10.0, 0.001
#: Standard deviation of what a view shows of the hand as a whole, against other views.
_VIEW_M = 0.0005
_FREEDOM = 3.0
_MOST_STEPS = 10
#: The fit ends when the root moves less.
_STEP_M = 2e-4
#: Where the joints' deviations are among the unknowns, see `_fit`.
_BENDS = slice(4, 67)
#: Standard deviations of the hand's surface against the mesh's, all of it and near each joint.
SKIN_M, SURFACE_M = 0.002, 0.0025


@dataclass(frozen=True, eq=False)
class View:
    """A hand in a crop of another camera's image: what a network predicts there."""

    vertices_m: np.ndarray  # (V, 3) root-relative, in this crop's frame
    joints_m: np.ndarray  # (21, 3) root-relative
    cues: Cues
    matrix: np.ndarray  # (3, 3) of the crop's camera
    rotation: np.ndarray  # (3, 3): this crop's frame = rotation @ first crop's + translation_m
    translation_m: np.ndarray  # (3,)
    #: Depths by matching this image with the first one, in the first one's crop.
    matched: MatchedDepth | None = None
    #: (L, 3) where the image ends, see `register`
    edges: np.ndarray = field(default_factory=lambda: np.empty((0, 3)))


@dataclass(frozen=True, eq=False)
class Sight:
    """A view with what it says alone."""

    view: View
    precision: np.ndarray  # (21,) relative inverse variance of the joints seen, 0: not to use
    estimate: RootEstimate

    def middle(self) -> np.ndarray:
        """Return the mean joint (3,) in the crop's frame, for a hand of the mesh's own size."""
        return self.estimate.translation_m / self.estimate.scale + self.view.joints_m.mean(0)


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Where depths show the joints: as far below the surface as they are in the mesh."""

    depth_m: np.ndarray  # (21,) z in the first crop's frame, NaN where unknown
    #: Standard deviations: of what all have in common, and of each.
    alike_m: float
    each_m: float


@dataclass(frozen=True, eq=False)
class ViewsFit:
    """The fit of a hand in several views."""

    root_m: np.ndarray  # (3,) in the first crop's frame
    covariance_m2: np.ndarray  # (3, 3)
    scale: float  # of the views' mean mesh
    scale_deviation: float  # standard deviation of its logarithm
    bends_m: np.ndarray  # (21, 3) by which the joints of the scaled mesh are off
    noise_m: np.ndarray  # (number of views,) of the joints seen


def fit_views(sights: Sequence[Sight], growth: float, surfaces: Surfaces | None = None) -> ViewsFit:
    """Return the maximum-likelihood fit.

    Unknown are the root (3), the logarithm of the scale, by how much each joint lies off the mean
    mesh (21 x 3), by how much each view shows the whole hand off its place (2 each), and by how
    much all surfaces are off (1).

    Args:
        sights: of the hand; the first has the identity as its transform.
        growth: scale to start with.
        surfaces: what depths say of the joints.
    """
    joints_m = mean_mesh(sights, weights(sights), [s.view.joints_m for s in sights])
    before, prior = _prior(sights, joints_m)
    prior[-1, -1] = 1 if surfaces is None else surfaces.alike_m**-2
    state = before.copy()
    state[:3] = growth * (sights[0].middle() - joints_m.mean(0))
    state[3] = np.log(growth)
    noise_m = np.full(len(sights), _JOINT_M)
    size_information = prior[3, 3]
    for _ in range(_MOST_STEPS):
        surprise = (state[3] - before[3]) ** 2 * size_information
        prior[3, 3] = size_information * min(1, (_FREEDOM + 1) / (_FREEDOM + surprise))
        error, rows = _linearise(sights, joints_m, state)
        noise_m, weight = _weigh(error, np.array([s.precision for s in sights]), noise_m)
        flat, scaled = rows.reshape(-1, len(state)), np.repeat(weight.ravel(), 2)
        information = flat.T @ (flat * scaled[:, None])
        gradient = flat.T @ (scaled * error.ravel()) + prior @ (state - before)
        if surfaces is not None:
            off_m, rows, weight = _below(surfaces, joints_m, state)
            information += rows.T @ (rows * weight[:, None])
            gradient += rows.T @ (weight * off_m)
        change = np.linalg.solve(information + prior, gradient)
        state -= change
        if np.linalg.norm(change[:3]) < _STEP_M:
            break
    # Student's t has less Fisher information than Gaussians with the same weights.
    fisher = (_FREEDOM + 2) / (_FREEDOM + 4)
    covariance = np.linalg.inv(fisher * information + prior)
    wrist = np.zeros((3, len(state)))
    wrist[:, :3] = wrist[:, _BENDS][:, :3] = np.eye(3)
    bends_m = state[_BENDS].reshape(-1, 3)
    return ViewsFit(
        root_m=state[:3] + bends_m[0],
        covariance_m2=wrist @ covariance @ wrist.T,
        scale=float(np.exp(state[3])),
        scale_deviation=float(np.sqrt(covariance[3, 3])),
        bends_m=bends_m - bends_m[0],
        noise_m=noise_m,
    )


def _prior(sights: Sequence[Sight], joints_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (U,) and information (U, U) of the unknowns before the views are compared."""
    count = _BENDS.stop + 2 * len(sights) + 1
    mean = np.zeros(count)
    mean[3] = np.log(sights[0].estimate.scale)
    information = np.zeros((count, count))
    information[3, 3] = growth_deviation(sights[0].estimate) ** -2
    square = ((joints_m[:, None] - joints_m) ** 2).sum(-1)
    for axis, (shared_m, reach_m) in enumerate(zip(_SHARED_M, _REACH_M, strict=True)):
        kernel = shared_m**2 * np.exp(-square / (2 * reach_m**2))
        of_axis = slice(_BENDS.start + axis, _BENDS.stop, 3)
        information[of_axis, of_axis] = np.linalg.inv(kernel + _OWN_M**2 * np.eye(len(square)))
    shifts = range(_BENDS.stop, count - 1)
    information[shifts, shifts] = _VIEW_M**-2
    return mean, information


def growth_deviation(estimate: RootEstimate) -> float:
    """Return the standard deviation of the logarithm of a single view's scale."""
    distance_m = np.linalg.norm(estimate.translation_m)
    ray = estimate.translation_m / distance_m
    return float(np.sqrt(ray @ estimate.covariance_m2 @ ray) / distance_m)


def _linearise(
    sights: Sequence[Sight], joints_m: np.ndarray, state: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return errors (N, 21, 2) in N views and their derivatives (N, 21, 2, U) by the state.

    They are in metres at the hand: how far its joints lie off where a view shows them.
    """
    grown = np.exp(state[3]) * joints_m
    points_m = state[:3] + grown + state[_BENDS].reshape(-1, 3)
    error = np.empty((len(sights), len(joints_m), 2))
    rows = np.zeros((*error.shape, len(state)))
    joint = np.arange(len(joints_m))
    for index, sight in enumerate(sights):
        error[index], by_point = _misses(points_m, sight.view)
        rows[index, ..., :3] = by_point
        rows[index, ..., 3] = (by_point @ grown[..., None])[..., 0]
        bends = rows[index, ..., _BENDS].reshape(len(joint), 2, len(joint), 3)
        bends[joint, :, joint] = by_point
        rows[index, ..., _BENDS] = bends.reshape(len(joint), 2, -1)
        shift = _BENDS.stop + 2 * index
        error[index] += state[shift : shift + 2]
        rows[index, :, [0, 1], [shift, shift + 1]] = 1
    return error, rows


def _below(
    surfaces: Surfaces, joints_m: np.ndarray, state: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return by how much N joints lie below where depths show them, rows (N, U) and weights."""
    known = np.flatnonzero(np.isfinite(surfaces.depth_m))
    grown = np.exp(state[3]) * joints_m[known]
    bends = _BENDS.start + 3 * known + 2
    off_m = state[2] + grown[:, 2] + state[bends] + state[-1] - surfaces.depth_m[known]
    rows = np.zeros((len(known), len(state)))
    rows[:, 2] = rows[:, -1] = 1
    rows[:, 3] = grown[:, 2]
    rows[np.arange(len(known)), bends] = 1
    surprise = (off_m / surfaces.each_m) ** 2
    return off_m, rows, (_FREEDOM + 1) / (_FREEDOM + surprise) / surfaces.each_m**2


def _misses(points_m: np.ndarray, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Return how far joints (21, 3) lie off where a view shows them, and the derivatives.

    Both at the joints' mean distance: (21, 2) in metres and (21, 2, 3) by the points.
    """
    seen = points_m @ view.rotation.T + view.translation_m
    seen[:, 2] = np.maximum(seen[:, 2], MIN_DEPTH_M)
    slopes = seen[:, :2] / seen[:, 2:]
    linear = view.matrix[:2, :2]
    focal_px = np.sqrt(abs(np.linalg.det(linear)))
    distance_m = seen[:, 2].mean()
    off_px = slopes @ linear.T + view.matrix[:2, 2] - view.cues.joints_px
    by_point = np.zeros((len(seen), 2, 3))
    by_point[:, [0, 1], [0, 1]] = 1
    by_point[..., 2] = -slopes
    by_point *= distance_m / seen[:, 2, None, None]
    off_m = np.where(np.isfinite(off_px), off_px * distance_m / focal_px, 0)
    return off_m, (linear / focal_px) @ by_point @ view.rotation


def _weigh(
    error_m: np.ndarray, precision: np.ndarray, noise_m: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the noise (N,) of N views after an EM step, and what errors (N, 21, 2) count."""
    square = (error_m**2).sum(-1) * precision
    used = precision > 0
    weight = used * (_FREEDOM + 2) / (_FREEDOM + square / noise_m[:, None] ** 2)
    total = _JOINT_COUNT * _JOINT_M**2 + (weight * square).sum(1)
    noise_m = np.maximum(np.sqrt(total / (_JOINT_COUNT + 2 * used.sum(1))), _LEAST_JOINT_M)
    return noise_m, weight * precision / noise_m[:, None] ** 2


def weights(sights: Sequence[Sight]) -> np.ndarray:
    """Return what each view's joints count in the mean mesh, (N, 21)."""
    return np.array([np.where(s.precision > 0, s.view.cues.confidence, 0) + 1e-6 for s in sights])


def mean_mesh(
    sights: Sequence[Sight], weights: np.ndarray, meshes_m: Sequence[np.ndarray]
) -> np.ndarray:
    """Return the mean (P, 3) of N root-relative meshes in the first crop's frame.

    weights: (N, P), positive.
    """
    turned = [mesh @ s.view.rotation for mesh, s in zip(meshes_m, sights, strict=True)]
    return np.einsum("np,npc->pc", weights / weights.sum(0), turned)
