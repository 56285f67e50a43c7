"""Pastes cut-out hands into pictures."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cmr_ros.synthesis.cutouts import Cutout


@dataclass(frozen=True, eq=False)
class Pose2D:
    """Where a cut-out goes."""

    extent_px: float  # longer side of its joints' box
    palm_px: np.ndarray  # (2,) where the middle of its palm comes to lie
    turn_rad: float = 0.0  # clockwise as seen in the picture
    left: bool = False  # mirrored


_PALM = (0, 1, 2, 5, 9, 13, 17)


def paste(
    picture: np.ndarray, cutout: Cutout, pose: Pose2D, gain: float | np.ndarray = 1.0
) -> np.ndarray:
    """Paste a cut-out into a picture, in place.

    Args:
        picture: (h, w, 3) uint8.
        cutout: what to paste.
        pose: where.
        gain: factor, or factors (3,), on the cut-out's colours.

    Returns:
        The cut-out's joints (21, 2) in the picture.
    """
    joints = cutout.joints_px.astype(float)
    turn = _turn(pose.turn_rad, pose.left) * pose.extent_px / np.ptp(joints, axis=0).max()
    shift = pose.palm_px - (joints[list(_PALM)] @ turn.T).mean(axis=0)
    lay_over(picture, cutout.color, np.concatenate([turn, shift[:, None]], axis=1), gain)
    return joints @ turn.T + shift


def lay_over(
    picture: np.ndarray, color: np.ndarray, affine: np.ndarray, gain: float | np.ndarray = 1.0
) -> None:
    """Lay a picture with opacity over another one, in place.

    Args:
        picture: (h, w, 3) uint8.
        color: (h, w, 4) uint8 RGBA.
        affine: (2, 3) from its pixels to the picture's; a similarity.
        gain: factor, or factors (3,), on its colours.
    """
    affine = affine.copy()
    # Halves average all pixels; one bilinear step would skip some.
    while np.linalg.norm(affine[:, 0]) < 0.5:
        color = cv2.resize(color, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        affine[:, 2] += affine[:, :2] @ [0.5, 0.5]
        affine[:, :2] *= 2
    layer = cv2.warpAffine(color, affine, picture.shape[1::-1], flags=cv2.INTER_LINEAR)
    alpha = layer[..., 3:] / np.float32(255)
    picture[:] = np.clip(layer[..., :3] * (gain * alpha) + picture * (1 - alpha), 0, 255)


def extend_arm(picture: np.ndarray, cutout: Cutout, pose: Pose2D, rng: np.random.Generator) -> None:
    """Draw the arm beyond what a cut-out shows of it, in its colour, in place; paste afterwards.

    Args:
        picture: (h, w, 3) uint8.
        cutout: whose arm it is.
        pose: where the cut-out will go.
        rng: source of randomness.
    """
    seen = cutout.color[..., 3] > 200
    if not cutout.elbow_px.any() or not seen.any():
        return
    turn = _turn(pose.turn_rad, pose.left)
    turn *= pose.extent_px / np.ptp(cutout.joints_px, axis=0).max()
    rows, columns = np.nonzero(seen)
    places = np.stack([columns, rows], axis=1)
    along = (places - cutout.joints_px[0]) @ cutout.elbow_px
    end = along > np.quantile(along, 0.9)
    color = cutout.color[rows[end], columns[end], :3].mean(axis=0)
    across = places[end] @ [cutout.elbow_px[1], -cutout.elbow_px[0]]
    # A strip that is evenly filled is 3.5 standard deviations wide.
    width = 3.5 * across.std() * np.linalg.norm(turn[:, 0])
    origin = cutout.joints_px[list(_PALM)].mean(axis=0)
    at = (places[end].mean(axis=0) - origin) @ turn.T + pose.palm_px
    heading = turn @ cutout.elbow_px
    heading /= np.linalg.norm(heading)
    for bend, reach in ((0.5, (0.3, 2.0)), (0.9, (1.0, 4.0)))[: rng.integers(1, 3)]:
        heading = _turn(rng.normal(0, bend)) @ heading
        there = at + heading * pose.extent_px * rng.uniform(*reach)
        shade = tuple(color * rng.uniform(0.8, 1.1))
        ends = tuple(at.astype(int).tolist()), tuple(there.astype(int).tolist())
        cv2.line(picture, *ends, shade, max(int(width), 1), cv2.LINE_AA)
        at, width = there, width * rng.uniform(1, 1.6)


def _turn(angle_rad: float, mirrored: bool = False) -> np.ndarray:
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[c, -s], [s, c]]) @ np.diag([-1.0 if mirrored else 1.0, 1.0])
