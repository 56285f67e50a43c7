"""Where the parts of a hand point: right-handed frames of the joints and of the palm.

Every frame follows one rule, for left hands too: x along the bone towards the finger tip, z out of
the back of the hand, y = z cross x.  So y points to the thumb's side of a right hand and away from
it on a left hand, and a straight finger that bends turns about +y.
"""

from __future__ import annotations

import numpy as np

from cmr_ros.geometry.skeleton import INDEX_MCP, LITTLE_MCP, MIDDLE_MCP, WRIST, Handedness
from cmr_ros.geometry.vectors import cross


def joint_rotations(joints_m: np.ndarray, handedness: Handedness) -> np.ndarray:
    """Return the rotations (21, 3, 3) of the joints' frames; columns are x, y, z in camera space.

    joints_m: (21, 3).  The wrist's x points to the middle finger's base.  From there z is carried
    from bone to bone, first along the palm to the finger's base, by the smallest rotation: that
    keeps it continuous in any pose short of a bone folded back onto the one before, and keeps y
    the hinge of a finger (the thumb's is turned, by its base).  An unknown hand counts as right.
    """
    joints = np.asarray(joints_m, dtype=np.float64)
    wrist = _palm_rotation(joints, handedness)
    fingers = joints[1:].reshape(5, 4, 3)
    bones = np.diff(fingers, axis=1, prepend=np.broadcast_to(joints[WRIST], (5, 1, 3)))
    rotations = np.empty((5, 4, 3, 3))
    frames = _carry(np.broadcast_to(wrist, (5, 3, 3)), bones[:, 0])
    for joint in range(3):
        rotations[:, joint] = frames = _carry(frames, bones[:, joint + 1])
    rotations[:, 3] = frames  # tips keep the direction of the last bone
    return np.concatenate([wrist[None], rotations.reshape(20, 3, 3)])


def palm_pose(joints_m: np.ndarray, handedness: Handedness) -> tuple[np.ndarray, np.ndarray]:
    """Return the palm's origin (3,), amid wrist and middle finger's base, and rotation (3, 3)."""
    joints = np.asarray(joints_m, dtype=np.float64)
    return (joints[WRIST] + joints[MIDDLE_MCP]) / 2, _palm_rotation(joints, handedness)


def quaternions(rotations: np.ndarray) -> np.ndarray:
    """Return unit quaternions (..., 4) as x, y, z, w with w >= 0, of rotations (..., 3, 3).

    Source: Bar-Itzhack, New method for extracting the quaternion from a rotation matrix (2000):
    the eigenvector of a symmetric matrix, sound at every angle.
    """
    r = np.asarray(rotations, dtype=np.float64)
    k = np.empty((*r.shape[:-2], 4, 4))
    k[..., :3, :3] = r + np.swapaxes(r, -1, -2)
    trace = np.trace(r, axis1=-2, axis2=-1)
    k[..., range(3), range(3)] -= trace[..., None]
    k[..., 3, 3] = trace
    k[..., :3, 3] = k[..., 3, :3] = np.stack(
        [r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]], -1
    )
    q = np.linalg.eigh(k).eigenvectors[..., -1]
    return np.where(q[..., 3:] < 0, -q, q)


def _palm_rotation(joints: np.ndarray, handedness: Handedness) -> np.ndarray:
    index, middle, little = (joints[i] - joints[WRIST] for i in (INDEX_MCP, MIDDLE_MCP, LITTLE_MCP))
    back = cross(little, index)
    if handedness == Handedness.LEFT:
        back = -back
    x = _unit(middle, np.array([1.0, 0, 0]))
    z = _unit(back - x * (x @ back), _any_perpendicular(x))
    return np.stack([x, cross(z, x), z], axis=1)


def _carry(frames: np.ndarray, bones: np.ndarray) -> np.ndarray:
    """Turn frames (N, 3, 3) by the smallest rotations that bring their x onto bones (N, 3)."""
    start, z = frames[:, :, 0], frames[:, :, 2]
    x = _unit(bones, start)
    z = z - (start + x) * _dot(x, z) / np.maximum(1 + _dot(start, x), 1e-9)
    z = _unit(z - x * _dot(x, z), z)
    return np.stack([x, cross(z, x), z], axis=-1)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sum(a * b, axis=-1, keepdims=True)


def _unit(vectors: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > 1e-9, vectors / np.maximum(length, 1e-9), fallback)


def _any_perpendicular(x: np.ndarray) -> np.ndarray:
    helper = np.eye(3)[np.argmin(np.abs(x))]
    return _unit(cross(x, helper), helper)
