"""What the renderer draws and what it returns: surfaces, light and layers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

#: What a face belongs to; `Layers.parts` has one channel of coverage for each.
HAND, ARM, OTHER = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Texture:
    """Colours; kept on the device as long as it lives."""

    pixels: np.ndarray  # (h, w, 3) uint8 sRGB, row 0 at v = 0


@dataclass(frozen=True, eq=False)
class Material:
    """How a surface answers light."""

    texture: Texture
    #: (3,) factor on the linear texture
    tint: np.ndarray = field(default_factory=lambda: np.ones(3))
    contrast: float = 1.0  # exponent on the linear texture
    specular: float = 0.03  # reflectance at normal incidence
    roughness: float = 0.5  # 0.2 polished to 0.8 dull
    #: (3,) share by which red, green and blue light wraps around the terminator
    scatter: np.ndarray = field(default_factory=lambda: np.zeros(3))
    bump: float = 0.0  # strength of relief read from the texture


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with a texture."""

    vertices: np.ndarray  # (V, 3) metres, camera frame
    faces: np.ndarray  # (F, 3)
    uvs: np.ndarray  # (F, 3, 2) of each corner
    material: Material
    part: int | np.ndarray = OTHER  # HAND, ARM or OTHER, for all or for each face (F,)
    ambient: np.ndarray | None = None  # (V,) share of the surroundings each vertex sees, 0 to 1
    closed: bool = True  # its inside is never seen


@dataclass(frozen=True, eq=False)
class Light:
    """Light upon the scene, in linear units."""

    harmonics: np.ndarray  # (9, 3) irradiance / pi of the environment, in its own frame
    rotation: np.ndarray  # (3, 3), environment frame = rotation @ camera frame
    key_direction: np.ndarray  # (3,) unit vector towards the key light, camera frame
    key_color: np.ndarray  # (3,)
    exposure: np.ndarray  # (3,) factors that bring linear units to display range


@dataclass(frozen=True, eq=False)
class Layers:
    """One rendered picture."""

    color: np.ndarray  # (h, w, 3) uint8 sRGB, multiplied by alpha
    alpha: np.ndarray  # (h, w) in [0, 1]
    parts: np.ndarray  # (h, w, 3) coverage by HAND, ARM and OTHER
    depth_m: np.ndarray  # (h, w) of what is seen, 0 where nothing is
