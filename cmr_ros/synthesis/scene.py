"""What shares the picture with the hand: sleeves, jewellery, held objects, occluders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cmr_ros.geometry.mesh import vertex_normals
from cmr_ros.synthesis.backgrounds import Clutter, palette_of_things, skin_palette
from cmr_ros.synthesis.grasps import Grasp
from cmr_ros.synthesis.objects import superquadric, torus
from cmr_ros.synthesis.occlusion import ambient_share, hand_spheres
from cmr_ros.synthesis.placed_hand import PlacedHand
from cmr_ros.synthesis.placement import rotation
from cmr_ros.synthesis.surfaces import ARM, HAND, Material, Mesh, Texture
from cmr_ros.synthesis.thing_settings import ThingSettings

#: How far skin looks out for a thing that shades it.
_SHADE_M = (0.008, 0.025)
_SOLID = Texture(np.full((4, 4, 3), 255, np.uint8))


def random_material(
    settings: ThingSettings, rng: np.random.Generator, clutter: Clutter, skin_like: float = 0.0
) -> Material:
    """Return a painted, printed or plain surface, dull or glossy.

    Args:
        settings: how often which.
        rng: source of randomness.
        clutter: has the prints and the colours.
        skin_like: probability of a colour like skin's.
    """
    if rng.random() < skin_like:
        color = skin_palette(clutter.style, rng, 1)[0] / 255
    else:
        color = palette_of_things(clutter.style, rng, 1)[0] / 255
    printed = rng.random() < settings.printed
    texture = clutter.texture(rng) if printed else _SOLID
    return Material(
        texture,
        tint=np.maximum(color, 0.25 if printed else 0.03) ** 2.2,
        specular=float(rng.choice(settings.specular)),
        roughness=float(rng.uniform(*settings.roughness)),
    )


def gloved(
    hand: PlacedHand, settings: ThingSettings, rng: np.random.Generator, clutter: Clutter
) -> PlacedHand:
    """Return a hand that wears a glove up to its forearm's end.

    Args:
        hand: bare.
        settings: what gloves look like.
        rng: source of randomness.
        clutter: has the prints and the colours.
    """
    material = random_material(settings, rng, clutter, settings.glove_skin_like)
    return replace(hand, mesh=replace(hand.mesh, material=material))


def sleeve(
    arm: Mesh,
    wrist: np.ndarray,
    elbow_side: np.ndarray,
    settings: ThingSettings,
    rng: np.random.Generator,
    clutter: Clutter,
) -> Mesh:
    """Return a sleeve over a forearm.

    Args:
        arm: mesh with parts for each face, metres.
        wrist: (3,) joint, in the frame of the mesh.
        elbow_side: (3,) unit vector from the wrist along the forearm.
        settings: what sleeves look like.
        rng: source of randomness.
        clutter: has the prints and the colours.
    """
    along = (arm.vertices - wrist) @ elbow_side
    is_long = rng.random() < settings.long_sleeve
    start = rng.uniform(
        *(settings.long_sleeve_start_m if is_long else settings.short_sleeve_start_m)
    )
    faces_on = (along[arm.faces].max(axis=1) > start) & (arm.part == ARM)
    gap = rng.uniform(*settings.sleeve_gap_m)
    gap = gap + rng.uniform(*settings.sleeve_flare) * np.maximum(along - start, 0)
    height_m, per_m = rng.uniform(*settings.fold_m), rng.uniform(*settings.fold_per_m)
    folds = height_m * np.sin(per_m * along + rng.uniform(*settings.fold_phase))
    outward = vertex_normals(arm.vertices, arm.faces)
    cloth = arm.vertices + outward * (gap + folds)[:, None]
    # The hem lies in one plane: what would reach beyond it towards the hand is pulled back.
    cloth = cloth + np.maximum(start - along, 0)[:, None] * elbow_side
    scale = rng.uniform(*settings.cloth_scale)
    material = Material(
        clutter.texture(rng) if rng.random() < settings.cloth_printed else _SOLID,
        tint=np.maximum(palette_of_things(clutter.style, rng, 1)[0] / 255, 0.04) ** 2.2,
        specular=0.01,
        roughness=0.8,
        bump=0.002,
    )
    return Mesh(cloth, arm.faces[faces_on], scale * arm.uvs[faces_on], material, ARM, closed=False)


def bracelet(
    wrist: np.ndarray,
    elbow_side: np.ndarray,
    palm_m: float,
    settings: ThingSettings,
    rng: np.random.Generator,
    clutter: Clutter,
) -> Mesh:
    """Return a bangle or watch strap around the wrist.

    Args:
        wrist: (3,) joint, metres.
        elbow_side: (3,) unit vector from the wrist along the forearm.
        palm_m: length from the wrist to the middle finger's base.
        settings: what bracelets look like.
        rng: source of randomness.
        clutter: has the prints and the colours.
    """
    tube_m, width = rng.uniform(*settings.bracelet_tube_m), rng.uniform(*settings.bracelet_width)
    vertices, faces, uvs = torus(0.33 * palm_m, tube_m, width)
    material = random_material(settings, rng, clutter)
    at = wrist + elbow_side * rng.uniform(*settings.bracelet_at_m)
    return Mesh(vertices @ _frame(elbow_side, rng).T + at, faces, uvs, material, ARM)


def ring(joints: np.ndarray, settings: ThingSettings, rng: np.random.Generator) -> Mesh:
    """Return a metal ring on the first phalanx of a finger of joints (21, 3)."""
    base = int(rng.choice(settings.ring_fingers))
    palm_m = np.linalg.norm(joints[9] - joints[0])
    bone = joints[base + 1] - joints[base]
    tube_m, width = rng.uniform(*settings.ring_tube_m), rng.uniform(*settings.ring_width)
    vertices, faces, uvs = torus(0.098 * palm_m, tube_m, width)
    metal = np.array([[1.0, 0.72, 0.3], [0.8, 0.8, 0.8], [0.9, 0.6, 0.5]])[rng.integers(3)]
    material = Material(_SOLID, tint=0.5 * metal, specular=0.3, roughness=0.3)
    at = joints[base] + bone * rng.uniform(*settings.ring_at)
    return Mesh(vertices @ _frame(bone, rng).T + at, faces, uvs, material, HAND)


def held_object(
    joints: np.ndarray, settings: ThingSettings, rng: np.random.Generator, clutter: Clutter
) -> Mesh:
    """Return something in the hand: a solid before the palm, mostly lying across it.

    Args:
        joints: (21, 3) metres.
        settings: what held things look like.
        rng: source of randomness.
        clutter: has the prints and the colours.
    """
    across = joints[5] - joints[17]
    palm_m = np.linalg.norm(joints[9] - joints[0])
    palm = np.cross(across, joints[9] - joints[0])
    palm /= np.linalg.norm(palm)
    radius = rng.uniform(*settings.held_radius_m)
    breadth = rng.uniform(*settings.held_breadth)
    half = radius * np.array([1, breadth, np.exp(rng.uniform(*settings.held_length_log))])
    vertices, faces, uvs = superquadric(half, _roundness(settings, rng))
    axis = across if rng.random() < settings.held_across else rng.normal(size=3)
    center = joints[[5, 9, 13, 17]].mean(axis=0) * 0.7 + joints[0] * 0.3
    center = center + palm * (radius + 0.13 * palm_m) + settings.held_shift_m * rng.normal(size=3)
    turned = vertices @ _frame(axis, rng).T
    material = random_material(settings, rng, clutter, settings.held_skin_like)
    return Mesh(turned + center, faces, uvs, material)


def with_grasped(
    hand: PlacedHand,
    grasp: Grasp,
    turn: np.ndarray,
    shift: np.ndarray,
    settings: ThingSettings,
    rng: np.random.Generator,
    clutter: Clutter,
) -> PlacedHand:
    """Return a hand with what it is closed around; both shade each other.

    Args:
        hand: the grasp's hand before the camera.
        grasp: in the model's frame.
        turn: (3, 3), camera's frame = turn @ model's frame + shift.
        shift: (3,) metres.
        settings: what held things look like.
        rng: source of randomness.
        clutter: has the prints and the colours.
    """
    vertices, faces, uvs = grasp.solid.mesh()
    vertices = (vertices @ grasp.axes.T + grasp.center_m) @ turn.T + shift
    material = random_material(settings, rng, clutter, settings.held_skin_like)
    held = Mesh(vertices, faces, uvs, material)
    held = replace(held, ambient=shade_of(hand.joints, held))
    normals = vertex_normals(hand.mesh.vertices, hand.mesh.faces)
    ambient = np.ones(len(normals))
    for reach_m in _SHADE_M:
        # The nearer a thing is to where the skin looks, the more of the surroundings it hides.
        looked_at = (hand.mesh.vertices + reach_m * normals - shift) @ turn
        ambient -= np.clip(1 - grasp.distance_m(looked_at) / reach_m, 0, 1) / (len(_SHADE_M) + 1)
    return replace(hand, mesh=replace(hand.mesh, ambient=hand.mesh.ambient * ambient), held=held)


def shade_of(joints: np.ndarray, mesh: Mesh) -> np.ndarray:
    """Return the share (V,) of a mesh's surroundings that a hand with joints (21, 3) leaves it."""
    normals = vertex_normals(mesh.vertices, mesh.faces)
    return ambient_share(mesh.vertices, normals, *hand_spheres(joints))


