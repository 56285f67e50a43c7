"""Random hand poses that a hand can take.

A pose is a table of angles, drawn from a mixture of habits (open, fist, pointing, pinching,
grasping, ...) and turned into rotations about each bone's own anatomical axes.  Poses whose fingers
run into each other are drawn again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cmr_ros.geometry.skeleton import JOINT_PARENTS
from cmr_ros.hand_model.model import HandModel, forward, with_tips_inside

_BASES = (5, 9, 13, 17)
#: Closest that bones of different fingers may come, metres, on a hand of 0.185 m.
_CLEARANCE_M, _PALM_CLEARANCE_M = 0.0115, 0.0125
_TRIES = 24
#: Which finger each point that `clear` looks at belongs to, and all pairs of different fingers.
_FINGERS = np.tile(np.repeat(np.arange(5), 3), 2)
_PAIRS = np.nonzero(np.triu(_FINGERS[:, None] != _FINGERS))
#: Outward lean of the stretched fingers when the hand is spread comfortably, degrees.
SPREAD_DEG = np.array([9.0, 1.0, -7.0, -17.0])
#: Bending the thumb's end joints about this axis, at rest, sweeps its tip across the palm.
THUMB_HINGE = np.array([-0.67, 0.43, -0.60])
#: Joints' limits in degrees, lowest and highest: a finger's MCP, PIP and DIP, the thumb's five
#: angles as in `_Angles`, and the palm's cup.
FLEXION_LIMITS_DEG = ((-22, -4, -8), (88, 108, 80))
THUMB_LIMITS_DEG = ((-18, -22, -35, -12, -18), (45, 24, 18, 55, 75))
CUP_LIMITS_DEG = (0, 14)


@dataclass(eq=False)
class _Angles:
    """Joint angles in degrees of N candidates; 0 is straight."""

    flexion: np.ndarray  # (N, 4, 3) of the fingers' MCP, PIP and DIP
    spread: np.ndarray  # (N, 4) towards the thumb
    cup: np.ndarray  # (N,) of the palm
    #: (N, 5) from the thumb at rest: CMC palmar abduction, CMC radial abduction, CMC twist, MCP
    #: flexion and IP flexion
    thumb: np.ndarray
    wrist: np.ndarray  # (N, 3) flexion, deviation, twist


def sample_pose(model: HandModel, rng: np.random.Generator) -> np.ndarray:
    """Return rotations (21, 3, 3) for `HandModel.pose`."""
    kind = rng.choice(len(_HABITS), p=[share for share, _ in _HABITS])
    return _draw_pose(_HABITS[kind][1], model, rng)


def grasping_pose(model: HandModel, rng: np.random.Generator) -> np.ndarray:
    """Return rotations (21, 3, 3) of a hand around a cylinder or a ball."""
    return _draw_pose(_grasp, model, rng)


def _draw_pose(
    draw: Callable[[int, np.random.Generator], _Angles],
    model: HandModel,
    rng: np.random.Generator,
) -> np.ndarray:
    rest = model.mean_joints
    while True:
        angles = draw(_TRIES, rng)
        rotations = _rotations(rest, angles)
        joints = with_tips_inside(forward(rest, rotations)[1])
        good = np.flatnonzero(clear(joints))
        if draw is _pinch and len(good):
            finger = 8 if rng.random() < 0.6 else 12
            gap = np.linalg.norm(joints[good, 4] - joints[good, finger], axis=1)
            good = good[gap < max(0.022, gap.min() + 1e-6)][:1]
        if len(good):
            return rotations[good[0]]


#: How many numbers make a row of angles: flexion (4 x 3), spread (4), cup, thumb (5), as in
#: `_Angles`; the wrist, which moves the forearm alone, is left out.
ANGLE_COUNT = 22


def sample_angles(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return rows of angles (N, ANGLE_COUNT) of about `count` random poses in degrees.

    Fingers may run into each other.
    """
    rows = []
    for share, draw in _HABITS:
        angles = draw(max(round(share * count), 1), rng)
        parts = (angles.flexion, angles.spread, angles.cup[:, None], angles.thumb)
        rows.append(np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1))
    return np.concatenate(rows)


