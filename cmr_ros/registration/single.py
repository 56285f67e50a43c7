"""Registration of hands in one view each: all cues of a crop, then size and depth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal, get_args

import numpy as np

from cmr_ros.errors import InputError, RegistrationError
from cmr_ros.hand import Cues
from cmr_ros.registration.depth import measure_depth
from cmr_ros.registration.estimate import HandSize, Noise, RootEstimate, join
from cmr_ros.registration.extents import (
    FEWEST_EXTENTS,
    Extents,
    frame_lines,
    silhouette_extents,
)
from cmr_ros.registration.fit import STEP_M, Fit, fit_roots
from cmr_ros.registration.problem import Problem, closed_form_roots
from cmr_ros.registration.published import published_roots

#: All cues at once; one of them alone (the silhouette starts from the joints all the same); the
#: paper's scheme of 2D, 1D and blend.
Scheme = Literal["joints+silhouette", "joints", "silhouette", "published"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
_FEWEST_JOINTS = 4
_LOWEST_CONFIDENCE = 0.1
#: A hand whose root lies nearer or farther is none.
_PLAUSIBLE_DEPTH_M = 0.06, 10.0
#: A mesh whose joints span less than this is none.
_SMALLEST_HAND_M = 1e-3
#: Joints that typically miss the projected mesh by more than this part of the crop are no hand.
_WORST_FIT = 0.1
#: A last step longer than this, relative to the distance, has not converged, unless the fit ends
#: with such steps.
_LONGEST_STEP = 0.003


def register_alone(
    vertices_m: np.ndarray,
    joints_m: np.ndarray,
    cues: Sequence[Cues],
    matrices: np.ndarray,
    size_px: int,
    *,
    scheme: Scheme,
    noise: Noise,
    sizes: Sequence[HandSize | None] | None,
    edges: np.ndarray | None,
    depths_m: Sequence[np.ndarray] | None,
) -> list[RootEstimate | RegistrationError]:
    """Return each hand's root from one view.

    Args:
        vertices_m: as `register` takes them, like all others.
        joints_m: see `register`.
        cues: see `register`.
        matrices: see `register`.
        size_px: see `register`.
        scheme: see `register`.
        noise: see `register`.
        sizes: see `register`.
        edges: see `register`.
        depths_m: see `register`.

    Raises:
        InputError: as in `register`.
    """
    vertices_m, joints_m, matrices = (
        np.asarray(array, np.float64) for array in (vertices_m, joints_m, matrices)
    )
    _check_shapes(vertices_m, joints_m, cues, matrices, scheme)
    precision = np.array([joint_precision(cue) for cue in cues])
    reasons = [
        _refusal(*hand) for hand in zip(vertices_m, joints_m, precision, matrices, strict=True)
    ]
    results: dict[int, RootEstimate | RegistrationError] = {
        index: RegistrationError(reason) for index, reason in enumerate(reasons) if reason
    }
    usable = [index for index in range(len(cues)) if index not in results]
    if not usable:
        return list(results.values())
    lines = np.broadcast_to(frame_lines(size_px), (len(usable), 4, 3))
    if edges is not None:
        lines = np.concatenate([lines, np.asarray(edges, np.float64)[usable]], axis=1)
    problem = Problem(
        vertices_m=vertices_m[usable],
        joints_m=joints_m[usable],
        matrices=matrices[usable],
        joints_px=_joints_px([cues[index] for index in usable], precision[usable]),
        precision=precision[usable],
        extents=_extents([cues[index] for index in usable], size_px, lines, scheme),
        lines=lines,
    )
    starts_m, fit = _fit(problem, scheme, noise)
    for at, index in enumerate(usable):
        if reason := _misfit(starts_m[at], fit, at, size_px):
            results[index] = RegistrationError(reason)
            continue
        root_m, measure = fit.roots_m[at], None
        if depths_m is not None:
            measure = partial(
                measure_depth,
                vertices_m=vertices_m[index],
                root_m=root_m,
                matrix=matrices[index],
                depth_m=depths_m[index],
                size_px=size_px,
            )
        results[index] = join(
            root_m=root_m,
            covariance_m2=fit.covariances_m2[at],
            joints_m=joints_m[index],
            confidence=np.asarray(cues[index].confidence),
            noise=noise,
            size=None if sizes is None else sizes[index],
            measure=measure,
            cues=_cues_used(fit, at, scheme),
        )
    return [results[index] for index in range(len(cues))]


def _joints_px(cues: Sequence[Cues], precision: np.ndarray) -> np.ndarray:
    """Return the joints seen (B, J, 2), 0 where unused: what is not finite must not spread."""
    joints_px = np.array([cue.joints_px for cue in cues], np.float64)
    joints_px[precision == 0] = 0
    return joints_px


def _extents(cues: Sequence[Cues], size_px: int, lines: np.ndarray, scheme: Scheme) -> Extents:
    """Return the extents of the silhouettes that a scheme uses."""
    if scheme == "joints":
        return Extents.none(len(cues))
    return silhouette_extents([cue.silhouette for cue in cues], size_px, lines)


def _fit(problem: Problem, scheme: Scheme, noise: Noise) -> tuple[np.ndarray, Fit]:
    """Return where the fit starts, (B, 3), and the fit that a scheme asks for."""
    strain = noise.bend_strain
    if scheme == "published":
        roots_m = published_roots(problem)
        return roots_m, fit_roots(problem, roots_m, bend_strain=strain, most_steps=0)
    roots_m = closed_form_roots(problem)
    use_joints = scheme != "silhouette"
    return roots_m, fit_roots(problem, roots_m, bend_strain=strain, use_joints=use_joints)


def _check_shapes(
    vertices_m: np.ndarray,
    joints_m: np.ndarray,
    cues: Sequence[Cues],
    matrices: np.ndarray,
    scheme: str,
) -> None:
    """Raise InputError for arguments that do not belong together."""
    count = len(cues)
    if scheme not in SCHEMES:
        raise InputError(f"registration scheme {scheme!r}: known are {', '.join(SCHEMES)}")
    for name, array in (("vertices", vertices_m), ("joints", joints_m)):
        if array.ndim != 3 or array.shape[0] != count or array.shape[2] != 3:
            raise InputError(f"registration: {name} {array.shape}, expected ({count}, N, 3)")
    if matrices.shape != (count, 3, 3):
        raise InputError(f"registration: matrices {matrices.shape}, expected ({count}, 3, 3)")
    for cue in cues:
        if np.shape(cue.joints_px) != (joints_m.shape[1], 2):
            raise InputError(
                f"registration: joints seen {np.shape(cue.joints_px)}, "
                f"expected ({joints_m.shape[1]}, 2)"
            )
        if np.shape(cue.silhouette) != np.shape(cues[0].silhouette):
            raise InputError("registration: silhouettes differ in size")


def joint_precision(cue: Cues) -> np.ndarray:
    """Return relative inverse variances (J,) of the joints seen, about 1; 0 for useless ones.

    A joint's standard deviation goes with its heatmap's spread, and against its height.
    """
    confidence = np.asarray(cue.confidence, np.float64)
    used = np.isfinite(cue.joints_px).all(-1) & (confidence >= _LOWEST_CONFIDENCE)
    spread = 1.0 if cue.spread_px is None else np.asarray(cue.spread_px, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = spread / confidence
    used &= np.isfinite(deviation) & (deviation > 0)
    deviation = np.where(used, deviation, np.inf)
    typical = np.sort(deviation)[max(used.sum() - 1, 0) // 2]
    return (typical / deviation) ** 2 if np.isfinite(typical) else np.zeros(len(used))


def _refusal(
    vertices_m: np.ndarray, joints_m: np.ndarray, precision: np.ndarray, matrix: np.ndarray
) -> str | None:
    """Return why one hand's inputs cannot be registered, or None."""
    if not (np.isfinite(vertices_m).all() and np.isfinite(joints_m).all()):
        return "the mesh is not finite"
    if np.ptp(joints_m, axis=0).max() < _SMALLEST_HAND_M:
        return "the mesh's joints all lie in one place"
    area = matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]
    if not np.isfinite(matrix).all() or abs(area) < 1e-6:
        return "the camera matrix is singular or not finite; is the camera calibrated?"
    if tuple(matrix[2]) != (0, 0, 1):
        return "the camera matrix does not end in 0 0 1"
    seen = int((precision > 0).sum())
    if seen < _FEWEST_JOINTS:
        return f"{seen} joints seen with confidence, {_FEWEST_JOINTS} needed"
    return None


