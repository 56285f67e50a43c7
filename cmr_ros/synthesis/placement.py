"""Where a hand stands before the camera, so that its crop is one the palm detector would cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmr_ros.geometry.skeleton import PALM_JOINTS
from cmr_ros.synthesis.settings import PictureSettings


def rotation(axis: Sequence[float], angle_rad: float) -> np.ndarray:
    """Return the rotation (3, 3) by an angle about an axis (3,), by Rodrigues' formula."""
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle_rad) * cross + (1 - np.cos(angle_rad)) * cross @ cross


def upright_view(joints: np.ndarray) -> np.ndarray:
    """Return the rotation (3, 3) from the hand's frame to a camera that sees its palm, fingers up.

    joints: (21, 3) of a right hand; its thumb is then on the picture's right.
    """
    fingers = joints[9] - joints[0]
    fingers /= np.linalg.norm(fingers)
    across = joints[5] - joints[17]
    across -= fingers * (across @ fingers)
    across /= np.linalg.norm(across)
    return np.stack([across, -fingers, np.cross(fingers, across)])


def random_view(
    joints: np.ndarray, settings: PictureSettings, rng: np.random.Generator
) -> np.ndarray:
    """Return a rotation (3, 3) from the hand's frame to a camera that sees it as people hold it.

    joints: (21, 3) of a right hand.  The roll is left to `place`.
    """
    side = rng.random()
    turn = np.radians(settings.turn_deg) * rng.normal()
    if side > settings.palm_seen + settings.back_seen:
        turn = rng.uniform(-np.pi, np.pi)
    elif side > settings.palm_seen:
        turn += np.pi
    tilt = np.radians(settings.tilt_deg) * rng.normal()
    if rng.random() < settings.steep:
        tilt = np.radians(settings.steep_tilt_deg) * rng.uniform(-1, 1)
    return rotation([1, 0, 0], tilt) @ rotation([0, 1, 0], turn) @ upright_view(joints)


def random_depth(settings: PictureSettings, rng: np.random.Generator) -> float:
    """Return the wrist's distance along the camera's axis in metres."""
    near, usual = settings.depth_m
    far = settings.far_depth_m
    low, high = (usual, far) if rng.random() < settings.far else (near, usual)
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def place(
    joints: np.ndarray, depth_m: float, settings: PictureSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where the camera of a crop around a hand stands.

    The crop obeys the rule of palm detection: with the middle finger's base straight above the
    wrist, the palm joints' box has a fixed size and place; then the detector's jitter is added.

    Args:
        joints: (21, 3) metres, turned towards the camera already.
        depth_m: of the wrist.
        settings: the rule and the jitter.
        rng: source of randomness.

    Returns:
        Turn (3, 3), shift (3,) and camera matrix (3, 3): `joints @ turn.T + shift` are in the crop
        camera's frame, the wrist at `depth_m`.
    """
    loose = 2.0 if rng.random() < settings.loose else 1.0
    share = settings.palm_share * np.exp(loose * settings.scale_jitter * rng.normal())
    center = np.array(settings.palm_center) + loose * settings.center_jitter * rng.normal(size=2)
    roll = loose * np.radians(settings.roll_jitter_deg) * rng.normal()

    size, middle = settings.size_px, (settings.size_px - 1) / 2
    turn, shift = np.eye(3), np.array([0, 0, depth_m]) - [0, 0, joints[0, 2]]
    focal = 1.0
    # Shift and turn change the perspective a little, so that the rule is met by iteration.
    for _ in range(6):
        slopes = _slopes(joints @ turn.T + shift)
        up = slopes[9] - slopes[0]
        upright = rotation([0, 0, 1], -np.arctan2(up[0], -up[1]))
        turn, shift = upright @ turn, upright @ shift
        palm = _slopes(joints @ turn.T + shift)[list(PALM_JOINTS)]
        low, high = palm.min(axis=0), palm.max(axis=0)
        focal = share * size / (high - low).max()
        wanted = (center * size - 0.5 - middle) / focal
        shift = shift + depth_m * np.append(wanted - (low + high) / 2, 0)
    tilted = rotation([0, 0, 1], roll)
    matrix = np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]])
    return tilted @ turn, tilted @ shift, matrix


def project(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return pixels (..., 2) of points (..., 3) in the frame of a pinhole camera."""
    pixels = points @ matrix.T
    return pixels[..., :2] / pixels[..., 2:]


def _slopes(points: np.ndarray) -> np.ndarray:
    return points[:, :2] / points[:, 2:]
