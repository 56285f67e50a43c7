"""Registration: the root translation of a hand, by maximum likelihood, with its covariance.

All hands of a call are solved together.  Everything is in the crop's frame and pixels; the crop's
camera is a pinhole whose matrix has the last row 0 0 1.  Scaling a hand and its distance together
changes no pixel, so what a picture tells (`root_fit`) and what is known of size and depth are
found one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cmr_ros.depth_cue import DepthCue, measure_depth
from cmr_ros.errors import InputError, RegistrationError
from cmr_ros.extents import Extents, frame_lines, silhouette_extents
from cmr_ros.hand import Cues
from cmr_ros.published_registration import published_roots
from cmr_ros.root_fit import Fit, Problem, closed_form_roots, fit_roots

#: The default uses all cues at once; the next two, one of them (the silhouette starts from the
#: joints all the same); "published" is the scheme of the paper: 2D, 1D, blend.
SCHEMES = ("joints+silhouette", "joints", "silhouette", "published")
#: Joints from the wrist to the tip of the middle finger: their chain is the hand's length.
_LENGTH_CHAIN = (0, 9, 10, 11, 12)
_FEWEST_JOINTS = 4
_LOWEST_CONFIDENCE = 0.1
_NEAREST_M, _FARTHEST_M = 0.06, 10.0
#: Joints that typically miss the projected mesh by more than this part of the crop are no hand.
_WORST_FIT = 0.1
_FEWEST_EXTENTS = 4
_CONVERGED_M = 1e-3


@dataclass(frozen=True)
class HandSize:
    """What is known of a hand's size beforehand.

    length_m: from wrist to tip of the middle finger along the bones.  deviation: standard
    deviation of its logarithm (0.05 = 5 %).  The default is that of adults: 193 +- 10 mm for men,
    178 +- 9 mm for women.  Infinite deviation: nothing is known.
    """

    length_m: float = 0.186
    deviation: float = 0.065


@dataclass(frozen=True)
class Noise:
    """What is assumed about the mesh; set it to what the network was measured at.

    size: standard deviation of the logarithm of the mesh's size.  shape: of its bending, as
    strain.  root_m: of the root against the hand.  depth_m: of the depth picture's systematic
    error.
    """

    size: float = 0.023
    shape: float = 0.012
    root_m: float = 0.001
    depth_m: float = 0.004


@dataclass(frozen=True)
class RootEstimate:
    """Where the root is, and how sure that is.

    The hand's vertices in the crop's frame are `scale * vertices_m + translation_m`.
    translation_m: (3,).  covariance_m2: (3, 3) of the translation, doubt about the hand's size
    included.  scale: factor by which the root-relative hand grows, and scale_deviation: the
    standard deviation of its logarithm.  rms_px: root mean square distance between seen and
    projected joints, weighted by confidence, in crop pixels.  cues: those that contributed,
    joined by '+': joints, silhouette, depth, size.
    """

    translation_m: np.ndarray
    covariance_m2: np.ndarray
    scale: float
    scale_deviation: float
    rms_px: float
    cues: str


def register(
    vertices_m: np.ndarray,
    joints_m: np.ndarray,
    cues: Sequence[Cues],
    matrices: np.ndarray,
    size_px: int,
    *,
    scheme: str = SCHEMES[0],
    noise: Noise | None = None,
    sizes: Sequence[HandSize] | HandSize | None = None,
    edges: np.ndarray | None = None,
    depths_m: Sequence[np.ndarray] | None = None,
) -> list[RootEstimate | RegistrationError]:
    """Return each hand's root, or the reason why it cannot be told.

    vertices_m: (B, V, 3) and joints_m: (B, 21, 3) root-relative.  cues: B of them.  matrices:
    (B, 3, 3) of the crops' cameras.  size_px: side of the crops.  scheme: one of `SCHEMES`.
    sizes: what is known of the hands' sizes, by default that of adults.  edges: (B, L, 3) lines
    a x + b y + c >= 0 in crop pixels where the picture ends (`CropCamera.picture_edges`), besides
    the crop's own.  depths_m: depth pictures cut like the crops (`CropCamera.cut_depth`), z in
    the crop's frame, 0 or NaN where unknown.

    Raises InputError for arrays that do not fit together; what is wrong with one hand fails that
    hand alone.
    """
    vertices_m, joints_m, matrices = (
        np.asarray(a, np.float64) for a in (vertices_m, joints_m, matrices)
    )
    _check_shapes(vertices_m, joints_m, cues, matrices, scheme)
    noise = noise or Noise()
    precision = np.array([_precision(cue) for cue in cues])
    reasons = [
        _refusal(*hand) for hand in zip(vertices_m, joints_m, precision, matrices, strict=True)
    ]
    results: list = [reason and RegistrationError(reason) for reason in reasons]
    usable = [index for index, reason in enumerate(reasons) if reason is None]
    if not usable:
        return results

    problem = _problem(
        vertices_m[usable], joints_m[usable], [cues[i] for i in usable], precision[usable],
        matrices[usable], size_px, None if edges is None else np.asarray(edges, np.float64)[usable], noise, scheme,
    )  # fmt: skip
    start = closed_form_roots(problem)
    if scheme == "published":
        fit = fit_roots(problem, published_roots(problem), most_steps=0)
    else:
        fit = fit_roots(problem, start)
    for at, index in enumerate(usable):
        try:
            _check_fit(start[at], fit, at, size_px)
            size = sizes[index] if isinstance(sizes, Sequence) else sizes
            depth = None
            if depths_m is not None:
                depth = measure_depth(
                    vertices_m[index], fit.roots_m[at], fit.covariances_m2[at], matrices[index],
                    depths_m[index], size_px,
                )  # fmt: skip
            results[index] = _estimate(fit, at, joints_m[index], noise, size, depth, scheme)
        except RegistrationError as error:
            results[index] = error
    return results


def _check_shapes(vertices_m, joints_m, cues, matrices, scheme):
    count = len(cues)
    if scheme not in SCHEMES:
        raise InputError(f"registration scheme {scheme!r}: known are {', '.join(SCHEMES)}")
    if vertices_m.ndim != 3 or vertices_m.shape[0] != count or vertices_m.shape[2] != 3:
        raise InputError(f"registration: vertices {vertices_m.shape}, expected ({count}, V, 3)")
    if joints_m.ndim != 3 or joints_m.shape[0] != count or joints_m.shape[2] != 3:
        raise InputError(f"registration: joints {joints_m.shape}, expected ({count}, J, 3)")
    if matrices.shape != (count, 3, 3):
        raise InputError(f"registration: matrices {matrices.shape}, expected ({count}, 3, 3)")
    for cue in cues:
        if np.shape(cue.joints_px) != (joints_m.shape[1], 2):
            raise InputError(
                f"registration: {np.shape(cue.joints_px)} joints seen, mesh has {joints_m.shape[1]}"
            )


def _refusal(vertices_m, joints_m, precision, matrix) -> str | None:
    """Return why one hand's inputs cannot be registered, or None."""
    if not (np.isfinite(vertices_m).all() and np.isfinite(joints_m).all()):
        return "the mesh is not finite"
    if np.ptp(joints_m, axis=0).max() < 1e-3:
        return "the mesh's joints all lie in one place"
    if not np.isfinite(matrix).all() or abs(_area(matrix)) < 1e-6:
        return "the camera matrix is singular or not finite; is the camera calibrated?"
    if tuple(matrix[2]) != (0, 0, 1):
        return "the camera matrix does not end in 0 0 1"
    seen = int((precision > 0).sum())
    if seen < _FEWEST_JOINTS:
        return f"{seen} joints seen with confidence, {_FEWEST_JOINTS} needed"
    return None


