"""Joins what the image shows of a hand's place with what is known of its size and depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cmr_ros.registration.depth import DepthCue
from cmr_ros.registration.pose import pose_covariances

#: Joints from the wrist to the tip of the middle finger: their chain is the hand's length.
_LENGTH_CHAIN = [0, 9, 10, 11, 12]
#: The unknowns: the root as fitted; the logarithms of true length / length the mesh represents,
#: and of the mesh's scale at its right length.  The hand grows by the sum of the two logarithms.
_ROOT, _LENGTH, _SCALE = slice(0, 3), 3, 4
_GROWTH = slice(3, 5)
_UNKNOWNS = 5
#: Steps of the update by a depth, which is not linear in the logarithms.
_DEPTH_ROUNDS = 4


@dataclass(frozen=True)
class HandSize:
    """What is known of a hand's size beforehand.

    The default is an adult's, a man's or a woman's.
    """

    length_m: float = 0.186  # from the wrist to the tip of the middle finger along the bones
    deviation: float = 0.065  # standard deviation of the logarithm (0.05 = 5 %); inf: unknown
    is_measured: bool = False  # of this very hand, not of people's

    @classmethod
    def measured(cls, length_m: float) -> HandSize:
        """Return the size of a hand measured with a ruler, which is right to a hundredth."""
        return cls(length_m, deviation=0.01, is_measured=True)


@dataclass(frozen=True)
class Noise:
    """What is assumed of the mesh; `cmr benchmark noise` measures it for a network.

    Logarithms are of lengths, so 0.05 stands for 5 %.
    """

    length_log_sd: float = 0.023  # of log(true length / length the mesh represents)
    length_log_mean: float = 0.0  # mean of the same logarithm
    length_m: float | None = None  # that all meshes represent; None: each mesh its own length
    #: of a mesh's scale at its right length: misjudged bent fingers and slanted palms look too
    #: large or too small
    scale_log_sd: float = 0.0
    bend_strain: float = 0.01  # standard deviation of the mesh's bending, as strain
    root_m: float = 0.0008  # standard deviation of the root against the hand
    depth_m: float = 0.004  # standard deviation of a depth image's systematic error
    #: standard deviation of where a bone ends against where it begins, of a mesh at its right size:
    #: across the line of sight, in either direction, and along it
    bone_across_m: float = 0.0033
    bone_along_m: float = 0.0062


@dataclass(frozen=True, eq=False)
class RootEstimate:
    """Where the root is, and how certain that is.

    The hand's vertices in the crop's frame are `scale * vertices_m + translation_m`.
    """

    translation_m: np.ndarray  # (3,) of the root, in the crop's frame
    covariance_m2: np.ndarray  # (3, 3) of the translation, the hand's uncertain size included
    joint_covariances_m2: np.ndarray  # (21, 3, 3) of the joints; the first is the translation's
    pose_covariances_m2: np.ndarray  # (21, 3, 3) of the joints against the root, but for the size
    scale: float  # factor by which the root-relative hand grows
    size: HandSize  # what is now known of the hand's size
    #: those that contributed, joined by '+': joints, silhouette, depth, size, stereo
    cues: str
    #: (V, 3) root-relative mesh of all views and depths in the first crop's frame; None: as
    #: predicted in the first view
    vertices_m: np.ndarray | None = None
    #: probability in [0, 1] of errors as large as the likeliest further view's if it shows this
    #: hand; None where there is no further view
    agreement: float | None = None

    @property
    def is_stereo(self) -> bool:
        """Whether a further view placed the hand, too."""
        return "stereo" in self.cues.split("+")

    @property
    def depth_certainty(self) -> float:
        """The least standard deviation in any direction over that of the distance, in (0, 1]."""
        ray = self.translation_m / np.linalg.norm(self.translation_m)
        least = np.linalg.eigvalsh(self.covariance_m2)[0]
        return float(np.sqrt(least / (ray @ self.covariance_m2 @ ray)))


def hand_length_m(joints_m: np.ndarray) -> np.ndarray:
    """Return the length (...) of hands with joints (..., 21, 3), as `HandSize` defines it."""
    bones = np.diff(joints_m[..., _LENGTH_CHAIN, :], axis=-2)
    return np.sqrt((bones**2).sum(-1)).sum(-1)


def join(
    *,
    root_m: np.ndarray,
    covariance_m2: np.ndarray,
    joints_m: np.ndarray,
    confidence: np.ndarray,
    noise: Noise,
    size: HandSize | None,
    measure: Callable[..., DepthCue | None] | None,
    cues: Sequence[str],
) -> RootEstimate:
    """Return the estimate of one hand.

    Hand and root grow together, which changes no pixel.  What is known of the size is linear in the
    unknowns: a Kalman update.  Depth is not: an iterated one.

    Args:
        root_m: (3,) as fitted.
        covariance_m2: (3, 3) of the fitted root, for a mesh of the right size.
        joints_m: (21, 3) root-relative, the first of them the root.
        confidence: (21,) in [0, 1] of the joints' places in the image.
        noise: what is assumed of the mesh.
        size: what is known of the hand's size; None: that it is an adult's, or one of those that
            `noise` was measured on.
        measure: says what a depth image shows of the hand, given `growth` and `deviation_m` (see
            `measure_depth`), if there is one.
        cues: names of the cues in the image that placed the root.
    """
    names = list(cues)
    if size is None and noise.length_m is None:
        size = HandSize()
    if size is not None and not np.isfinite(size.deviation):
        size = None
    mesh_length_m = noise.length_m or float(hand_length_m(joints_m))
    belief = _Belief.fitted(root_m, covariance_m2, noise)
    if size is not None:
        # A mesh that says nothing of the size: what is known of it takes the population's place.
        known = belief.with_length if noise.length_m is not None else belief.with_measured_length
        belief = known(np.log(size.length_m / mesh_length_m), size.deviation)
    depth = measure(growth=belief.growth, deviation_m=belief.depth_deviation_m) if measure else None
    if depth is not None:
        belief = belief.with_depth(depth, noise.depth_m)
        names.append("depth")
    if size is not None and size.is_measured:
        names.append("size")
    from_root_m = np.concatenate([np.zeros((1, 3)), joints_m[1:]])
    scale, grown_m, joint_covariances_m2 = belief.grown(from_root_m)
    # Joints err against the root, so what the root errs by against the hand is in that already.
    joint_covariances_m2[0] += (scale * noise.root_m) ** 2 * np.eye(3)
    pose_covariances_m2 = pose_covariances(confidence, noise.bone_across_m, noise.bone_along_m)
    joint_covariances_m2 += pose_covariances_m2
    return RootEstimate(
        translation_m=grown_m[0],
        covariance_m2=joint_covariances_m2[0],
        joint_covariances_m2=joint_covariances_m2,
        pose_covariances_m2=pose_covariances_m2,
        scale=scale,
        size=belief.size(mesh_length_m),
        cues="+".join(names),
    )


@dataclass(frozen=True, eq=False)
class _Belief:
    """A Gaussian over one hand's unknowns, see `_ROOT`."""

    mean: np.ndarray  # (5,)
    covariance: np.ndarray  # (5, 5)

    @classmethod
    def fitted(cls, root_m: np.ndarray, covariance_m2: np.ndarray, noise: Noise) -> _Belief:
        """Return what the fit of the pixels leaves open."""
        mean = np.array([*root_m, noise.length_log_mean, 0.0])
        covariance = np.zeros((_UNKNOWNS, _UNKNOWNS))
        covariance[_ROOT, _ROOT] = covariance_m2
        covariance[_LENGTH, _LENGTH] = noise.length_log_sd**2
        covariance[_SCALE, _SCALE] = noise.scale_log_sd**2
        return cls(mean, covariance)

    def with_length(self, log_ratio: float, deviation: float) -> _Belief:
        """Replace what is assumed of the length; nothing else may depend on it yet."""
        mean, covariance = self.mean.copy(), self.covariance.copy()
        mean[_LENGTH], covariance[_LENGTH, _LENGTH] = log_ratio, deviation**2
        return _Belief(mean, covariance)

    def with_measured_length(self, log_ratio: float, deviation: float) -> _Belief:
        """Take in a second opinion of the length, besides the mesh's own."""
        row = np.zeros(_UNKNOWNS)
        row[_LENGTH] = 1
        return self._updated(row, log_ratio - self.mean[_LENGTH], deviation)

    def with_depth(self, depth: DepthCue, systematic_m: float) -> _Belief:
        """Take in how far a depth image shows the hand to be."""
        deviation_m = float(np.hypot(depth.deviation_m, systematic_m))
        after = self
        for _ in range(_DEPTH_ROUNDS):
            expected_m = after.growth * (after.mean[_ROOT][2] + depth.behind_root_m)
            row = np.array([0, 0, after.growth, expected_m, expected_m])
            surprise_m = depth.distance_m - expected_m - row @ (self.mean - after.mean)
            after = self._updated(row, surprise_m, deviation_m)
        return after

    def _updated(self, row: np.ndarray, surprise: float, deviation: float) -> _Belief:
        """Return the belief after a measurement row @ unknowns with a standard deviation."""
        variance = row @ self.covariance @ row + deviation**2
        gain = self.covariance @ row / max(variance, 1e-18)
        covariance = self.covariance - np.outer(gain, row @ self.covariance)
        return _Belief(self.mean + gain * surprise, covariance)

    @property
    def growth(self) -> float:
        """Factor by which root and mesh grow."""
        return float(np.exp(self.mean[_GROWTH].sum()))

    @property
    def depth_deviation_m(self) -> float:
        """Standard deviation of the grown root's z."""
        z_m = self.growth * self.mean[_ROOT][2]
        row = np.array([0, 0, self.growth, z_m, z_m])
        return float(np.sqrt(row @ self.covariance @ row))

    def grown(self, joints_m: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return the scale, and joints (J, 3) of the scaled hand with covariances (J, 3, 3).

        joints_m: (J, 3) root-relative, of the mesh as it was fitted; its pose counts as certain.
        """
        scale = self.growth
        grown_m = scale * (self.mean[_ROOT] + joints_m)
        jacobian = np.empty((len(joints_m), 3, _UNKNOWNS))
        jacobian[:, :, _ROOT] = scale * np.eye(3)
        jacobian[:, :, _GROWTH] = grown_m[:, :, None]
        return scale, grown_m, jacobian @ self.covariance @ jacobian.swapaxes(1, 2)

    def size(self, mesh_length_m: float) -> HandSize:
        """Return the size of a hand whose mesh represents a length."""
        length_m = float(mesh_length_m * np.exp(self.mean[_LENGTH]))
        return HandSize(length_m, float(np.sqrt(self.covariance[_LENGTH, _LENGTH])))