def _misfit(start_m: np.ndarray, fit: Fit, at: int, size_px: int) -> str | None:
    """Return why a fit is no hand in front of the camera, or None."""
    root_m = fit.roots_m[at]
    nearest_m, farthest_m = _PLAUSIBLE_DEPTH_M
    if not np.isfinite(root_m).all() or not np.isfinite(fit.covariances_m2[at]).all():
        return "the cues do not determine the root"
    if not start_m[2] > 0 or root_m[2] <= nearest_m:
        return "the joints place the hand behind the camera"
    if root_m[2] > farthest_m:
        return f"the joints place the hand {root_m[2]:.0f} m away"
    if fit.joint_px[at] > _WORST_FIT * size_px:
        return (
            f"the mesh misses the joints seen by {fit.joint_px[at]:.0f} px of a {size_px} px crop"
        )
    if fit.step_m[at] > max(_LONGEST_STEP * root_m[2], STEP_M):
        return "the fit has not converged"
    return None


def _cues_used(fit: Fit, at: int, scheme: Scheme) -> list[str]:
    """Return the names of the cues in the image that placed a hand."""
    names = [] if scheme == "silhouette" else ["joints"]
    if scheme != "joints" and fit.extents_used[at] >= FEWEST_EXTENTS:
        names.append("silhouette")
    return names
