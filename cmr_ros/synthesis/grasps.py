"""Hands that hold something.

A thing is placed at the palm of an open hand or between its fingertips; then the fingers close
around it.  What does not become a grasp is drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmr_ros.geometry.skeleton import TIPS
from cmr_ros.hand_model.closing import ClosingHand, Distance
from cmr_ros.hand_model.model import HandModel, PosedHand, forward, with_tips_inside
from cmr_ros.hand_model.poses import (
    ANGLE_COUNT,
    FLEXION_LIMITS_DEG,
    SPREAD_DEG,
    THUMB_LIMITS_DEG,
    clear,
    random_wrist,
    rotations_of,
)
from cmr_ros.synthesis.holdables import HOLDABLES
from cmr_ros.synthesis.placement import rotation
from cmr_ros.synthesis.solids import Solid, Thing
from cmr_ros.synthesis.thing_settings import GraspSettings

#: A digit touches what is so near; no part of the hand is deeper inside the thing.
TOUCHING_M, DEEPEST_M = 0.0015, 0.002
#: How deep a fingertip's joint lies under the skin that touches.
_PAD_M = 0.008
#: Where things come from, and in how many moves.
_FAR_M, _MOVES = 0.15, 8
#: How deep they are pressed into the thumb.
_PRESSED_M = 0.001
_FLEXION, _SPREAD, _CUP, _THUMB = slice(0, 12), slice(12, 16), 16, slice(17, 22)
#: Rows of angles: a closed hand, 0 where the open hand's angle stays, and how much further than
#: where their tips should meet digits can close.
_FIST_DEG = np.array([*[85, 100, 70] * 4, 0, 0, 0, 0, 0, 15, -22, -30, 50, 65], float)
_BEYOND_DEG = np.array([*[35, 30, 20] * 4, 0, 0, 0, 0, 0, -10, -14, -10, 25, 30], float)


@dataclass(frozen=True, eq=False)
class Grasp:
    """A hand and what it holds, in the model's frame."""

    hand: PosedHand
    angles_deg: np.ndarray  # (ANGLE_COUNT,) of the hand's joints
    solid: Solid
    axes: np.ndarray  # (3, 3), model's frame = axes @ solid's frame + center_m
    center_m: np.ndarray  # (3,)

    def distance_m(self, points: np.ndarray) -> np.ndarray:
        """Return the distances (...) of points (..., 3) in the model's frame from the thing."""
        return distance_from(self.solid, self.axes, self.center_m)(points)


@dataclass(frozen=True, eq=False)
class Start:
    """An open hand with a thing in it, and how it closes: rows of angles."""

    opened: np.ndarray
    closed: np.ndarray
    axes: np.ndarray
    center_m: np.ndarray


def draw_grasp(model: HandModel, settings: GraspSettings, rng: np.random.Generator) -> Grasp | None:
    """Return a random person's hand that holds something, or None if no try became a grasp.

    Thumb and two fingers or more touch the thing, within `TOUCHING_M`, and no part of the hand is
    deeper inside than `DEEPEST_M`.  Joints keep the limits of `poses`.

    Args:
        model: of the hand.
        settings: what is held, and how.
        rng: source of randomness.
    """
    shape = model.sample_shape(rng)
    hand, wrist_deg = ClosingHand(model, shape), random_wrist(1, rng)
    names, places, shares = zip(*settings.things, strict=True)
    for _ in range(settings.tries):
        kind = rng.choice(len(names), p=shares)
        solid = HOLDABLES[names[kind]](settings, rng)
        hold = in_palm if places[kind] == "palm" else _between_tips
        start = hold(hand, solid, settings, rng)
        closed = start and close_around(model, shape, hand, wrist_deg, start, solid)
        if closed is not None:
            return Grasp(*closed, solid, start.axes, start.center_m)
    return None


