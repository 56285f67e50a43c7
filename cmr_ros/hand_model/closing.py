"""Fingers that close around something until they touch it.

Each digit bends as a whole until any part of it touches; then what lies beyond the part that
touches bends on, as tendons make it (GraspIt!'s automatic grasp, Miller and Allen 2004).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cmr_ros.geometry.mesh import vertex_normals
from cmr_ros.hand_model.model import HandModel, bone_motions, forward
from cmr_ros.hand_model.poses import rotations_of

#: Distances in metres (...) of points (..., 3) from a thing's surface, negative inside.
Distance = Callable[[np.ndarray], np.ndarray]

#: Columns of a row of angles that move the three segments of each digit, thumb first.
_DIGIT_COLUMNS = (
    ((17, 18, 19), (20,), (21,)),
    *(((k,), (k + 1,), (k + 2,)) for k in range(0, 12, 3)),
)
#: Steps of each stage: the whole digit, its last two segments, its last one.  A fingertip moves by
#: some 12 mm in a step, less than it is thick, so that nothing slips through.
_STEPS = (15, 9, 7)
#: How deep flesh gives way to what it touches.
_PRESSED_M = 0.0005
#: Cosine between the skin's normal and the hand's back from which skin is the back of a finger.
_BACK = 0.4
_PALM = 5


class ClosingHand:
    """The inner side of a hand of one shape, to be closed around things in the model's frame."""

    def __init__(self, model: HandModel, shape: np.ndarray):
        """Prepare; shape (1 + M,) as `HandModel.pose` takes it."""
        self._mean_joints = model.mean_joints
        rest = model.rest(shape)
        self._joints = rest.joints
        # Bone j ends in joint j, which is number j - 1 of its digit, counted by fours.
        bone = model.skin_weights.argmax(axis=1)
        digit, segment = (bone - 1) // 4, (bone - 1) % 4
        # Backs of fingers touch nothing that the fingers close around; the thumb lies askew.
        back = vertex_normals(rest.vertices, model.faces)[:, 2] > _BACK
        chosen = np.flatnonzero((bone > 0) & ((digit == 0) & (segment > 0) | ~back))
        self._segment = segment[chosen]
        self._digit = np.where(self._segment > 0, digit[chosen], _PALM)
        self._weights = model.skin_weights[chosen].astype(np.float32)
        self._points = rest.vertices[chosen].astype(np.float32)

    def bend(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return skin (N, P, 3) and joints (N, 21, 3) of hands bent by angles (N, ANGLE_COUNT)."""
        rotations = rotations_of(self._mean_joints, rows)
        motions, joints = bone_motions(self._joints, rotations)
        blended = np.tensordot(motions.astype(np.float32), self._weights, (1, 1))  # (N, 3, 4, P)
        turned = np.einsum("nabp,pb->nap", blended[:, :, :3], self._points)
        return np.moveaxis(turned + blended[:, :, 3], 1, 2), joints

    def joints(self, rows: np.ndarray) -> np.ndarray:
        """Return joints (N, 21, 3) of hands bent by angles (N, ANGLE_COUNT)."""
        return forward(self._joints, rotations_of(self._mean_joints, rows))[1]

    def gaps_m(self, skin: np.ndarray, distance_m: Distance) -> np.ndarray:
        """Return how far thumb, fingers and palm (N, 6) are from a thing, negative inside.

        skin: (N, P, 3) as `bend` returns it.
        """
        distances = distance_m(skin)
        return np.stack([distances[:, self._digit == k].min(axis=1) for k in range(6)], axis=1)

    def close(
        self, opened: np.ndarray, closed: np.ndarray, distance_m: Distance
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return angles (ANGLE_COUNT,) of a closed hand, and which digits (5,) touch the thing.

        Args:
            opened: (ANGLE_COUNT,) degrees, where to start from.
            closed: (ANGLE_COUNT,) degrees, where digits end that touch nothing.
            distance_m: from the thing.
        """
        row, touching = opened.copy(), np.zeros(5, bool)
        for stage, steps in enumerate(_STEPS):
            moving = [[k for segment in d[stage:] for k in segment] for d in _DIGIT_COLUMNS]
            way = np.zeros_like(row)
            for columns in moving:
                way[columns] = (closed - row)[columns]
            skin, _ = self.bend(row + np.linspace(0, 1, steps)[:, None] * way)
            distances = distance_m(skin)
            for digit, columns in enumerate(moving):
                beyond = (self._digit == digit) & (self._segment > stage)
                share = _until_touch(distances[:, beyond].min(axis=1))
                row[columns] += share * way[columns]
                touching[digit] |= share < 1
        return row, touching


def _until_touch(gaps_m: np.ndarray) -> float:
    """Return the share of the way at which a gap (N,) closes first, 1 if it does not."""
    touching = np.flatnonzero(gaps_m < -_PRESSED_M)
    if not len(touching):
        return 1.0
    after = touching[0]
    if after == 0:
        return 0.0
    before = gaps_m[after - 1] + _PRESSED_M
    return float((after - 1 + before / (gaps_m[after - 1] - gaps_m[after])) / (len(gaps_m) - 1))