def _area(matrix) -> float:
    return matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]


def _precision(cues: Cues) -> np.ndarray:
    """Return relative inverse variances (J,) of the joints seen, about 1; 0 for useless ones."""
    confidence = np.nan_to_num(np.asarray(cues.confidence, np.float64))
    used = np.isfinite(cues.joints_px).all(-1) & (confidence >= _LOWEST_CONFIDENCE)
    if not used.any():
        return np.zeros(len(confidence))
    deviation = 1 / np.where(used, confidence, 1)
    if cues.spread_px is not None:
        spread = np.asarray(cues.spread_px, np.float64)
        used &= np.isfinite(spread) & (spread > 0)
        deviation = deviation * np.where(used, spread, 1)
    typical = np.median(deviation[used]) if used.any() else 1.0
    return np.where(used, (typical / deviation) ** 2, 0)


def _problem(
    vertices_m, joints_m, cues, precision, matrices, size_px, edges, noise, scheme
) -> Problem:
    """Gather usable hands for the fit."""
    count = len(cues)
    lines = np.broadcast_to(frame_lines(size_px), (count, 4, 3))
    if edges is not None:
        lines = np.concatenate([lines, edges], axis=1)
    if scheme == "joints":
        extents = Extents.none(count)
    else:
        extents = silhouette_extents([cue.silhouette for cue in cues], size_px, lines)
    return Problem(
        vertices_m,
        joints_m,
        matrices,
        np.stack([np.nan_to_num(np.asarray(cue.joints_px, np.float64)) for cue in cues]),
        precision,
        extents,
        lines,
        noise.shape,
        use_joints=scheme != "silhouette",
    )


