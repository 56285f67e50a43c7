"""What the renderer draws and what it returns: surfaces, light and layers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

#: What a face belongs to; `Layers.parts` has one channel of coverage for each.
HAND, ARM, OTHER = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Texture:
    """Colours (h, w, 3) uint8 sRGB, row 0 at v = 0; kept on the device as long as it lives."""

    pixels: np.ndarray


@dataclass(frozen=True, eq=False)
class Material:
    """How a surface answers light.

    tint: (3,) factor on the linear texture.  contrast: exponent on it.  specular: reflectance at
    normal incidence.  roughness: 0.2 polished to 0.8 dull.  scatter: (3,) share by which red, green
    and blue light wraps around the terminator.  bump: strength of relief read from the texture.
    """

    texture: Texture
    tint: np.ndarray = field(default_factory=lambda: np.ones(3))
    contrast: float = 1.0
    specular: float = 0.03
    roughness: float = 0.5
    scatter: np.ndarray = field(default_factory=lambda: np.zeros(3))
    bump: float = 0.0


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with a texture.

    vertices: (V, 3) metres, camera frame.  faces: (F, 3).  uvs: (F, 3, 2) of each corner.
    part: HAND, ARM or OTHER, for all or for each face (F,).  ambient: (V,) share of the
    surroundings each vertex sees, 0 to 1.  closed: whether its inside is never seen.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uvs: np.ndarray
    material: Material
    part: int | np.ndarray = OTHER
    ambient: np.ndarray | None = None
    closed: bool = True


@dataclass(frozen=True, eq=False)
class Light:
    """Light upon the scene, in linear units that `exposure` brings to display range.

    harmonics: (9, 3) irradiance / pi of the environment, in its own frame.  rotation: (3, 3),
    environment frame = rotation @ camera frame.  key_direction: (3,) unit vector towards the key
    light, camera frame.  key_color: (3,).
    """

    harmonics: np.ndarray
    rotation: np.ndarray
    key_direction: np.ndarray
    key_color: np.ndarray
    exposure: np.ndarray


@dataclass(frozen=True, eq=False)
class Layers:
    """One rendered picture.

    color: (h, w, 3) uint8 sRGB, multiplied by alpha.  alpha: (h, w) in [0, 1].  parts: (h, w, 3)
    coverage by HAND, ARM and OTHER.  depth_m: (h, w) of what is seen, 0 where nothing is.
    """

    color: np.ndarray
    alpha: np.ndarray
    parts: np.ndarray
    depth_m: np.ndarray


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return unit normals (V, 3): the sum of the adjacent faces', weighted by their areas."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    weighted = np.repeat(np.cross(b - a, c - a), 3, axis=0)
    normals = np.stack(
        [np.bincount(faces.ravel(), axis, len(vertices)) for axis in weighted.T], axis=1
    )
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
