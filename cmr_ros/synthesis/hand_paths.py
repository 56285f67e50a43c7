"""How hands move in the demonstration's recordings."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cmr_ros.hand_model.model import HandModel, PosedHand
from cmr_ros.hand_model.poses import grasping_pose, sample_pose
from cmr_ros.synthesis.placement import rotation, upright_view
from cmr_ros.synthesis.surfaces import Mesh

#: When the left hand joins the right one.
SECOND_HAND_S = 3.0


@dataclass(frozen=True, eq=False)
class HandPath:
    """Where a hand goes: K keys, between which it moves."""

    times: tuple[float, ...]  # (K,) seconds, ascending
    wrists: np.ndarray  # (K, 3) metres, in the camera's optical frame
    #: (K, 3) rad, about the camera's axis, about the vertical and about the horizontal
    turns: np.ndarray
    poses: list[np.ndarray]  # K rotations (21, 3, 3) as `HandModel.pose` takes them
    left: bool

    def at(
        self, model: HandModel, shape: np.ndarray, time_s: float
    ) -> tuple[PosedHand, np.ndarray, np.ndarray]:
        """Return the posed hand, its turn (3, 3) and shift (3,); it rests at each key."""
        times = self.times
        key = int(np.clip(np.searchsorted(times, time_s, "right") - 1, 0, len(times) - 2))
        share = np.clip((time_s - times[key]) / (times[key + 1] - times[key]), 0, 1)
        share = share**2 * (3 - 2 * share)
        wrist, turns = (
            a[key] * (1 - share) + a[key + 1] * share for a in (self.wrists, self.turns)
        )
        posed = model.pose(shape, _between(self.poses[key], self.poses[key + 1], share))
        turn = rotation([0, 0, 1], turns[0]) @ rotation([0, 1, 0], turns[1])
        turn = turn @ rotation([1, 0, 0], turns[2]) @ upright_view(model.rest().joints)
        if self.left:
            turn = np.diag([-1.0, 1, 1]) @ turn
        return posed, turn, wrist - posed.joints[0] @ turn.T


@dataclass(frozen=True, eq=False)
class Shot:
    """What is recorded in one go."""

    duration_s: float
    paths: list[HandPath]  # in seconds since the shot's start; a hand is gone after its last key
    has_person: bool = False  # to whom the first hand belongs
    holds_can: bool = False
    is_grey: bool = False
    things: tuple[Mesh, ...] = ()  # that stand about


def under_conditions(model: HandModel, rng: np.random.Generator) -> list[Shot]:
    """Return shots of what is hard: a person who walks off to 3 m, a can in the hand, grey."""
    opened = np.tile(np.eye(3), (21, 1, 1))
    away = HandPath(
        times=(0.0, 0.5, 1.0, 1.4, 1.9, 2.4, 3.2),
        wrists=np.array([
            [-0.12, 0.06, 0.50], [-0.12, 0.06, 0.50], [-0.15, 0.03, 1.50], [-0.15, 0.03, 1.50],
            [-0.20, 0.00, 3.00], [-0.20, 0.00, 3.00], [-0.20, 0.00, 3.00],
        ]),
        turns=np.array([
            [0.2, 0.1, 0.0], [-0.2, 0.1, 0.0], [0.2, 0.0, 0.0], [-0.2, 0.0, 0.0],
            [0.2, 0.0, 0.0], [-0.2, 0.1, 0.0], [0.2, 0.0, 0.0],
        ]),
        poses=[opened] * 7,
        left=False,
    )  # fmt: skip
    grasp = grasping_pose(model, rng)
    holding = HandPath(
        times=(0.0, 0.6, 1.2, 1.6),
        wrists=np.array([
            [0.02, 0.08, 0.50], [0.05, 0.06, 0.44], [-0.02, 0.07, 0.52], [0.02, 0.07, 0.48],
        ]),
        turns=np.array([[0.2, 2.4, 0.0], [0.4, 2.8, 0.1], [0.1, 2.1, 0.0], [0.3, 2.5, 0.1]]),
        poses=[grasp] * 4,
        left=False,
    )  # fmt: skip
    pose = sample_pose(model, rng)
    right = HandPath(
        times=(0.0, 0.8, 1.6),
        wrists=np.array([[-0.12, 0.12, 0.60], [-0.13, 0.11, 0.55], [-0.11, 0.12, 0.62]]),
        turns=np.array([[0.2, 0.1, 0.0], [-0.1, 0.3, 0.1], [0.2, -0.2, 0.0]]),
        poses=[opened, pose, opened],
        left=False,
    )
    left = HandPath(
        times=(0.0, 0.8, 1.6),
        wrists=np.array([[0.14, 0.13, 0.58], [0.13, 0.11, 0.54], [0.15, 0.13, 0.60]]),
        turns=np.array([[-0.2, -0.1, 0.0], [0.1, -0.3, 0.1], [-0.2, 0.2, 0.0]]),
        poses=[opened, opened, pose],
        left=True,
    )
    return [
        Shot(3.2, [away], has_person=True),
        Shot(1.6, [holding], holds_can=True),
        Shot(1.6, [right, left], is_grey=True),
    ]


def random_paths(model: HandModel, rng: np.random.Generator) -> list[HandPath]:
    """Return the ways of the right and of the left hand; palms mostly face the camera."""
    opened = np.tile(np.eye(3), (21, 1, 1))
    pose = [sample_pose(model, rng) for _ in range(7)]
    del pose[1]  # the shipped recording's would be a lone middle finger
    right = HandPath(
        times=(0.0, 0.4, 0.8, 1.2, 1.9, 2.6, 3.3, 4.1, 5.0, 6.0),
        wrists=np.array([
            [0.00, 0.07, 0.50], [0.01, 0.06, 0.50], [-0.01, 0.06, 0.50], [0.00, 0.06, 0.48],
            [0.02, 0.06, 0.36], [0.03, 0.07, 0.52], [-0.14, 0.09, 0.66], [-0.17, 0.08, 0.78],
            [-0.12, 0.06, 0.60], [-0.13, 0.07, 0.56],
        ]),
        turns=np.array([
            [0.3, 0.1, 0.1], [-0.3, 0.1, 0.1], [0.3, 0.0, 0.1], [-0.1, 0.0, 0.0],
            [0.0, 0.4, 0.1], [0.2, -0.5, -0.1], [0.1, 0.2, 0.1], [0.3, 0.5, 0.0],
            [-0.1, -0.2, 0.3], [0.2, 0.3, 0.1],
        ]),
        poses=[opened, opened, opened, opened, pose[0], pose[5], opened, pose[1], pose[2], opened],
        left=False,
    )  # fmt: skip
    left = HandPath(
        times=(SECOND_HAND_S, 3.4, 4.4, 5.2, 6.0),
        wrists=np.array([
            [0.20, 0.40, 0.66], [0.15, 0.09, 0.64], [0.14, 0.07, 0.52], [0.17, 0.08, 0.72],
            [0.14, 0.07, 0.60],
        ]),
        turns=np.array([
            [-0.2, 0.0, 0.0], [-0.1, -0.1, 0.1], [0.1, -0.4, 0.2], [-0.3, 0.3, 0.0],
            [0.0, -0.2, 0.1],
        ]),
        poses=[opened, opened, pose[3], opened, pose[4]],
        left=True,
    )  # fmt: skip
    return [right, left]


def _between(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Return rotations (n, 3, 3) on the shortest way from `first` to `second`."""
    turned = [
        a @ cv2.Rodrigues(share * cv2.Rodrigues(a.T @ b)[0])[0]
        for a, b in zip(first, second, strict=True)
    ]
    return np.array(turned)
