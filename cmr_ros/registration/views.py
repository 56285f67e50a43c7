"""A hand in several calibrated views or with depths: which show it, and where it is by all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import erfc, exp, pi, sqrt

import numpy as np

from cmr_ros.registration.bundle import (
    SKIN_M,
    SURFACE_M,
    Sight,
    Surfaces,
    ViewsFit,
    fit_views,
    growth_deviation,
    mean_mesh,
    weights,
)
from cmr_ros.registration.depth import surfaces_m
from cmr_ros.registration.estimate import HandSize, Noise, RootEstimate

#: Of the test whether two views show one hand: standard deviations, with room for long tails, of
#: the rays to its middle, and of the logarithms of hands' sizes, children's included, and of the
#: factor between the sizes in which two views see a hand.
_TOLERANCE_M, _SIZES, _SIZE_FACTOR = 0.005, 0.2, 0.15
#: Views less likely than this to show the hand of the first view do not count.
_LEAST_AGREEMENT = 1e-3
#: Nor do views whose joints miss the common hand by more than this, which is a part of a hand.
_WORST_M = 0.008
#: Share of the variance of a root's own error that is the same in all views.
_ALIKE = 0.75
#: Standard deviation of matching, in pixels of disparity.
_DISPARITY_PX = 0.3
#: A mesh is bent to depths near so many joints at least.
_FEWEST_SURFACES = 6
#: Vertices go with the joints within about this distance.
_FLESH_M = 0.02


def combine(sights: Sequence[Sight], noise: Noise, size_px: int) -> RootEstimate:
    """Return the estimate from all views that show the hand of the first one.

    Where none does, the first one's own, with the agreement of the likeliest.

    Args:
        sights: the first has the identity as its transform.
        noise: what is assumed of the meshes.
        size_px: side of the crops.
    """
    first, *others = sights
    agreements = [_agreement([first, other]) for other in others]
    agreement = max(agreements)
    chosen = [s for s, a in zip(others, agreements, strict=True) if a > _LEAST_AGREEMENT]
    while chosen:
        sights = [first, *chosen]
        fit = _fit(sights, size_px)
        chosen = [s for s, off_m in zip(chosen, fit.noise_m[1:], strict=True) if off_m < _WORST_M]
        if len(chosen) == len(sights) - 1:
            return replace(
                _placed(sights, fit, noise),
                size=_learned(first.estimate, fit),
                cues=f"{first.estimate.cues}+stereo",
                agreement=agreement,
            )
    return replace(first.estimate, agreement=agreement)


def _placed(sights: Sequence[Sight], fit: ViewsFit, noise: Noise) -> RootEstimate:
    """Return the first view's estimate with the place and the mesh of a fit."""
    estimate = sights[0].estimate
    apart = _ALIKE + (1 - _ALIKE) / len(sights)
    # Of the pose as uncertain as one view: an upper bound.
    joint_covariances_m2 = fit.covariance_m2 + estimate.pose_covariances_m2
    joint_covariances_m2[0] += apart * noise.root_m**2 * np.eye(3)
    return replace(
        estimate,
        translation_m=fit.root_m,
        covariance_m2=joint_covariances_m2[0],
        joint_covariances_m2=joint_covariances_m2,
        scale=fit.scale,
        vertices_m=_joint_mesh(sights, fit),
    )


def _fit(sights: Sequence[Sight], size_px: int) -> ViewsFit:
    """Return the fit of the joints that several views show, and of what matching finds."""
    growth, _ = _triangulated(sights)
    fit = fit_views(sights, growth)
    matched = next((s.view.matched for s in sights if s.view.matched is not None), None)
    if matched is None:
        return fit
    mesh_m = fit.scale * _joint_mesh(sights, fit) + fit.root_m
    joints_m = mean_mesh(sights, weights(sights), [s.view.joints_m for s in sights])
    joints_m = fit.scale * (joints_m - joints_m[0]) + fit.bends_m + fit.root_m
    first = sights[0].view
    below_m = surfaces_m(
        mesh_m, joints_m, first.matrix, matched.depth_m, first.cues.silhouette, size_px
    )
    alike_m, each_m = np.hypot([SKIN_M, SURFACE_M], _DISPARITY_PX * matched.step_m)
    return fit_views(sights, growth, Surfaces(joints_m[:, 2] + below_m, alike_m, each_m))


