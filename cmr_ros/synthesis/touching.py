"""Two hands that touch: one is closed around the other, or they are laid against each other.

The other hand is made of capsules here, one for each bone and one for the forearm: close enough to
its skin for hands to meet it, and quickly asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmr_ros.geometry.skeleton import JOINT_PARENTS
from cmr_ros.hand_model.closing import ClosingHand
from cmr_ros.hand_model.model import HandModel, PosedHand, with_tips_inside
from cmr_ros.hand_model.poses import random_wrist, sample_pose
from cmr_ros.synthesis.grasps import close_around, distance_from, in_palm
from cmr_ros.synthesis.placement import rotation
from cmr_ros.synthesis.thing_settings import GraspSettings, TouchSettings

#: How far beyond the wrist the forearm's capsule reaches, metres.
_FOREARM_M = 0.25
#: Where a hand that is laid against the other comes from, in how many moves, and when it is there.
_FAR_M, _MOVES, _THERE_M = 0.35, 40, 0.0005
#: How near two joints of hands that touch are.
_NEAR_M = 0.04
#: Share of a bone's skin that lies outside its capsule.
_OUTSIDE = 0.3
_MIRROR = np.diag([-1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Touch:
    """A right hand and another one that touches it."""

    hand: PosedHand  # in the model's frame
    other: PosedHand  # likewise, a right hand as well
    axes: np.ndarray  # (3, 3), hand's frame = axes @ other's + center_m; mirrors a left hand
    center_m: np.ndarray  # (3,)

    def swapped(self) -> Touch:
        """Return the same moment, mirrored if need be, about the other hand."""
        return Touch(self.other, self.hand, self.axes.T, -self.axes.T @ self.center_m)


class Capsules:
    """A posed hand as capsules, in a frame of its own."""

    def __init__(self, model: HandModel, posed: PosedHand):
        """Fit the capsules.

        Args:
            model: of the hand.
            posed: the hand.
        """
        bone = model.skin_weights.argmax(axis=1)
        joints = with_tips_inside(posed.joints)
        starts, ends = joints[list(JOINT_PARENTS)], joints.copy()
        starts[0] = joints[0]
        self.forearm = posed.vertices[bone == 0].mean(axis=0) - joints[0]
        self.forearm /= np.linalg.norm(self.forearm)
        ends[0] = joints[0] + _FOREARM_M * self.forearm
        radii = [
            np.quantile(_from_axis(posed.vertices[bone == k], starts[k], ends[k]), 1 - _OUTSIDE)
            for k in range(len(joints))
        ]
        self._starts, self._ways = starts, ends - starts
        self._squares = np.maximum((self._ways**2).sum(axis=1), 1e-12)
        self._radii = np.array(radii)

    def distance_m(self, points: np.ndarray) -> np.ndarray:
        """Return the distances (...) of points (..., 3) from the surface, negative inside."""
        nearest = np.full(points.shape[:-1], np.inf, points.dtype)
        for start, way, square, radius in zip(
            self._starts.astype(points.dtype),
            self._ways.astype(points.dtype),
            self._squares.tolist(),
            self._radii.tolist(),
            strict=True,
        ):
            to = points - start
            share = np.clip((to @ way) / square, 0, 1)
            apart = (to * to).sum(axis=-1) - share * (2 * (to @ way) - share * square)
            np.minimum(nearest, np.sqrt(np.maximum(apart, 0)) - radius, out=nearest)
        return nearest


def _from_axis(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the distances (N,) of points (N, 3) from the line from start to end."""
    way = (end - start) / np.linalg.norm(end - start)
    to = points - start
    return np.linalg.norm(to - np.outer(to @ way, way), axis=1)


@dataclass(frozen=True, eq=False)
class _Part:
    """Capsules moved so that a part of the hand lies at the origin, along z."""

    capsules: Capsules
    axes: np.ndarray  # (3, 3), hand's frame = axes @ part's + center_m
    center_m: np.ndarray

    def distance_m(self, points: np.ndarray) -> np.ndarray:
        axes, center_m = (a.astype(points.dtype) for a in (self.axes, self.center_m))
        return self.capsules.distance_m(points @ axes.T + center_m)


