"""Fits the parametric hand to what several looks agree on: 2D joints, silhouette, 3D joints.

Gauss-Newton over the pose's anatomical angles, the person's shape, and where the hand is, with
priors from the poses and shapes that renders are drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cmr_ros.geometry.skeleton import JOINT_PARENTS
from cmr_ros.hand_model.model import HandModel, forward
from cmr_ros.hand_model.poses import ANGLE_COUNT, rotations_of, sample_angles
from cmr_ros.labelling.looks import Consensus
from cmr_ros.registration import hand_length_m

#: Traits that are fitted, and their standard deviations; the others stay at the mean.
_TRAITS = {"male": 1.0, "weight": 0.5, "finger_length": 0.3, "finger_diameter": 0.5}
_LENGTH_LOG = 0.07
#: What a cue is off by where the looks agree, besides their spread: 2D and 3D joints.
_JOINT_PX, _JOINT_M = 1.5, 0.007
#: Of a point of the outline, and how far at most it is drawn to the mesh.
_OUTLINE_PX, _OUTLINE_REACH_PX = 4.0, 12.0
_OUTLINE_POINTS = 80
#: Beyond that many deviations a joint pulls less (Geman and McClure).
_ROBUST = 3.0
#: Steps with joints alone, and with the outline.
_STEPS = (8, 5)
_POSES = 4000
#: Of the outline's points: the vertices nearest to them, and how far these are in pixels.
_Nearest = tuple[np.ndarray, np.ndarray]
_STEP_SIZES = np.r_[np.full(ANGLE_COUNT, 0.5), np.full(3, 1e-3), np.full(3, 1e-4)]


@dataclass(frozen=True, eq=False)
class FittedHand:
    """A hand in a crop camera's frame, and how well it explains its cues."""

    vertices_m: np.ndarray  # (V, 3) of the template
    joints_m: np.ndarray  # (21, 3)
    rms_px: float  # of the 2D joints, weighted as in the fit
    outline_px: float  # mean distance from the silhouette's outline to the mesh's vertices
    strangeness: float  # root mean square of the pose's deviations in the prior