def bent(sight: Sight, noise: Noise, size_px: int, depth_m: np.ndarray) -> RootEstimate:
    """Return the estimate of a hand in one view whose mesh is bent to a depth image.

    Args:
        sight: of the hand; the depth image has contributed to its estimate.
        noise: what is assumed of the mesh and of the depth image.
        size_px: side of the crop.
        depth_m: (h, w) of the crop.
    """
    view, estimate = sight.view, sight.estimate
    mesh_m, joints_m = (
        estimate.scale * points + estimate.translation_m
        for points in (view.vertices_m, view.joints_m)
    )
    below_m = surfaces_m(mesh_m, joints_m, view.matrix, depth_m, view.cues.silhouette, size_px)
    if np.isfinite(below_m).sum() < _FEWEST_SURFACES:
        return estimate
    alike_m = float(np.hypot(SKIN_M, noise.depth_m))
    surfaces = Surfaces(joints_m[:, 2] + below_m, alike_m, SURFACE_M)
    return _placed([sight], fit_views([sight], estimate.scale, surfaces), noise)


def _agreement(pair: Sequence[Sight]) -> float:
    """Return the probability of errors as large as two views' if they show one hand."""
    first, other = pair
    growth, surprise = _triangulated(pair)
    seen_m = other.view.rotation @ first.middle() + other.view.translation_m / growth
    factor = np.linalg.norm(seen_m) / np.linalg.norm(other.middle())
    surprise += (np.log(max(factor, 1e-9)) / _SIZE_FACTOR) ** 2
    # Chi-squared with three degrees of freedom.
    return erfc(sqrt(surprise / 2)) + sqrt(2 * surprise / pi) * exp(-surprise / 2)


def _triangulated(sights: Sequence[Sight]) -> tuple[float, float]:
    """Return the scale at which the views' mean joints meet, and how badly they do.

    The second number is the sum of squares of standard normal errors.
    """
    first, *others = sights
    middle_m = first.middle()
    # For a hand of its mesh's size, where rays meet is linear in the baseline's factor, 1 / scale.
    before = 1 / first.estimate.scale
    deviation = before * _SIZES
    at, by = [], []
    for other in others:
        ray = other.middle() / np.linalg.norm(other.middle())
        at.append(np.cross(ray, other.view.rotation @ middle_m))
        by.append(np.cross(ray, other.view.translation_m))
    off, slope = np.concatenate(at) / _TOLERANCE_M, np.concatenate(by) / _TOLERANCE_M
    factor = (before / deviation**2 - slope @ off) / (slope @ slope + deviation**-2)
    misses = off + factor * slope
    surprise = float(misses @ misses + ((factor - before) / deviation) ** 2)
    return 1 / max(float(factor), 0.2 * before), surprise


def _joint_mesh(sights: Sequence[Sight], fit: ViewsFit) -> np.ndarray:
    """Return the views' mean vertices (V, 3), bent to the triangulated joints."""
    view = sights[0].view
    square = ((view.vertices_m[:, None] - view.joints_m) ** 2).sum(-1)
    nearness = np.exp((square.min(1, keepdims=True) - square) / (2 * _FLESH_M**2))
    nearness /= nearness.sum(1, keepdims=True)
    meshes_m = [s.view.vertices_m for s in sights]
    mesh_m = mean_mesh(sights, weights(sights) @ nearness.T, meshes_m)
    return mesh_m + nearness @ fit.bends_m / fit.scale


def _learned(first: RootEstimate, fit: ViewsFit) -> HandSize:
    """Return what is known of the hand's size once its scale is measured.

    A single view's scale is off because of the size or of a misjudged pose; each is to blame for
    its part.
    """
    spread = growth_deviation(first)
    blame = min(first.size.deviation / spread, 1.0) ** 2
    length_m = first.size.length_m * float((fit.scale / first.scale) ** blame)
    variance = first.size.deviation**2 * (1 - blame) + (blame * fit.scale_deviation) ** 2
    return HandSize(length_m, float(np.sqrt(variance)))
