"""What a hand does, measured on its joints: how far fingers bend, where they pinch, how they open.

All functions take joints (..., 21, 3) in metres, in any frame, and are vectorised over the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmr_ros.geometry.skeleton import INDEX_MCP, LITTLE_MCP, MIDDLE_MCP, TIPS, WRIST, Handedness
from cmr_ros.geometry.vectors import cross

#: Of each finger the joints from the wrist to its tip.
_CHAINS = np.insert(np.arange(1, 21).reshape(5, 4), 0, WRIST, axis=1)
#: Bend in degrees, summed over a finger's joints, of a closed fist: the thumb's two, the fingers'
#: three.
_CLOSED_DEG = np.array([95.0, 230.0, 230.0, 230.0, 230.0])
#: Below that the line between the tips of thumb and index has no direction to rely on.
_TOUCHING_M = 0.005


@dataclass(frozen=True, eq=False)
class Pinch:
    """Thumb and index finger as a two-fingered gripper."""

    #: (..., 3) metres, midway between the two tips.
    point_m: np.ndarray
    #: (..., 3) unit vectors from the thumb's tip to the index finger's.
    axis: np.ndarray
    #: (...) metres between the two tips.
    opening_m: np.ndarray


def flexion(joints_m: np.ndarray, handedness: Handedness) -> np.ndarray:
    """Return how far each finger is bent (..., 5), thumb first: 0 stretched, 1 as in a closed fist.

    A finger's bend is the sum over its three joints, counted towards the palm; the thumb's, whose
    joints bend across the palm, the sum of the angles at its two last joints.

    Args:
        joints_m: (..., 21, 3).
        handedness: on which side the palm is; an unknown hand counts as right.
    """
    joints = np.asarray(joints_m, np.float64)
    back = _back(joints, handedness)
    bones = _unit(np.diff(joints[..., _CHAINS, :], axis=-2))  # (..., 5, 4, 3)
    before, after = bones[..., :-1, :], bones[..., 1:, :]
    along, across = (before * after).sum(-1), cross(before, after)
    bend = np.empty((*joints.shape[:-2], 5))
    bend[..., 0] = np.arctan2(np.linalg.norm(across, axis=-1), along)[..., 0, 1:].sum(-1)
    # Towards the palm: about the axis across the finger, which the palm gives to its base.
    hinges = _unit(cross(back[..., None, :], bones[..., 1:, 0, :]))
    towards = (across[..., 1:, :, :] * hinges[..., None, :]).sum(-1)
    bend[..., 1:] = np.arctan2(towards, along[..., 1:, :]).sum(-1)
    return np.clip(np.degrees(bend) / _CLOSED_DEG, 0, 1)


def pinch(joints_m: np.ndarray) -> Pinch:
    """Return where thumb and index finger meet, or would meet.

    Where the tips touch, the axis is that of the line between the middles of their last bones.
    joints_m: (..., 21, 3).
    """
    joints = np.asarray(joints_m, np.float64)
    thumb, index = (joints[..., tip, :] for tip in TIPS[:2])
    between = index - thumb
    opening_m = np.linalg.norm(between, axis=-1)
    behind = between + joints[..., TIPS[1] - 1, :] - joints[..., TIPS[0] - 1, :]
    between = np.where(opening_m[..., None] < _TOUCHING_M, behind, between)
    return Pinch((thumb + index) / 2, _unit(between), opening_m)


def aperture_m(joints_m: np.ndarray) -> np.ndarray:
    """Return how wide the whole hand is open (...), from the thumb's tip to the farthest other."""
    tips = np.asarray(joints_m, np.float64)[..., TIPS, :]
    return np.linalg.norm(tips[..., 1:, :] - tips[..., :1, :], axis=-1).max(-1)


def _back(joints: np.ndarray, handedness: Handedness) -> np.ndarray:
    """Return unit vectors (..., 3) out of the back of the hand."""
    wrist = joints[..., WRIST, :]
    index, middle, little = (
        joints[..., base, :] - wrist for base in (INDEX_MCP, MIDDLE_MCP, LITTLE_MCP)
    )
    back = cross(little, index) * (-1 if handedness is Handedness.LEFT else 1)
    ahead = _unit(middle)
    return _unit(back - ahead * (back * ahead).sum(-1, keepdims=True))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
