"""Where a hand's nails are."""

from __future__ import annotations

import numpy as np

from cmr_ros.geometry.mesh import vertex_normals
from cmr_ros.geometry.skeleton import TIPS
from cmr_ros.hand_model.poses import THUMB_HINGE

#: A nail's length and half its width, shares of the last bone's length; how far it reaches beyond
#: the tip's joint; and the least cosine between its normal and the finger's back.
_LENGTH, _HALF_WIDTH, _BEYOND_M, _FACING = 0.5, 0.24, 0.003, 0.45


def nail_faces(vertices: np.ndarray, faces: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Return which faces (F,) of a right hand at rest are nails.

    Args:
        vertices: (V, 3) metres, model's frame.
        faces: (F, 3), counter-clockwise from outside.
        joints: (21, 3) metres.
    """
    centers = vertices[faces].mean(axis=1)
    normals = vertex_normals(vertices, faces)[faces].mean(axis=1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    found = np.zeros(len(faces), bool)
    for tip in TIPS:
        bone = joints[tip] - joints[tip - 1]
        length = np.linalg.norm(bone)
        bone = bone / length
        hinge = THUMB_HINGE if tip == TIPS[0] else np.cross([0, 0, 1.0], bone)
        hinge = hinge - bone * (bone @ hinge)
        hinge /= np.linalg.norm(hinge)
        from_tip = centers - joints[tip]
        along, across = -from_tip @ bone, np.abs(from_tip @ hinge)
        found |= (
            (along > -_BEYOND_M)
            & (along < _LENGTH * length)
            & (across < _HALF_WIDTH * length)
            & (np.linalg.norm(from_tip, axis=1) < length)
            & (normals @ np.cross(bone, hinge) > _FACING)
        )
    return found
