"""Ambient occlusion of a hand by itself, from spheres along its bones.

Fingers darken each other and the palm; without that shading bent fingers look like
straight ones.  Spheres are a cheap, smooth stand-in for the surface (Ren et al., SIGGRAPH 2006).
"""

from __future__ import annotations

import numpy as np

from cmr_ros.geometry.skeleton import JOINT_PARENTS

_PER_BONE = 4
#: Sphere radii as shares of the palm's length: along the fingers and in the palm.
_FINGER_RADIUS, _PALM_RADIUS = 0.085, 0.125


def hand_spheres(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return centres (S, 3) and radii (S,) of spheres that fill a hand with joints (21, 3)."""
    parents = np.array(JOINT_PARENTS[1:])
    share = ((np.arange(_PER_BONE) + 0.5) / _PER_BONE)[:, None, None]
    centers = joints[parents] * (1 - share) + joints[1:] * share
    palm = np.linalg.norm(joints[9] - joints[0])
    radii = palm * np.where(parents == 0, _PALM_RADIUS, _FINGER_RADIUS)
    return centers.reshape(-1, 3), np.tile(radii, _PER_BONE)


def ambient_share(
    vertices: np.ndarray, normals: np.ndarray, centers: np.ndarray, radii: np.ndarray
) -> np.ndarray:
    """Return the share (V,) of the surroundings that the spheres do not hide from each vertex.

    Args:
        vertices: (V, 3).
        normals: (V, 3) unit vectors.
        centers: (S, 3) of the spheres.
        radii: (S,) of the spheres.
    """
    vertices, normals, centers = (np.float32(a) for a in (vertices, normals, centers))
    # |c - v|^2 and n . (c - v) for all pairs, without a (V, S, 3) array.
    cosine = normals @ centers.T - (normals * vertices).sum(1)[:, None]
    square = (
        (vertices * vertices).sum(1)[:, None]
        + (centers * centers).sum(1)
        - 2 * vertices @ centers.T
    )
    square = np.maximum(square, np.float32(radii**2) * 1.05)
    hidden = np.maximum(cosine, 0) * np.float32(radii**2) / (square * np.sqrt(square))
    return np.exp(np.log1p(-np.minimum(hidden, 0.95)).sum(axis=1))