class HandFitter:
    """Fits one parametric hand; the prior is drawn once."""

    def __init__(self, model: HandModel):
        self._model = model
        angles = sample_angles(_POSES, np.random.default_rng(0))
        self._mean = angles.mean(axis=0)
        covariance = np.cov(angles.T) + np.diag(np.full(ANGLE_COUNT, 3.0**2))
        self._whiten = np.linalg.inv(np.linalg.cholesky(covariance))
        names = [str(name) for name in model.traits]
        self._traits = [names.index(name) for name in _TRAITS]
        self._trait_sd = np.array(list(_TRAITS.values()))
        modes = model.modes[self._traits]
        self._rest_joints = model.pivots @ model.vertices
        self._joint_modes = np.einsum("jv,mvc->mjc", model.pivots, modes)
        index = model.template_index
        self._rest_vertices, self._vertex_modes = model.vertices[index], modes[:, index]
        self._skin = model.skin_weights[index]
        self._steps = np.r_[_STEP_SIZES, 0.01, np.full(len(_TRAITS), 0.1)]

    def fit(self, seen: Consensus) -> FittedHand:
        """Return the hand that explains a consensus."""
        state = self._start(seen)
        outline = _outline(seen.silhouette)
        for number in range(sum(_STEPS)):
            nearest = None
            if number >= _STEPS[0] and len(outline):
                nearest = self._nearest(state, seen, outline)
            state = self._step(state, seen, outline, nearest)
        vertices, joints = (part[0] for part in self._hand(state[None], slice(None)))
        residual = _projected(joints, seen) - seen.joints_px
        weights = 1 / _joint_sd(seen) ** 2
        _, far_px = self._nearest(state, seen, outline) if len(outline) else (None, np.zeros(1))
        strange = self._whiten @ (state[:ANGLE_COUNT] - self._mean)
        return FittedHand(
            vertices_m=vertices,
            joints_m=joints,
            rms_px=float(np.sqrt((weights * (residual**2).sum(axis=1)).sum() / weights.sum())),
            outline_px=float(far_px.mean()),
            strangeness=float(np.sqrt((strange**2).mean())),
        )

    def _start(self, seen: Consensus) -> np.ndarray:
        """Return the mean pose, turned and placed as the consensus's palm is."""
        rest = self._model.mean_joints
        palm = [0, 5, 9, 13, 17]
        source = rest[palm] - rest[palm].mean(axis=0)
        u, _, vt = np.linalg.svd(source.T @ (seen.joints_m[palm] - seen.joints_m[palm].mean(0)))
        turn = (u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt).T
        # x z = X f: linear in the root, whose place makes the 2D joints' rays meet the 3D ones.
        rays = np.linalg.solve(seen.camera.matrix, np.c_[seen.joints_px, np.ones(21)].T).T
        rows, right = [], []
        for axis in (0, 1):
            row = np.zeros((21, 3))
            row[:, axis], row[:, 2] = 1, -rays[:, axis]
            rows.append(row)
            right.append(rays[:, axis] * seen.joints_m[:, 2] - seen.joints_m[:, axis])
        root = np.linalg.lstsq(np.concatenate(rows), np.concatenate(right), rcond=None)[0]
        rotation = cv2.Rodrigues(turn)[0].ravel()
        return np.r_[self._mean, rotation, root, np.zeros(1 + len(_TRAITS))]

    def _hand(self, states: np.ndarray, index: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Return some vertices (N, K, 3) and the joints (N, 21, 3) of states (N, P)."""
        angles, turn, root, length, traits = np.split(
            states, np.cumsum([ANGLE_COUNT, 3, 3, 1]), axis=1
        )
        rest = self._rest_joints + np.tensordot(traits * self._trait_sd, self._joint_modes, 1)
        wanted = self._model.mean_shape()[0] * np.exp(length[:, 0])
        scale = (wanted / [hand_length_m(one) for one in rest])[:, None, None]
        start = rest[:, :1]
        rest = scale * (rest - start)
        turns, joints = forward(rest, rotations_of(self._model.mean_joints, angles))
        vertices = self._rest_vertices[index] + np.tensordot(
            traits * self._trait_sd, self._vertex_modes[:, index], 1
        )
        vertices = scale * (vertices - start)
        starts = [0, *JOINT_PARENTS[1:]]
        shifts = joints[:, starts] - (turns @ rest[:, starts][..., None])[..., 0]
        blended = np.tensordot(
            self._skin[index], np.concatenate([turns, shifts[..., None]], -1), (1, 1)
        ).transpose(1, 0, 2, 3)
        vertices = (blended[..., :3] @ vertices[..., None])[..., 0] + blended[..., 3]
        rotation = np.stack([cv2.Rodrigues(one)[0] for one in turn])
        return tuple(x @ rotation.swapaxes(1, 2) + root[:, None] for x in (vertices, joints))

    def _step(
        self, state: np.ndarray, seen: Consensus, outline: np.ndarray, nearest: _Nearest | None
    ) -> np.ndarray:
        """Return the state after a damped Gauss-Newton step."""
        states = state + np.vstack([np.zeros_like(state), np.diag(self._steps)])
        values = self._residuals(states, seen, outline, nearest)
        jacobian = (values[1:] - values[0]).T / self._steps
        normal = jacobian.T @ jacobian
        damped = normal + 1e-3 * np.diag(np.diag(normal)) + 1e-9 * np.eye(len(state))
        step = -np.linalg.solve(damped, jacobian.T @ values[0])
        # A pose turns by no more than its linearisation holds.
        most = np.abs(step[:ANGLE_COUNT]).max() / 25
        return state + step / max(most, 1)

    def _residuals(
        self, states: np.ndarray, seen: Consensus, outline: np.ndarray, nearest: _Nearest | None
    ) -> np.ndarray:
        """Return what is minimised (N, R), each in its standard deviations."""
        index, away = (slice(0, 0), None) if nearest is None else nearest
        vertices, joints = self._hand(states, index)
        pixels = (_projected(joints, seen) - seen.joints_px) / _joint_sd(seen)[:, None]
        # Weights of the first state hold for all, so that the derivative is of the same function.
        far = (pixels[0] ** 2).sum(axis=1) / _ROBUST**2
        pixels = pixels / (1 + far)[:, None]
        relative = joints - joints[:, :1] - (seen.joints_m - seen.joints_m[0])
        relative = relative / np.hypot(_JOINT_M, seen.joint_spread_m)[:, None]
        angles = (states[:, :ANGLE_COUNT] - self._mean) @ self._whiten.T
        length = states[:, ANGLE_COUNT + 6 : ANGLE_COUNT + 7] / _LENGTH_LOG
        parts = [pixels, relative[:, 1:], angles, length, states[:, ANGLE_COUNT + 7 :]]
        if nearest is not None:
            pull = (away < _OUTLINE_REACH_PX) / _OUTLINE_PX * np.sqrt(21 / len(outline))
            parts.append((_projected(vertices, seen) - outline) * pull[:, None])
        return np.concatenate([part.reshape(len(states), -1) for part in parts], axis=1)

    def _nearest(self, state: np.ndarray, seen: Consensus, outline: np.ndarray) -> _Nearest:
        """Return the vertex nearest to each point of the outline in the crop, and how far it is."""
        pixels = _projected(self._hand(state[None], slice(None))[0][0], seen)
        apart = np.linalg.norm(outline[:, None] - pixels, axis=-1)
        return apart.argmin(axis=1), apart.min(axis=1)


def _joint_sd(seen: Consensus) -> np.ndarray:
    return np.hypot(_JOINT_PX, seen.spread_px)


def _projected(points: np.ndarray, seen: Consensus) -> np.ndarray:
    return seen.camera.project(points)


def _outline(silhouette: np.ndarray) -> np.ndarray:
    """Return points (N, 2) spread over the outline of the largest part of a silhouette (S, S).

    Where the silhouette leaves the crop it has no outline.
    """
    mask = (silhouette > 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return np.zeros((0, 2))
    points = max(contours, key=len)[:, 0].astype(float)
    last = len(silhouette) - 1
    points = points[((points > 0) & (points < last)).all(axis=1)]
    return points[:: max(len(points) // _OUTLINE_POINTS, 1)]