def close_around(
    model: HandModel,
    shape: np.ndarray,
    hand: ClosingHand,
    wrist_deg: np.ndarray,
    start: Start,
    thing: Thing,
) -> tuple[PosedHand, np.ndarray] | None:
    """Return the hand closed around a thing, and its angles, or None if that makes no grasp.

    Args:
        model: of the hand.
        shape: (1 + M,) of the hand.
        hand: of that shape.
        wrist_deg: (1, 2) angles of the wrist.
        start: of the hand and the thing.
        thing: to close around.
    """
    distance_m = distance_from(thing, start.axes, start.center_m)
    row, touching = hand.close(start.opened, start.closed, distance_m)
    if not _is_grasp(touching):
        return None
    row = _idle_along(row, touching[1:])
    rotations = rotations_of(model.mean_joints, row[None], wrist_deg)
    if not clear(with_tips_inside(forward(model.mean_joints, rotations)[1]))[0]:
        return None
    posed = model.pose(shape, rotations[0])
    return (posed, row) if distance_m(posed.vertices).min() > -DEEPEST_M else None


def _is_grasp(touching: np.ndarray) -> bool:
    """Return whether thumb and two fingers are among the digits (5,) that touch."""
    return bool(touching[0] and touching[1:].sum() >= 2)


def distance_from(thing: Thing, axes: np.ndarray, center_m: np.ndarray) -> Distance:
    """Return the distances of points in the model's frame, which is axes @ thing's + center_m."""
    axes, center_m = axes.astype(np.float32), center_m.astype(np.float32)
    return lambda points: thing.distance_m((points - center_m) @ axes)


def _idle_along(row: np.ndarray, touching: np.ndarray) -> np.ndarray:
    """Return the row with fingers (4,) that touch nothing bent like those that do."""
    flexion = row[_FLEXION].reshape(4, 3)
    idle = np.where(touching[:, None], flexion, flexion[touching].mean(axis=0))
    return np.concatenate([idle.ravel(), row[_SPREAD.start :]])


