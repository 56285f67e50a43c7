"""Registration: the root translation of a hand, by maximum likelihood, with its covariance.

All hands of a call are solved together.  Everything is in the crop's frame and pixels; the crop's
camera is a pinhole whose matrix has the last row 0 0 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmr_ros.errors import InputError, RegistrationError
from cmr_ros.hand import Cues

#: Fewer joints with confidence than this do not place a hand.
_FEWEST_JOINTS = 4
_LOWEST_CONFIDENCE = 0.1
_NEAREST_M, _FARTHEST_M = 0.05, 5.0


@dataclass(frozen=True)
class RootEstimate:
    """Where the root is, and how sure that is.

    The hand's vertices in the crop's frame are `scale * vertices_m + translation_m`.
    translation_m: (3,).  covariance_m2: (3, 3) of the translation, the unknown hand size included.
    scale: factor by which the root-relative hand grows.  rms_px: root mean square distance between
    seen and projected joints, weighted by confidence, in crop pixels.  cues: those that
    contributed, joined by '+'.
    """

    translation_m: np.ndarray
    covariance_m2: np.ndarray
    scale: float
    rms_px: float
    cues: str


@dataclass(frozen=True)
class Noise:
    """What is assumed about errors; the defaults are those of the shipped network.

    size: standard deviation of the logarithm of the mesh's size (0.05 = 5 %).
    """

    size: float = 0.03


def register(
    vertices_m: np.ndarray,
    joints_m: np.ndarray,
    cues: Sequence[Cues],
    matrices: np.ndarray,
    size_px: int,
    *,
    noise: Noise | None = None,
) -> list[RootEstimate | RegistrationError]:
    """Return each hand's root, or the reason why it cannot be told.

    vertices_m: (B, V, 3) and joints_m: (B, 21, 3) root-relative.  cues: B of them.  matrices:
    (B, 3, 3) of the crops' cameras.  size_px: side of the crops.  Raises InputError for arrays
    whose shapes disagree; what is wrong with one hand only fails that hand.
    """
    noise = noise or Noise()
    vertices_m, joints_m = np.asarray(vertices_m, float), np.asarray(joints_m, float)
    matrices = np.asarray(matrices, float)
    count = len(cues)
    if not (len(vertices_m) == len(joints_m) == len(matrices) == count):
        raise InputError("registration: vertices, joints, cues and matrices differ in number")
    if count == 0:
        return []
    seen = np.stack([np.asarray(c.joints_px, float) for c in cues])
    confidence = np.stack([np.asarray(c.confidence, float) for c in cues])
    reasons = [_refusal(*hand) for hand in zip(joints_m, seen, confidence, matrices, strict=True)]
    usable = [i for i, reason in enumerate(reasons) if reason is None]
    results: list = [reason and RegistrationError(reason) for reason in reasons]
    if not usable:
        return results
    solved = _solve(joints_m[usable], seen[usable], confidence[usable], matrices[usable])
    for index, (root, covariance, rms) in zip(usable, zip(*solved, strict=True), strict=True):
        if not np.isfinite(root).all() or not _NEAREST_M < root[2] < _FARTHEST_M:
            results[index] = RegistrationError(
                f"root at {root[2]:.2f} m: not in front of the camera"
            )
            continue
        covariance = covariance + noise.size**2 * np.outer(root, root)
        results[index] = RootEstimate(root, covariance, 1.0, float(rms), "joints")
    return results


def _refusal(joints_m, joints_px, confidence, matrix) -> str | None:
    """Return why one hand's inputs cannot be registered, or None."""
    if not np.isfinite(joints_m).all():
        return "the mesh is not finite"
    if not np.isfinite(matrix).all() or matrix[0, 0] == 0 or abs(np.linalg.det(matrix)) < 1e-9:
        return "the crop's camera matrix is singular or not finite; is the camera calibrated?"
    good = np.isfinite(joints_px).all(-1) & (confidence >= _LOWEST_CONFIDENCE)
    if good.sum() < _FEWEST_JOINTS:
        return f"{good.sum()} joints seen, {_FEWEST_JOINTS} needed"
    return None


def _solve(joints_m, seen_px, confidence, matrices):
    """Return roots (B, 3), covariances (B, 3, 3) and RMS (B,) from joints alone."""
    weight = np.where(np.isfinite(seen_px).all(-1), np.nan_to_num(confidence), 0) ** 2
    weight[weight < _LOWEST_CONFIDENCE**2] = 0
    seen_px = np.nan_to_num(seen_px)
    third = np.array([0.0, 0, 1])
    # Rows of (M - u e3) X = 0: linear in the root.
    rows = matrices[:, None, :2, :] - seen_px[..., None] * third
    target = -(rows @ joints_m[..., None])[..., 0]
    robust = weight.copy()
    root = None
    for _ in range(5):
        weighted = rows * robust[..., None, None]
        root = np.linalg.solve(
            np.einsum("bjrc,bjrd->bcd", weighted, rows),
            np.einsum("bjrc,bjr->bc", weighted, target)[..., None],
        )[..., 0]
        residual = np.linalg.norm((rows @ root[:, None, :, None])[..., 0] - target, axis=-1)
        depth = np.maximum(joints_m[..., 2] + root[:, None, 2], _NEAREST_M)
        robust = weight / np.maximum(residual / depth, 0.5) / depth**2
    freedom = np.maximum(2 * (weight > 0).sum(1) - 3, 1)
    for _ in range(8):
        points = joints_m + root[:, None]
        z = np.maximum(points[..., 2:], _NEAREST_M)
        pixels = (points @ matrices.transpose(0, 2, 1))[..., :2] / z
        jacobian = (matrices[:, None, :2, :] - pixels[..., None] * third) / z[..., None]
        residual = pixels - seen_px
        square = (residual**2).sum(-1)
        variance = np.maximum((robust_mean := weight * square).sum(1) / freedom, 1e-12)
        for _ in range(3):
            t_weight = weight * 5 / (3 + weight * square / variance[:, None])
            variance = np.maximum((t_weight * square).sum(1) / freedom, 1e-12)
        information = np.einsum("bj,bjrc,bjrd->bcd", t_weight, jacobian, jacobian)
        gradient = np.einsum("bj,bjrc,bjr->bc", t_weight, jacobian, residual)
        root = root - np.linalg.solve(information, gradient[..., None])[..., 0]
    covariance = np.linalg.inv(information) * variance[:, None, None]
    rms = np.sqrt(robust_mean.sum(1) / weight.sum(1))
    return root, covariance, rms