def _check_fit(start_m, fit: Fit, at: int, size_px: int) -> None:
    """Raise RegistrationError for a fit that is no hand in front of the camera."""
    root_m = fit.roots_m[at]
    if not np.isfinite(root_m).all() or not np.isfinite(fit.covariances_m2[at]).all():
        raise RegistrationError("the cues do not determine the root")
    if not start_m[2] > 0 or root_m[2] <= _NEAREST_M:
        raise RegistrationError("the joints place the hand behind the camera")
    if root_m[2] > _FARTHEST_M:
        raise RegistrationError(f"the joints place the hand {root_m[2]:.0f} m away")
    if fit.joint_px[at] > _WORST_FIT * size_px:
        raise RegistrationError(
            f"the mesh misses the joints seen by {fit.joint_px[at]:.0f} px of a {size_px} px crop"
        )
    if fit.step_m[at] > max(_CONVERGED_M, 1e-2 * root_m[2]):
        raise RegistrationError("not converged")


def _estimate(fit, at, joints_m, noise, size, depth: DepthCue | None, scheme) -> RootEstimate:
    """Join what the picture tells with what is known of size and depth.

    State: root (3) of the mesh as it is, and the logarithm s of the hand's growth.  The picture
    knows nothing of s; size and depth are linear in the state, so each is one Kalman update.
    """
    state = np.array([*fit.roots_m[at], 0.0])
    covariance = np.zeros((4, 4))
    covariance[:3, :3] = fit.covariances_m2[at] + noise.root_m**2 * np.eye(3)
    covariance[3, 3] = noise.size**2
    names = [] if scheme == "silhouette" else ["joints"]
    if scheme != "joints" and fit.extents_used[at] >= _FEWEST_EXTENTS:
        names.append("silhouette")
    if depth is not None:
        row = np.array([0, 0, 1, depth.distance_m])
        deviation = np.hypot(depth.deviation_m, noise.depth_m)
        state, covariance = _update(state, covariance, row, depth.offset_m, deviation)
        names.append("depth")
    size = size or HandSize()
    if np.isfinite(size.deviation):
        bones = np.diff(joints_m[list(_LENGTH_CHAIN)], axis=0)
        length_m = np.linalg.norm(bones, axis=-1).sum()
        row = np.array([0.0, 0, 0, 1])
        known = np.log(size.length_m / length_m) - row @ state
        state, covariance = _update(state, covariance, row, known, size.deviation)
        if size.deviation < noise.size:
            names.append("size")
    scale = np.exp(state[3])
    root_m = scale * state[:3]
    grown = np.concatenate([scale * np.eye(3), root_m[:, None]], axis=1)
    return RootEstimate(
        root_m,
        grown @ covariance @ grown.T,
        float(scale),
        float(np.sqrt(covariance[3, 3])),
        float(fit.rms_px[at]),
        "+".join(names),
    )


def _update(state, covariance, row, innovation, deviation):
    """Return state and covariance after measuring row @ state with a standard deviation."""
    gain = covariance @ row / (row @ covariance @ row + deviation**2)
    return state + gain * innovation, covariance - np.outer(gain, row @ covariance)
