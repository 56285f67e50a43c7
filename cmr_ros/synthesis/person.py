"""A simple person behind a raised hand, and something for the hand to hold."""

from __future__ import annotations

import numpy as np

from cmr_ros.synthesis.objects import superquadric
from cmr_ros.synthesis.surfaces import Material, Mesh, Texture

_PLAIN = Texture(np.full((4, 4, 3), 255, np.uint8))
_ELLIPSOID, _CAN, _BODY = (1.0, 1.0), (0.15, 1.0), (0.5, 0.8)
#: Linear colours.
_SHIRT, _TROUSERS, _CAN_COLOR = (0.03, 0.07, 0.16), (0.02, 0.02, 0.025), (0.55, 0.05, 0.03)
#: Metres, in the camera's frame, of a person who faces the camera with the right hand raised: the
#: shoulder from the wrist, and from there middles and half axes.
_SHOULDER = np.array([0.13, 0.06, 0.2])
_PARTS = (
    ((0.19, 0.26, 0.02), (0.2, 0.3, 0.11), _BODY, _SHIRT),
    ((0.42, 0.28, 0.03), (0.05, 0.31, 0.055), _ELLIPSOID, _SHIRT),
    ((0.19, 0.98, 0.04), (0.17, 0.5, 0.11), _BODY, _TROUSERS),
    ((0.19, -0.07, 0.01), (0.045, 0.09, 0.045), _ELLIPSOID, None),
    ((0.19, -0.19, -0.01), (0.075, 0.11, 0.095), _ELLIPSOID, None),
)
_UPPER_ARM_RADIUS_M, _CAN_HALF_M = 0.055, (0.027, 0.027, 0.06)


#: That of the person's sleeves.
SHIRT = Material(_PLAIN, np.asarray(_SHIRT), specular=0.02, roughness=0.6)


def person(wrist: np.ndarray, elbow: np.ndarray, skin_tint: np.ndarray) -> list[Mesh]:
    """Return trunk, head, legs and arms of a person whose right hand is raised.

    Args:
        wrist: (3,) metres, camera's frame.
        elbow: (3,) of the same arm.
        skin_tint: (3,) linear colour of the face.
    """
    shoulder = wrist + _SHOULDER
    arm = elbow - shoulder
    half = (_UPPER_ARM_RADIUS_M, _UPPER_ARM_RADIUS_M, 0.5 * np.linalg.norm(arm) + 0.04)
    meshes = [solid(half, _ELLIPSOID, _along(arm), (shoulder + elbow) / 2, _SHIRT)]
    for middle, half, roundness, color in _PARTS:
        tint = skin_tint if color is None else color
        # The solid's axis z is upright.
        turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
        x, y, z = half
        meshes.append(solid((x, z, y), roundness, turn, shoulder + middle, tint))
    return meshes


def held_can(joints: np.ndarray) -> Mesh:
    """Return a can that lies across the palm; joints: (21, 3) metres."""
    across, up = joints[5] - joints[17], joints[9] - joints[0]
    palm = np.cross(across, up)
    palm /= np.linalg.norm(palm)
    middle = 0.75 * joints[[5, 9, 13, 17]].mean(axis=0) + 0.25 * joints[0]
    middle = middle + palm * (_CAN_HALF_M[0] + 0.13 * np.linalg.norm(up))
    return solid(_CAN_HALF_M, _CAN, _along(across), middle, _CAN_COLOR, specular=0.08)


def solid(half_m, roundness, turn, middle, color, specular: float = 0.02) -> Mesh:
    """Return a superquadric in one colour.

    Args:
        half_m: (3,) half axes, see `superquadric`.
        roundness: as there.
        turn: (3, 3) of it.
        middle: (3,) metres, camera's frame.
        color: (3,) linear.
        specular: see `Material`.
    """
    vertices, faces, uvs = superquadric(np.asarray(half_m), roundness)
    material = Material(_PLAIN, np.asarray(color), specular=specular, roughness=0.6)
    return Mesh(vertices @ turn.T + middle, faces, uvs, material)


def _along(axis: np.ndarray) -> np.ndarray:
    """Return a rotation (3, 3) that takes z to the axis."""
    z = axis / np.linalg.norm(axis)
    x = np.cross([0.0, 0.0, 1.0] if abs(z[2]) < 0.9 else [1.0, 0.0, 0.0], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)
