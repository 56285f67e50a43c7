"""Triangle meshes."""

from __future__ import annotations

import numpy as np


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return unit normals (V, 3): the sum of the adjacent faces', weighted by their areas.

    Args:
        vertices: (V, 3).
        faces: (F, 3), counter-clockwise seen from outside.
    """
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    weighted = np.repeat(np.cross(b - a, c - a), 3, axis=0)
    normals = np.stack(
        [np.bincount(faces.ravel(), axis, len(vertices)) for axis in weighted.T], axis=1
    )
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