def rotations_of(
    rest: np.ndarray, rows: np.ndarray, wrist_deg: np.ndarray | None = None
) -> np.ndarray:
    """Return rotations (N, 21, 3, 3) for `HandModel.pose` of rows of angles (N, ANGLE_COUNT).

    Args:
        rest: (21, 3), the joints of the mean hand.
        rows: in degrees, as `sample_angles` returns them.
        wrist_deg: (N, 3) flexion, deviation and twist of the wrist; None: it is straight.
    """
    flexion, spread, cup, thumb = np.split(rows, [12, 16, 17], axis=1)
    wrist = np.zeros((len(rows), 3)) if wrist_deg is None else wrist_deg
    return _rotations(rest, _Angles(flexion.reshape(-1, 4, 3), spread, cup[:, 0], thumb, wrist))


def random_wrist(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return flexion, deviation and twist (N, 3) of random wrists in degrees."""
    return rng.normal(0, [22, 10, 8], (count, 3))


def clear(joints: np.ndarray) -> np.ndarray:
    """Return which hands (N,) keep their fingers apart; joints (N, 21, 3), tips in the flesh."""
    points = np.concatenate(
        [joints[:, 4 * f + 2 : 4 * f + 5] for f in range(5)]
        + [
            (joints[:, 4 * f + 1 : 4 * f + 4] + joints[:, 4 * f + 2 : 4 * f + 5]) / 2
            for f in range(5)
        ],
        axis=1,
    )
    gaps = np.linalg.norm(points[:, _PAIRS[0]] - points[:, _PAIRS[1]], axis=-1)
    apart = gaps.min(axis=1) > _CLEARANCE_M
    shares = np.linspace(0.3, 1, 4)[:, None, None]
    palm = np.concatenate([joints[:, :1] * (1 - s) + joints[:, _BASES] * s for s in shares], axis=1)
    outer = joints[:, [3, 4, 7, 8, 11, 12, 15, 16, 19, 20]]
    to_palm = np.linalg.norm(outer[:, :, None] - palm[:, None], axis=-1).min(axis=(1, 2))
    return apart & (to_palm > _PALM_CLEARANCE_M)


def _coupled(mcp: np.ndarray, pip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return flexion (..., 3) with the DIP joint following the PIP joint, as its tendon forces."""
    dip = pip * rng.uniform(0.45, 0.8, np.shape(pip)) + rng.normal(0, 4, np.shape(pip))
    return np.stack([mcp, pip, np.clip(dip, -8, 80)], axis=-1)


def _free_thumb(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return thumb angles (N, 5): relaxed, opposed, laid on the index finger, or stretched out."""
    modes = np.array(
        [
            [5, 0, 0, 12, 15],
            [28, -8, -18, 22, 25],
            [-8, -16, 5, 18, 25],
            [0, 14, 6, -4, -4],
        ]
    )
    spread = np.array([[10, 8, 8, 12, 15], [10, 8, 8, 12, 18], [7, 5, 6, 12, 20], [8, 6, 6, 8, 10]])
    mode = rng.choice(4, count, p=[0.35, 0.27, 0.2, 0.18])
    thumb = modes[mode] + spread[mode] * rng.normal(size=(count, 5))
    return np.clip(thumb, *THUMB_LIMITS_DEG)


def _finish(
    flexion: np.ndarray,
    rng: np.random.Generator,
    thumb: np.ndarray | None = None,
    spread: np.ndarray | None = None,
) -> _Angles:
    """Return angles with whatever is not given drawn at random, within the joints' limits."""
    count = len(flexion)
    # Bent fingers can hardly spread: their collateral ligaments are taut.
    loose = np.clip(1 - flexion[..., 0] / 70, 0.1, 1)
    if spread is None:
        factor = np.clip(rng.normal(0.55, 0.4, (count, 1)), -0.15, 1.5)
        spread = factor * SPREAD_DEG + rng.normal(0, 3, (count, 4))
    bent = flexion[..., 0].mean(axis=1)
    return _Angles(
        flexion=np.clip(flexion, *FLEXION_LIMITS_DEG),
        spread=spread * loose,
        cup=np.clip(0.1 * bent + rng.normal(0, 3, count), *CUP_LIMITS_DEG),
        thumb=_free_thumb(count, rng) if thumb is None else thumb,
        wrist=random_wrist(count, rng),
    )


def _open(count: int, rng: np.random.Generator) -> _Angles:
    shared = rng.normal(2, 10, (count, 1)) + rng.normal(0, 4, (count, 4))
    pip = np.abs(rng.normal(4, 10, (count, 1)) + rng.normal(0, 4, (count, 4)))
    spread = np.clip(rng.normal(0.9, 0.5, (count, 1)), -0.1, 1.9) * SPREAD_DEG
    return _finish(_coupled(shared, pip, rng), rng, spread=spread + rng.normal(0, 2, (count, 4)))


def _fist(count: int, rng: np.random.Generator) -> _Angles:
    tight = rng.uniform(0.55, 1, (count, 1))
    mcp = 78 * tight + rng.normal(0, 6, (count, 4))
    pip = 98 * tight + rng.normal(0, 6, (count, 4))
    return _finish(_coupled(mcp, pip, rng), rng)


def _patterns(count: int, rng: np.random.Generator) -> _Angles:
    """Each finger stretched, half bent or bent: pointing, victory, counting, thumbs up, ..."""
    mcps, pips = np.array([3.0, 40.0, 75.0]), np.array([6.0, 50.0, 95.0])
    state = rng.choice(3, (count, 4), p=[0.42, 0.18, 0.40])
    if rng.random() < 0.35:
        state = np.full((count, 4), 2)
        state[:, : rng.integers(1, 4)] = 0
    mcp = mcps[state] + rng.normal(0, 9, (count, 4))
    pip = np.abs(pips[state] + rng.normal(0, 10, (count, 4)))
    # Neighbours share muscles: the ring finger cannot stay behind both of its own.
    mcp[:, 2] = 0.6 * mcp[:, 2] + 0.2 * (mcp[:, 1] + mcp[:, 3])
    return _finish(_coupled(mcp, pip, rng), rng)


def _correlated(count: int, rng: np.random.Generator) -> _Angles:
    mcp = rng.uniform(-10, 80, (count, 1)) + rng.normal(0, 9, (count, 4))
    pip = np.clip(rng.uniform(0, 100, (count, 1)) + rng.normal(0, 10, (count, 4)), 0, 105)
    slope = rng.normal(0, 7, (count, 1)) * np.arange(-1.5, 2)
    return _finish(_coupled(mcp + slope, np.clip(pip + slope, 0, 105), rng), rng)


def _independent(count: int, rng: np.random.Generator) -> _Angles:
    mcp, pip = rng.uniform(-15, 80, (count, 4)), rng.uniform(0, 100, (count, 4))
    return _finish(_coupled(mcp, pip, rng), rng)


def _grasp(count: int, rng: np.random.Generator) -> _Angles:
    """Around a cylinder or a ball: the wider the object, the straighter and wider the fingers."""
    width = rng.uniform(0, 1, (count, 1))
    mcp = 62 - 34 * width + rng.normal(0, 6, (count, 4))
    pip = 78 - 42 * width + rng.normal(0, 6, (count, 4))
    thumb = np.array([30, -4, -18, 12, 18]) + rng.normal(0, [8, 7, 7, 10, 12], (count, 5))
    spread = (0.2 + 0.9 * width) * SPREAD_DEG + rng.normal(0, 3, (count, 4))
    return _finish(_coupled(mcp, pip, rng), rng, thumb=thumb, spread=spread)


def _pinch(count: int, rng: np.random.Generator) -> _Angles:
    """Thumb against index or middle finger; the closest of many candidates is taken."""
    others = rng.choice([12.0, 45.0, 75.0]) + rng.normal(0, 9, (count, 4))
    pip = np.abs(others * 1.15 + rng.normal(0, 8, (count, 4)))
    others[:, :2] = rng.uniform(25, 62, (count, 2))
    pip[:, :2] = rng.uniform(25, 75, (count, 2))
    thumb = np.array([28, -8, -18, 18, 20]) + rng.normal(0, [10, 8, 8, 14, 18], (count, 5))
    return _finish(_coupled(others, pip, rng), rng, thumb=thumb)


_HABITS = (
    (0.20, _open),
    (0.12, _fist),
    (0.28, _patterns),
    (0.13, _correlated),
    (0.08, _independent),
    (0.10, _grasp),
    (0.09, _pinch),
)


def _turn(axes: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Return rotations (N, 3, 3) about a unit axis (3,) by angles (N,), by Rodrigues' formula."""
    x, y, z = axes
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)[:, None, None]
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def _rotations(rest: np.ndarray, angles: _Angles) -> np.ndarray:
    """Return rotations (N, 21, 3, 3) that bring the hand at rest to the angles."""
    count = len(angles.cup)
    rotations = np.broadcast_to(np.eye(3), (count, 21, 3, 3)).copy()
    wrist = angles.wrist
    rotations[:, 0] = (
        _turn(np.array([0.0, 1, 0]), wrist[:, 0])
        @ _turn(np.array([0, 0, 1.0]), 0.6 * wrist[:, 1])
        @ _turn(np.array([1.0, 0, 0]), wrist[:, 2])
    )
    up = np.array([0, 0, 1.0])
    for finger, base in enumerate(_BASES):
        bones = np.diff(rest[[JOINT_PARENTS[base], base, base + 1, base + 2, base + 3]], axis=0)
        flat = bones[1] * [1, 1, 0]
        ahead = flat / np.linalg.norm(flat)
        hinge = np.cross(up, ahead)
        # Ring and little finger's metacarpals give way when the palm is cupped.
        cupping = np.array([0, 0, 0.5, 1.0])[finger]
        rotations[:, base] = _turn(np.array([1.0, 0, 0]), cupping * angles.cup) @ _turn(
            hinge, 0.5 * cupping * angles.cup
        )
        pitch = np.degrees(np.arctan2(-bones @ up, bones @ ahead))
        lean = np.degrees(np.arctan2(flat[1], flat[0]))
        sideways = _turn(up, angles.spread[:, finger] - lean)
        flexion = angles.flexion[:, finger]
        rotations[:, base + 1] = sideways @ _turn(hinge, flexion[:, 0] - pitch[1])
        for k in (1, 2):
            rotations[:, base + 1 + k] = _turn(hinge, flexion[:, k] - (pitch[k + 1] - pitch[k]))
    _turn_thumb(rotations, rest, angles.thumb)
    return rotations


def _turn_thumb(rotations: np.ndarray, rest: np.ndarray, thumb: np.ndarray) -> None:
    """Fill in the thumb's rotations; its axes lie askew to the fingers'."""
    metacarpal = rest[2] - rest[1]
    metacarpal /= np.linalg.norm(metacarpal)
    hinge = THUMB_HINGE - metacarpal * (metacarpal @ THUMB_HINGE)
    hinge /= np.linalg.norm(hinge)
    rotations[:, 2] = (
        _turn(np.array([1.0, 0, 0]), -thumb[:, 0])
        @ _turn(np.array([0, 0, 1.0]), thumb[:, 1])
        @ _turn(metacarpal, thumb[:, 2])
    )
    rotations[:, 3] = _turn(hinge, thumb[:, 3])
    rotations[:, 4] = _turn(hinge, thumb[:, 4])
