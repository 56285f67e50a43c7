"""Joins what a picture tells of a hand's place with what is known of its size and depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmr_ros.registration.depth import DepthCue

#: Joints from the wrist to the tip of the middle finger: their chain is the hand's length.
_LENGTH_CHAIN = [0, 9, 10, 11, 12]


@dataclass(frozen=True)
class HandSize:
    """What is known of a hand's size beforehand.

    length_m: from the wrist to the tip of the middle finger along the bones.  deviation: standard
    deviation of its logarithm (0.05 = 5 %).  The default is that of adults: 193 +- 10 mm for men,
    178 +- 9 mm for women.  Infinite deviation: nothing is known.
    """

    length_m: float = 0.186
    deviation: float = 0.065


@dataclass(frozen=True)
class Noise:
    """What is assumed of the mesh; `cmr benchmark noise` measures it of a network.

    size: standard deviation of the logarithm of a hand's length by the one its mesh stands for;
    growth: mean of it.  length_m: the length of hand that all meshes stand for; None: each for its
    own length.  pose: standard deviation of the logarithm of a mesh's scale when its length is
    right: bent fingers and slanted palms that are misjudged look larger or smaller.  shape: of its
    bending, as strain.  root_m: of the root against the hand.  depth_m: of the depth picture's
    systematic error.
    """

    size: float = 0.023
    growth: float = 0.0
    length_m: float | None = None
    pose: float = 0.0
    shape: float = 0.01
    root_m: float = 0.0008
    depth_m: float = 0.004


@dataclass(frozen=True)
class RootEstimate:
    """Where the root is, and how sure that is.

    The hand's vertices in the crop's frame are `scale * vertices_m + translation_m`.
    translation_m: (3,).  covariance_m2: (3, 3) of the translation, doubt about the hand's size
    included.  scale: factor by which the root-relative hand grows.  size: what is now known of
    the hand's size.  rms_px: root mean square distance between seen and projected joints, weighted
    by confidence, in crop pixels.  cues: those that contributed, joined by '+': joints,
    silhouette, depth, size.
    """

    translation_m: np.ndarray
    covariance_m2: np.ndarray
    scale: float
    size: HandSize
    rms_px: float
    cues: str


def hand_length_m(joints_m: np.ndarray) -> np.ndarray:
    """Return the length (...) of hands with joints (..., 21, 3), as `HandSize` defines it."""
    bones = np.diff(joints_m[..., _LENGTH_CHAIN, :], axis=-2)
    return np.sqrt((bones**2).sum(-1)).sum(-1)


def join(
    root_m: np.ndarray,
    covariance_m2: np.ndarray,
    joints_m: np.ndarray,
    noise: Noise,
    size: HandSize | None,
    depth: DepthCue | None,
    cues: Sequence[str],
    rms_px: float,
) -> RootEstimate:
    """Return the estimate from a fitted root (3,) and its covariance (3, 3) at the mesh's size.

    State: the root as fitted; the logarithm of the hand's length by the mesh's; and that of the
    mesh's error by its pose.  Hand and root grow together by the sum of the two, which changes no
    pixel.  Size and depth are linear in it: a Kalman update each.
    """
    names = list(cues)
    state = np.array([*root_m, noise.growth, 0.0])
    covariance = np.zeros((5, 5))
    covariance[:3, :3] = covariance_m2 + noise.root_m**2 * np.eye(3)
    covariance[3, 3], covariance[4, 4] = noise.size**2, noise.pose**2
    length_m = noise.length_m or float(hand_length_m(joints_m))
    if size is None and noise.length_m is None:
        size = HandSize()
    sized = size is not None and np.isfinite(size.deviation)
    if sized and noise.length_m is not None:
        # The mesh says nothing of the size: what is known of it takes the population's place.
        state[3], covariance[3, 3] = np.log(size.length_m / length_m), size.deviation**2
    if depth is not None:
        row = np.array([0, 0, 1, depth.distance_m, depth.distance_m])
        surprise = depth.offset_m - row[3:] @ state[3:]
        deviation = np.hypot(depth.deviation_m, noise.depth_m)
        state, covariance = _update(state, covariance, row, surprise, deviation)
        names.append("depth")
    if sized and noise.length_m is None:
        row = np.array([0.0, 0, 0, 1, 0])
        surprise = np.log(size.length_m / length_m) - state[3]
        state, covariance = _update(state, covariance, row, surprise, size.deviation)
    if sized and size.deviation < HandSize.deviation:
        names.append("size")
    scale = np.exp(state[3] + state[4])
    root_m = scale * state[:3]
    grown = np.column_stack([scale * np.eye(3), root_m, root_m])
    return RootEstimate(
        root_m,
        grown @ covariance @ grown.T,
        float(scale),
        HandSize(float(length_m * np.exp(state[3])), float(np.sqrt(covariance[3, 3]))),
        float(rms_px),
        "+".join(names),
    )


def _update(state, covariance, row, surprise, deviation):
    """Return state and covariance after a measurement row @ state with a standard deviation."""
    variance = row @ covariance @ row + deviation**2
    gain = covariance @ row / max(variance, 1e-18)
    return state + gain * surprise, covariance - np.outer(gain, row @ covariance)
