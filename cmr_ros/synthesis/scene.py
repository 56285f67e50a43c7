"""What shares the picture with the hand: sleeves, jewellery, held objects, occluders."""

from __future__ import annotations

import numpy as np

from cmr_ros.synthesis.backgrounds import Clutter, palette_of_things, skin_palette
from cmr_ros.synthesis.objects import superquadric, torus
from cmr_ros.synthesis.placement import rotation
from cmr_ros.synthesis.surfaces import ARM, HAND, Material, Mesh, Texture, vertex_normals

_SOLID = Texture(np.full((4, 4, 3), 255, np.uint8))


def random_material(rng: np.random.Generator, clutter: Clutter, skin_like: float = 0.0) -> Material:
    """Return a painted, printed or plain surface, dull or glossy."""
    if rng.random() < skin_like:
        color = skin_palette(rng, 1)[0] / 255
    else:
        color = palette_of_things(rng, 1)[0] / 255
    printed = rng.random() < 0.5
    texture = clutter.texture(rng) if printed else _SOLID
    return Material(
        texture,
        tint=np.maximum(color, 0.25 if printed else 0.03) ** 2.2,
        specular=float(rng.choice([0.02, 0.04, 0.08])),
        roughness=float(rng.uniform(0.2, 0.8)),
    )


def sleeve(
    arm: Mesh, wrist: np.ndarray, elbow_side: np.ndarray, rng: np.random.Generator, clutter: Clutter
) -> Mesh:
    """Return a sleeve over the forearm of `arm`, a mesh with parts for each face.

    wrist: (3,) joint.  elbow_side: (3,) unit vector from the wrist along the forearm.
    """
    along = (arm.vertices - wrist) @ elbow_side
    start = rng.uniform(0.0, 0.03) if rng.random() < 0.6 else rng.uniform(0.03, 0.15)
    faces_on = (along[arm.faces].max(axis=1) > start) & (arm.part == ARM)
    gap = rng.uniform(0.003, 0.012) + rng.uniform(0, 0.12) * np.maximum(along - start, 0)
    folds = rng.uniform(0.0, 0.004) * np.sin(rng.uniform(60, 250) * along + rng.uniform(0, 6))
    outward = vertex_normals(arm.vertices, arm.faces)
    cloth = arm.vertices + outward * (gap + folds)[:, None]
    # The hem lies in one plane: what would reach beyond it towards the hand is pulled back.
    cloth = cloth + np.maximum(start - along, 0)[:, None] * elbow_side
    scale = rng.uniform(0.3, 2.5)
    material = Material(
        clutter.texture(rng) if rng.random() < 0.45 else _SOLID,
        tint=np.maximum(palette_of_things(rng, 1)[0] / 255, 0.04) ** 2.2,
        specular=0.01,
        roughness=0.8,
        bump=0.002,
    )
    return Mesh(cloth, arm.faces[faces_on], scale * arm.uvs[faces_on], material, ARM, closed=False)


def bracelet(wrist, elbow_side, palm_m: float, rng: np.random.Generator, clutter: Clutter) -> Mesh:
    """Return a bangle or watch strap around the wrist."""
    vertices, faces, uvs = torus(0.33 * palm_m, rng.uniform(0.0015, 0.004), rng.uniform(1, 4))
    material = random_material(rng, clutter)
    at = wrist + elbow_side * rng.uniform(0.01, 0.03)
    return Mesh(vertices @ _frame(elbow_side, rng).T + at, faces, uvs, material, ARM)


def ring(joints: np.ndarray, rng: np.random.Generator) -> Mesh:
    """Return a metal ring on the first phalanx of a finger of joints (21, 3)."""
    base = int(rng.choice([5, 9, 13, 13, 17]))
    palm_m = np.linalg.norm(joints[9] - joints[0])
    bone = joints[base + 1] - joints[base]
    vertices, faces, uvs = torus(0.098 * palm_m, rng.uniform(0.0008, 0.0018), rng.uniform(1, 2.5))
    metal = np.array([[1.0, 0.72, 0.3], [0.8, 0.8, 0.8], [0.9, 0.6, 0.5]])[rng.integers(3)]
    material = Material(_SOLID, tint=0.5 * metal, specular=0.3, roughness=0.3)
    at = joints[base] + bone * rng.uniform(0.4, 0.7)
    return Mesh(vertices @ _frame(bone, rng).T + at, faces, uvs, material, HAND)


def held_object(joints: np.ndarray, rng: np.random.Generator, clutter: Clutter) -> Mesh:
    """Return something in the hand: a solid before the palm, mostly lying across it."""
    across = joints[5] - joints[17]
    palm_m = np.linalg.norm(joints[9] - joints[0])
    palm = np.cross(across, joints[9] - joints[0])
    palm /= np.linalg.norm(palm)
    radius = rng.uniform(0.006, 0.035)
    half = np.array([radius, radius * rng.uniform(0.6, 1.4), radius * np.exp(rng.uniform(0, 1.6))])
    vertices, faces, uvs = superquadric(half, _roundness(rng))
    axis = across if rng.random() < 0.7 else rng.normal(size=3)
    center = joints[[5, 9, 13, 17]].mean(axis=0) * 0.7 + joints[0] * 0.3
    center = center + palm * (radius + 0.13 * palm_m) + 0.012 * rng.normal(size=3)
    turned = vertices @ _frame(axis, rng).T
    return Mesh(turned + center, faces, uvs, random_material(rng, clutter, 0.1))


def occluder(joints: np.ndarray, rng: np.random.Generator, clutter: Clutter) -> Mesh:
    """Return a solid between the camera and a part of the hand, joints in the camera's frame."""
    target = joints[rng.integers(21)]
    nearer = rng.uniform(0.75, 0.94)
    half = 0.01 + 0.05 * rng.beta(1.2, 2.5, 3)
    half[2] *= np.exp(rng.uniform(0, 1.5))
    vertices, faces, uvs = superquadric(half * nearer, _roundness(rng))
    aside = 0.035 * np.append(rng.normal(size=2), 0)
    turned = vertices @ _frame(rng.normal(size=3), rng).T
    at = target * nearer + aside
    return Mesh(turned + at, faces, uvs, random_material(rng, clutter, 0.35))


def _roundness(rng: np.random.Generator) -> tuple[float, float]:
    """Return the shape of an ellipsoid, a can, a box, or one in between."""
    shapes = [(1.0, 1.0), (0.15, 1.0), (0.15, 0.15), tuple(rng.uniform(0.15, 1.2, 2))]
    return shapes[rng.integers(4)]


def _frame(axis, rng: np.random.Generator) -> np.ndarray:
    """Return a rotation (3, 3) that takes z to `axis`, with a random turn about it."""
    axis = np.asarray(axis) / np.linalg.norm(axis)
    side = np.cross(np.eye(3)[np.argmin(np.abs(axis))], axis)
    side /= np.linalg.norm(side)
    frame = np.stack([side, np.cross(axis, side), axis], axis=1)
    return frame @ rotation([0, 0, 1], rng.uniform(0, 2 * np.pi))