def draw_touch(
    model: HandModel, settings: TouchSettings, grasps: GraspSettings, rng: np.random.Generator
) -> Touch | None:
    """Return two random hands that touch, mostly of one person, or None if no try succeeded.

    Args:
        model: of the hands.
        settings: how they touch.
        grasps: how a hand opens to close around the other one.
        rng: source of randomness.
    """
    shape = model.sample_shape(rng)
    left = rng.random() < settings.left
    other_shape = shape if left else model.sample_shape(rng)
    mirror = _MIRROR if left else np.eye(3)
    for _ in range(settings.tries):
        other = model.pose(other_shape, sample_pose(model, rng))
        if rng.random() < settings.clasp:
            touch = _clasp(model, shape, other, mirror, grasps, rng)
        else:
            touch = _lay(model, shape, other, mirror, settings, rng)
        if touch is not None:
            return touch.swapped() if rng.random() < 0.5 else touch
    return None


def _clasp(
    model: HandModel,
    shape: np.ndarray,
    other: PosedHand,
    mirror: np.ndarray,
    grasps: GraspSettings,
    rng: np.random.Generator,
) -> Touch | None:
    """Return a hand that is closed around a part of the other one."""
    capsules = Capsules(model, other)
    center, along = _random_part(other.joints, capsules.forearm, rng)
    side = np.cross(along, rng.normal(size=3))
    side /= np.linalg.norm(side)
    toward = np.stack([side, np.cross(along, side), along], axis=1) @ mirror
    part = _Part(capsules, toward, center)
    hand = ClosingHand(model, shape)
    start = in_palm(hand, part, grasps, rng)
    if start is None:
        return None
    closed = close_around(model, shape, hand, random_wrist(1, rng), start, part)
    if closed is None:
        return None
    axes = start.axes @ toward.T
    return Touch(closed[0], other, axes, start.center_m - axes @ center)


def _random_part(
    joints: np.ndarray, forearm: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle of a part of a hand (3,) and a unit vector (3,) along it."""
    kind = rng.integers(4)
    if kind == 0:  # the forearm, just behind the wrist
        return joints[0] + rng.uniform(0.0, 0.05) * forearm, forearm * rng.choice([-1, 1])
    if kind == 1:  # the palm
        center, along = joints[[0, 5, 17]].mean(axis=0), joints[9] - joints[0]
    elif kind == 2:  # all fingers
        center = joints[[6, 10, 14, 18]].mean(axis=0)
        along = center - joints[[5, 9, 13, 17]].mean(axis=0)
    else:  # one digit
        first = 1 + 4 * rng.integers(5)
        center, along = joints[first + 1], joints[first + 2] - joints[first]
    return center, along / np.linalg.norm(along) * rng.choice([-1, 1])


def _lay(
    model: HandModel,
    shape: np.ndarray,
    other: PosedHand,
    mirror: np.ndarray,
    settings: TouchSettings,
    rng: np.random.Generator,
) -> Touch | None:
    """Return a hand and another one that came from some direction until it touched."""
    is_left = np.linalg.det(mirror) < 0
    is_alike = is_left and rng.random() < settings.alike
    hand = other if is_alike else model.pose(shape, sample_pose(model, rng))
    away = rng.normal(size=3)
    away /= np.linalg.norm(away)
    if is_alike:
        # As before a mirror: tips at tips, palm at palm, ...
        axes = np.eye(3) - 2 * np.outer(away, away)
        axes = rotation(rng.normal(size=3), settings.askew_rad * rng.normal()) @ axes
    else:
        axes = rotation(rng.normal(size=3), rng.uniform(-np.pi, np.pi)) @ mirror
    palms = [posed.joints[[0, 5, 9, 17]].mean(axis=0) for posed in (hand, other)]
    aside = settings.aside_m * rng.normal(size=3)
    center = palms[0] - axes @ palms[1] + aside + _FAR_M * away
    capsules = Capsules(model, other)
    points = hand.vertices.astype(np.float32)
    for _ in range(_MOVES):
        gap = float(distance_from(capsules, axes, center)(points).min())
        if abs(gap) < _THERE_M:
            touch = Touch(hand, other, axes, center)
            return touch if _hands_meet(touch) else None
        center = center - gap * away
    return None


def _hands_meet(touch: Touch) -> bool:
    """Return whether the hands are near each other, and not only their forearms."""
    joints = touch.other.joints @ touch.axes.T + touch.center_m
    apart = np.linalg.norm(joints[:, None] - touch.hand.joints, axis=-1)
    return bool(apart.min() < _NEAR_M)
