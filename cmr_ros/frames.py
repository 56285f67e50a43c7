"""Where the parts of a hand point: right-handed frames of the joints and of the palm.

Every frame follows one rule, for left hands too: x along the bone towards the finger tip, z out of
the back of the hand, y = z cross x.  So y points to the thumb's side of a right hand and away from
it on a left hand, and a straight finger that bends turns about +y.
"""

from __future__ import annotations

import numpy as np

from cmr_ros.hand import JOINT_PARENTS, Handedness

_WRIST, _INDEX, _MIDDLE, _LITTLE = 0, 5, 9, 17
#: The joint a bone leads to; finger tips have none and keep the direction of their last bone.
_BONE_END = (_MIDDLE, 2, 3, 4, -1, 6, 7, 8, -1, 10, 11, 12, -1, 14, 15, 16, -1, 18, 19, 20, -1)


def joint_rotations(joints_m: np.ndarray, handedness: Handedness) -> np.ndarray:
    """Return the rotations (21, 3, 3) of the joints' frames; columns are x, y, z in camera space.

    joints_m: (21, 3).  The wrist's x points to the middle finger's base.  From there z is carried
    from bone to bone, first along the palm to the finger's base, by the smallest rotation: that
    keeps it continuous in any pose short of a bone folded back onto the one before, and keeps y
    the hinge of a finger (the thumb's is turned, by its base).  An unknown hand counts as right.
    """
    joints = np.asarray(joints_m, dtype=np.float64)
    rotations = np.empty((len(joints), 3, 3))
    rotations[_WRIST] = _palm_rotation(joints, handedness)
    for joint in range(1, len(joints)):
        start, end = JOINT_PARENTS[joint], _BONE_END[joint]
        parent = rotations[start]
        if start == _WRIST:
            parent = _carry(parent, joints[joint] - joints[_WRIST])
        rotations[joint] = _carry(parent, joints[end] - joints[joint]) if end >= 0 else parent
    return rotations


def palm_pose(joints_m: np.ndarray, handedness: Handedness) -> tuple[np.ndarray, np.ndarray]:
    """Return the palm's origin (3,), amid wrist and middle finger's base, and rotation (3, 3)."""
    joints = np.asarray(joints_m, dtype=np.float64)
    return (joints[_WRIST] + joints[_MIDDLE]) / 2, _palm_rotation(joints, handedness)


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
    index, middle, little = (joints[i] - joints[_WRIST] for i in (_INDEX, _MIDDLE, _LITTLE))
    back = np.cross(little, index)
    if handedness == Handedness.LEFT:
        back = -back
    x = _unit(middle, np.array([1.0, 0, 0]))
    z = _unit(back - x * (x @ back), _any_perpendicular(x))
    return np.stack([x, np.cross(z, x), z], axis=1)


def _carry(rotation: np.ndarray, bone: np.ndarray) -> np.ndarray:
    """Turn a frame by the smallest rotation that brings its x onto the bone."""
    start = rotation[:, 0]
    x = _unit(bone, start)
    axis, cosine = np.cross(start, x), start @ x
    if cosine < -1 + 1e-9:  # folded back: any perpendicular axis is as good; y is the hinge
        return rotation * np.array([-1.0, 1.0, -1.0])
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turned = (np.eye(3) + skew + skew @ skew / (1 + cosine)) @ rotation
    z = _unit(turned[:, 2] - x * (x @ turned[:, 2]), rotation[:, 2])
    return np.stack([x, np.cross(z, x), z], axis=1)


def _unit(vector: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length > 1e-9 else fallback


def _any_perpendicular(x: np.ndarray) -> np.ndarray:
    helper = np.eye(3)[np.argmin(np.abs(x))]
    return _unit(np.cross(x, helper), helper)