def _palm_frame(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors (3,) across the palm, towards the thumb, and out of it."""
    across = joints[5] - joints[17]
    palm = np.cross(across, joints[9] - joints[0])
    return across / np.linalg.norm(across), palm / np.linalg.norm(palm)


def in_palm(
    hand: ClosingHand, thing: Thing, settings: GraspSettings, rng: np.random.Generator
) -> Start | None:
    """Return a hand with a thing that lies across its palm and touches it, or None: no room.

    Args:
        hand: the hand.
        thing: lies there with its long axis.
        settings: how the hand opens, and where the thing lies.
        rng: source of randomness.
    """
    opened = np.zeros(ANGLE_COUNT)
    opened[_FLEXION] = np.tile([-5, 4, 2], 4) + rng.normal(0, 3, 12)
    opened[_SPREAD] = rng.uniform(*settings.spread) * SPREAD_DEG
    opened[_CUP] = rng.uniform(*settings.cup_deg)
    openings = np.repeat(opened[None], settings.thumbs, axis=0)
    openings[:, _THUMB] = rng.uniform(*np.transpose(settings.thumb_deg), (settings.thumbs, 5))
    skin, (joints, *_) = hand.bend(openings)
    across, palm = _palm_frame(joints)
    axis = rotation(palm, rng.uniform(*settings.slant_rad)) @ across
    axes = np.stack([palm, np.cross(axis, palm), axis], axis=1)
    place = rng.uniform(*settings.along)
    center = place * joints[[5, 9, 13, 17]].mean(axis=0) + (1 - place) * joints[0]
    center = center + axis * settings.shift_m * rng.normal()
    center = _moved_up(hand, skin[:1], thing, axes, center, -palm, slice(1, None))
    free = hand.gaps_m(skin, distance_from(thing, axes, center))[:, 0] > 0
    if not free.any():
        return None
    opened = openings[np.argmax(free)]  # the first thumb that is clear of the thing
    closed = np.where(_FIST_DEG == 0, opened, _FIST_DEG)
    return Start(opened, closed, axes, center)


def _between_tips(
    hand: ClosingHand, solid: Solid, settings: GraspSettings, rng: np.random.Generator
) -> Start | None:
    """Return a hand with a thing between the tips of thumb, index and middle finger."""
    count = settings.tips
    rows = np.zeros((count, ANGLE_COUNT))
    mcp, pip = (
        rng.uniform(*settings.tips_mcp_deg, count),
        rng.uniform(*settings.tips_pip_deg, count),
    )
    bent = np.stack([mcp, pip, 0.6 * pip], axis=1)
    rows[:, _FLEXION] = np.tile(bent, 4) + rng.normal(0, 4, (count, 12))
    spread = rng.uniform(*settings.spread, count) * np.clip(1 - mcp / 70, 0.1, 1)
    rows[:, _SPREAD] = spread[:, None] * SPREAD_DEG
    rows[:, _CUP] = rng.uniform(*settings.cup_deg, count)
    rows[:, _THUMB] = rng.uniform(*np.transpose(settings.tips_thumb_deg), (count, 5))
    joints = with_tips_inside(hand.joints(rows))
    thumb, fingers = joints[:, TIPS[0], None], joints[:, TIPS[1:3]]
    gaps = np.linalg.norm(thumb - fingers, axis=2)
    chosen = np.argmin(np.abs(gaps - 2 * (solid.reach_m + _PAD_M)).max(axis=1))
    row, joints = rows[chosen], joints[chosen]
    fingertips = fingers[chosen].mean(axis=0)
    narrow = fingertips - joints[TIPS[0]]
    narrow /= np.linalg.norm(narrow)
    center = (fingertips + joints[TIPS[0]]) / 2
    # From straight across the fingers to the way a pen points, back over the index finger's base.
    back = joints[5] - center
    axis = _palm_frame(joints)[0] + rng.uniform(*settings.tips_back) * back / np.linalg.norm(back)
    axis -= narrow * (axis @ narrow)
    axis /= np.linalg.norm(axis)
    axes = np.stack([narrow, np.cross(axis, narrow), axis], axis=1)
    center = center + axis * settings.shift_m * rng.normal()
    opened, closed = row - settings.tips_open * _BEYOND_DEG, row + _BEYOND_DEG
    opened[_THUMB] = row[_THUMB]
    opened, closed = _limited(opened), _limited(closed)
    skin, _ = hand.bend(opened[None])
    center = _moved_up(hand, skin, solid, axes, center, -narrow, slice(0, 1)) - _PRESSED_M * narrow
    gaps = hand.gaps_m(skin, distance_from(solid, axes, center))
    return Start(opened, closed, axes, center) if gaps.min() > -DEEPEST_M else None


def _moved_up(
    hand: ClosingHand,
    skin: np.ndarray,
    thing: Thing,
    axes: np.ndarray,
    center_m: np.ndarray,
    direction: np.ndarray,
    digits: slice,
) -> np.ndarray:
    """Return the centre (3,) of a thing that came from far off until it touched the digits.

    Args:
        hand: whose digits.
        skin: (1, P, 3) of it.
        thing: what moves.
        axes: (3, 3) of it.
        center_m: (3,) on its way.
        direction: (3,) unit vector of its way.
        digits: those of `ClosingHand.gaps_m` that stop it.
    """
    center_m = center_m - _FAR_M * direction
    for _ in range(_MOVES):
        # It can go at least as far as the nearest point is away.
        gaps = hand.gaps_m(skin, distance_from(thing, axes, center_m))[0]
        center_m = center_m + direction * gaps[digits].min()
    return center_m


def _limited(rows: np.ndarray) -> np.ndarray:
    """Return angles (..., ANGLE_COUNT) within the joints' limits."""
    rows = rows.copy()
    rows[..., _FLEXION] = np.clip(rows[..., _FLEXION], *np.tile(FLEXION_LIMITS_DEG, 4))
    rows[..., _THUMB] = np.clip(rows[..., _THUMB], *THUMB_LIMITS_DEG)
    return rows