def occluder(
    joints: np.ndarray, settings: ThingSettings, rng: np.random.Generator, clutter: Clutter
) -> Mesh:
    """Return a solid between the camera and a part of the hand.

    Args:
        joints: (21, 3) metres, in the camera's frame.
        settings: what occluders look like.
        rng: source of randomness.
        clutter: has the prints and the colours.
    """
    target = joints[rng.integers(21)]
    nearer = rng.uniform(*settings.occluder_nearer)
    least_m, more_m = settings.occluder_size_m
    half = least_m + more_m * rng.beta(*settings.occluder_beta, 3)
    half[2] *= np.exp(rng.uniform(*settings.occluder_length_log))
    vertices, faces, uvs = superquadric(half * nearer, _roundness(settings, rng))
    aside = settings.occluder_shift_m * np.append(rng.normal(size=2), 0)
    turned = vertices @ _frame(rng.normal(size=3), rng).T
    at = target * nearer + aside
    material = random_material(settings, rng, clutter, settings.occluder_skin_like)
    return Mesh(turned + at, faces, uvs, material)


def _roundness(settings: ThingSettings, rng: np.random.Generator) -> tuple[float, float]:
    """Return the shape of an ellipsoid, a can, a box, or one in between."""
    shapes = [(1.0, 1.0), (0.15, 1.0), (0.15, 0.15), tuple(rng.uniform(*settings.roundness, 2))]
    return shapes[rng.integers(4)]


def _frame(axis: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a rotation (3, 3) that takes z to `axis`, with a random turn about it."""
    axis = np.asarray(axis) / np.linalg.norm(axis)
    side = np.cross(np.eye(3)[np.argmin(np.abs(axis))], axis)
    side /= np.linalg.norm(side)
    frame = np.stack([side, np.cross(axis, side), axis], axis=1)
    return frame @ rotation([0, 0, 1], rng.uniform(0, 2 * np.pi))
