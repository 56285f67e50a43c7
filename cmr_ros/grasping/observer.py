"""Hands as a grasping stack wants them: palm, pinch, posture, motion, and how near two are."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cmr_ros.geometry.frames import palm_pose
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.grasping.posture import Pinch, aperture_m, flexion, pinch
from cmr_ros.grasping.states import GraspState, StateFilter, state_probabilities
from cmr_ros.hand import Hand
from cmr_ros.tracking.clock import ImageClock

#: The palm's velocity is the slope of its positions over so long.
_MOTION_S = 0.2
#: A hand that has not been seen for longer is met as a new one.
_FORGET_S = 1.0


@dataclass(frozen=True, eq=False)
class Grasp:
    """One hand for grasping; metres, in the frame of the hand's joints."""

    track_id: int
    handedness: Handedness
    palm_m: np.ndarray  # (3,), see `geometry.frames.palm_pose`
    palm_rotation: np.ndarray  # (3, 3)
    palm_velocity_m_s: np.ndarray  # (3,); zero in the first image
    pinch: Pinch
    aperture_m: float
    flexion: np.ndarray  # (5,) 0 to 1, thumb first
    state: GraspState
    state_probability: float


@dataclass(frozen=True, eq=False)
class HandPair:
    """How near two hands are, from vertex to vertex."""

    track_ids: tuple[int, int]
    distance_m: float
    points_m: np.ndarray  # (2, 3), one on each hand


class GraspObserver:
    """Follows hands from image to image, as far as motion and state need it."""

    def __init__(self) -> None:
        self._clock = ImageClock()
        self._states: dict[int, StateFilter] = {}
        self._palms: dict[int, deque[tuple[float, np.ndarray]]] = {}

    def __call__(
        self, hands: Sequence[Hand], stamp_s: float | None
    ) -> tuple[list[Grasp], list[HandPair]]:
        """Return what each hand does, and the distance of each two.

        Args:
            hands: an image's.
            stamp_s: the image's; without stamps images are taken to come 30 times a second.
        """
        if not self._clock.advance(stamp_s):
            self._states, self._palms = {}, {}
        grasps = [self._grasp(hand) for hand in hands]
        self._forget()
        return grasps, [hand_pair(*pair) for pair in combinations(hands, 2)]

    def _grasp(self, hand: Hand) -> Grasp:
        joints_m, side = hand.joints_m, hand.handedness
        palm_m, rotation = palm_pose(joints_m, side)
        probabilities = state_probabilities(joints_m, hand.pose_covariances_m2, side)
        filtered = self._states.setdefault(hand.track_id, StateFilter())
        state, probability = filtered(probabilities, self._clock.now_s)
        return Grasp(
            track_id=hand.track_id,
            handedness=side,
            palm_m=palm_m,
            palm_rotation=rotation,
            palm_velocity_m_s=self._velocity(hand.track_id, palm_m),
            pinch=pinch(joints_m),
            aperture_m=float(aperture_m(joints_m)),
            flexion=flexion(joints_m, side),
            state=state,
            state_probability=probability,
        )

    def _velocity(self, track_id: int, palm_m: np.ndarray) -> np.ndarray:
        """Return the slope (3,) of the straight line through the last positions."""
        past = self._palms.setdefault(track_id, deque())
        past.append((self._clock.now_s, palm_m))
        while len(past) > 2 and past[0][0] < self._clock.now_s - _MOTION_S:
            past.popleft()  # two are needed, however slowly images come
        stamps_s = np.array([stamp_s for stamp_s, _ in past])
        stamps_s -= stamps_s.mean()
        square_s2 = stamps_s @ stamps_s
        if not square_s2:
            return np.zeros(3)
        return stamps_s @ np.array([position for _, position in past]) / square_s2

    def _forget(self) -> None:
        for track_id, past in list(self._palms.items()):
            if past[-1][0] < self._clock.now_s - _FORGET_S:
                del self._palms[track_id], self._states[track_id]


def hand_pair(a: Hand, b: Hand) -> HandPair:
    """Return the nearest vertices of two hands, and how far apart they are."""
    # The nearest are no farther from the box around the other hand than any two are apart.
    from_a, from_b = _gaps_m(a.vertices_m, b.vertices_m), _gaps_m(b.vertices_m, a.vertices_m)
    most_m = np.linalg.norm(b.vertices_m - a.vertices_m[from_a.argmin()], axis=1).min()
    p, q = a.vertices_m[from_a <= most_m], b.vertices_m[from_b <= most_m]
    # |p - q|^2 by products: a million pairs in milliseconds; about their middle, for precision.
    middle = (p.mean(axis=0) + q.mean(axis=0)) / 2
    p0, q0 = p - middle, q - middle
    square_m2 = (p0**2).sum(1)[:, None] + (q0**2).sum(1) - 2 * p0 @ q0.T
    i, j = np.unravel_index(square_m2.argmin(), square_m2.shape)
    points_m = np.stack([p[i], q[j]])
    distance_m = float(np.linalg.norm(points_m[1] - points_m[0]))
    return HandPair((a.track_id, b.track_id), distance_m, points_m)


def _gaps_m(points_m: np.ndarray, others_m: np.ndarray) -> np.ndarray:
    """Return how far points (N, 3) are from the upright box around others (M, 3); (N,)."""
    low, high = others_m.min(axis=0), others_m.max(axis=0)
    return np.linalg.norm(points_m - np.clip(points_m, low, high), axis=1)
