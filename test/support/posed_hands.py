"""Hands of the parametric model in poses whose angles are known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand_model import poses
from support.made_up_hands import hand

OPEN, HALF, CLOSED = (0.0, 0.0, 0.0), (40.0, 40.0, 20.0), (78.0, 95.0, 60.0)
_SPREAD_DEG = np.array([9.0, 1.0, -7.0, -17.0])
#: Palmar and radial abduction and twist of the thumb's base, flexion of its two other joints.
THUMB_BESIDE, THUMB_ACROSS = (0.0, 14.0, 6.0, -4.0, -4.0), (28.0, -8.0, -18.0, 30.0, 40.0)


def posed(model, *fingers, thumb=THUMB_BESIDE):
    """Return the posed mesh; for each of the four fingers its flexion (MCP, PIP, DIP) in degrees.

    Right hand, wrist at the origin, fingers along +x, back of the hand up (+z).
    """
    flexion = np.array([fingers], float)
    angles = poses._Angles(
        flexion=flexion,
        spread=_SPREAD_DEG * np.clip(1 - flexion[..., 0] / 70, 0.1, 1),
        cup=np.zeros(1),
        thumb=np.array([thumb], float),
        wrist=np.zeros((1, 3)),
    )
    return _mesh(model, poses._rotations(model.mean_joints, angles)[0])


def pinching(model, rng):
    """Return a mesh whose thumb and index finger touch, of 400 that nearly do the nearest."""
    rotations = poses._rotations(model.mean_joints, poses._pinch(400, rng))
    joints = poses.with_tips_inside(poses.forward(model.mean_joints, rotations)[1])
    gaps = np.linalg.norm(joints[:, 4] - joints[:, 8], axis=1)
    gaps[~poses.clear(joints)] = np.inf
    return _mesh(model, rotations[gaps.argmin()])


def _mesh(model, rotations):
    """Return the template's vertices and the joints of the mean hand."""
    made = model.pose(model.mean_shape(), rotations)
    return SimpleNamespace(vertices=made.vertices[model.template_index], joints=made.joints)


def as_hand(mesh, at_m=(0.0, 0.0, 0.5), left=False, **changes):
    """Return a mesh as a found hand: its wrist at a place, seen from above the back; or its mirror.

    What a camera looks at lies in +z, so the back of the hand points to -z.
    """
    turn = np.diag([1.0, 1.0 if left else -1.0, -1.0])
    return replace(
        hand(),
        handedness=Handedness.LEFT if left else Handedness.RIGHT,
        joints_m=(mesh.joints - mesh.joints[0]) @ turn + at_m,
        vertices_m=(mesh.vertices - mesh.joints[0]) @ turn + at_m,
        **changes,
    )
