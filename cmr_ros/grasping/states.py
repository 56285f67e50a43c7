"""Which of a few postures a hand has, how probable that is, and when it changes."""

from __future__ import annotations

import enum

import numpy as np

from cmr_ros.geometry.skeleton import JOINT_PARENTS, Handedness
from cmr_ros.grasping.posture import flexion, pinch
from cmr_ros.registration import hand_length_m


class GraspState(enum.IntEnum):
    """A hand's posture; the values are those of `HandGrasp.state`."""

    RELAXED = 0
    OPEN = 1
    FIST = 2
    PINCH = 3
    POINT = 4


#: Pinch: the tips of thumb and index are nearer than this share of the hand's length, and the
#: index finger is not bent into the fist.
_PINCH_OPENING, _PINCH_FLEXION = 0.16, 0.75
_OPEN_FLEXION, _FIST_FLEXION = 0.25, 0.6
#: Point: the index finger is straighter than the one, the other fingers are bent more.
_POINTING_FLEXION, _FOLDED_FLEXION = 0.3, 0.5
#: For each bone 64 draws, to see which postures its uncertainty allows; the same in every image, so
#: that a hand at rest has a probability at rest.
_DRAWS = np.random.default_rng(0).standard_normal((20, 64, 3))
#: Probabilities are averaged over that long; another state must beat the present one by the margin.
_MEMORY_S, _MARGIN = 0.2, 0.3


def state_probabilities(
    joints_m: np.ndarray, pose_covariances_m2: np.ndarray, handedness: Handedness
) -> np.ndarray:
    """Return the probability of each state (5,), in the order of `GraspState`.

    It is the share of the poses that a hand may have, given the uncertainty of its joints, that
    meet the state's definition.

    Args:
        joints_m: (21, 3).
        pose_covariances_m2: (21, 3, 3) of the joints against the wrist, as `Hand` has them.
        handedness: an unknown hand counts as right.
    """
    states = classify(_draw(np.asarray(joints_m, np.float64), pose_covariances_m2), handedness)
    return np.bincount(states, minlength=len(GraspState)) / len(states)


def classify(joints_m: np.ndarray, handedness: Handedness) -> np.ndarray:
    """Return the state (N,) of hands with joints (N, 21, 3) whose pose is certain.

    joints_m: metres.  handedness: of all of them.
    """
    bend, opening_m = flexion(joints_m, handedness), pinch(joints_m).opening_m
    index, fingers = bend[:, 1], bend[:, 1:]
    near = opening_m < _PINCH_OPENING * hand_length_m(joints_m)
    pointing = (index < _POINTING_FLEXION) & (bend[:, 2:] > _FOLDED_FLEXION).all(axis=1)
    return np.select(
        [
            near & (index < _PINCH_FLEXION),
            (fingers < _OPEN_FLEXION).all(axis=1),
            (fingers > _FIST_FLEXION).all(axis=1),
            pointing,
        ],
        [GraspState.PINCH, GraspState.OPEN, GraspState.FIST, GraspState.POINT],
        GraspState.RELAXED,
    )


class StateFilter:
    """The state of one hand over time, with hysteresis."""

    def __init__(self) -> None:
        self._probabilities: np.ndarray | None = None
        self._state = GraspState.RELAXED
        self._stamp_s = 0.0

    def __call__(self, probabilities: np.ndarray, stamp_s: float) -> tuple[GraspState, float]:
        """Return the state and its probability after one more image.

        Args:
            probabilities: (5,) of one image, see `state_probabilities`.
            stamp_s: the image's, on a clock that never runs backwards.
        """
        if self._probabilities is None:
            self._probabilities = probabilities
            self._state = GraspState(int(probabilities.argmax()))
        else:
            gain = 1 - np.exp(-(stamp_s - self._stamp_s) / _MEMORY_S)
            self._probabilities = self._probabilities + gain * (probabilities - self._probabilities)
            best = int(self._probabilities.argmax())
            if self._probabilities[best] > self._probabilities[self._state] + _MARGIN:
                self._state = GraspState(best)
        self._stamp_s = stamp_s
        return self._state, float(self._probabilities[self._state])


def _draw(joints_m: np.ndarray, pose_covariances_m2: np.ndarray) -> np.ndarray:
    """Return hands (64, 21, 3) as they may be: each bone errs by itself and moves all after it."""
    parents = np.array(JOINT_PARENTS[1:])
    variance, axes = np.linalg.eigh(pose_covariances_m2[1:] - pose_covariances_m2[parents])
    # The symmetric root: where variances are equal, the axes are any, and turn from image to image.
    own_m = _DRAWS @ (axes * np.sqrt(np.maximum(variance, 0))[:, None] @ axes.swapaxes(1, 2))
    chains_m = own_m.swapaxes(0, 1).reshape(-1, 5, 4, 3).cumsum(axis=2)
    hands_m = np.tile(joints_m, (len(chains_m), 1, 1))
    hands_m[:, 1:] += chains_m.reshape(-1, 20, 3)
    return hands_m
