"""Rendered persons without a background: faces, feet, clothes, and hands where people have them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cmr_ros.geometry.mesh import vertex_normals
from cmr_ros.hand_model.body import Body
from cmr_ros.hand_model.model import HandModel
from cmr_ros.synthesis import scene
from cmr_ros.synthesis.backgrounds import palette_of_things
from cmr_ros.synthesis.cutouts import CUTOUT
from cmr_ros.synthesis.generator import Generator
from cmr_ros.synthesis.lighting import random_gaze, random_light
from cmr_ros.synthesis.placement import project, rotation
from cmr_ros.synthesis.surfaces import Layers, Material, Mesh, Texture

#: What is looked at: joint markers of the body, and the width of the view in metres.
_VIEWS = {
    "whole": (("pelvis",), (1.5, 2.4)),
    "upper": (("neck", "spine-2"), (0.7, 1.4)),
    "face": (("head", "l-eye", "r-eye"), (0.25, 0.6)),
    "hand": (("r-hand", "l-hand"), (0.5, 1.0)),
    "foot": (("r-ankle", "l-ankle"), (0.3, 0.7)),
    "limb": (("r-elbow", "l-elbow", "r-knee", "l-knee"), (0.3, 0.8)),
}
_SHARES = (0.3, 0.3, 0.1, 0.12, 0.1, 0.08)
_DISTANCE_M = (0.6, 4.0)
#: A joint is seen where nothing is that much nearer; a hand, where so many of its joints are.
_FLESH_M, _SEEN, _HARDLY = 0.035, 0.5, 0.2
#: Between skin and cloth.
_GAP_M = (0.008, 0.018)
#: Scale of the traits' random weights.
_TRAIT = 0.5


@dataclass(frozen=True, eq=False)
class Person:
    """A picture of a person, or of a part of one."""

    color: np.ndarray  # (h, w, 4) uint8 RGBA, not multiplied by alpha
    #: The joints (21, 2) of the hands that are seen, and whether it is the left one.
    hands: tuple[tuple[np.ndarray, bool], ...]


class PersonGenerator(Generator):
    """Draws persons; number i of a seed is the same in every process."""

    def __init__(
        self, body: Body, model: HandModel, seed: int, panoramas: str | Path | None = None
    ):
        """Prepare to render.

        Args:
            body: all persons'.
            model: of the hand.
            seed: of all persons.
            panoramas: folder of .exr panoramas; None: they are made up.

        Raises:
            InputError: Rendering is impossible, or the folder cannot be used.
        """
        super().__init__(model, seed, CUTOUT, None, panoramas)
        self._body = body

    def _draw(self, rng: np.random.Generator) -> Person | None:
        body = self._body
        rest = body.rest + sum(_TRAIT * rng.normal() * mode for mode in body.traits.values())
        vertices, joints = body.posed(rest, random_pose(body, rest, rng))
        markers, width_m = _VIEWS[str(rng.choice(list(_VIEWS), p=_SHARES))]
        target = body.joint(vertices, str(rng.choice(markers)))
        turn, matrix = self._camera(float(np.exp(rng.uniform(*np.log(width_m)))), rng)
        shift = -turn @ target + [0, 0, matrix[2, 2] * self._distance]
        seen = vertices @ turn.T + shift
        if seen[:, 2].min() < 0.1:
            return None
        light = random_light(
            self._environment(rng), random_gaze(self.settings.light, rng), self.settings.light, rng
        )
        layers = self._renderer.render(self._dressed(seen, rng), matrix, light)
        alpha = layers.alpha[..., None]
        if not 0.02 < alpha.mean() < 0.98:
            return None
        hands = []
        for side, own in joints.items():
            own = own @ turn.T + shift
            share = _seen(own, matrix, layers)
            if share > _SEEN:
                hands.append((project(own, matrix).astype(np.float32), side == "l"))
            elif share > _HARDLY:
                return None
        color = np.clip(layers.color / np.maximum(alpha, 1e-3), 0, 255)
        color = np.concatenate([color, 255 * alpha], axis=-1).astype(np.uint8)
        return Person(color, tuple(hands))

    def _camera(self, width_m: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return a camera's rotation from the body's frame and its matrix."""
        self._distance = max(float(np.exp(rng.uniform(*np.log(_DISTANCE_M)))), 0.6 * width_m)
        yaw = rng.normal(0, 0.6) if rng.random() < 0.75 else rng.uniform(-np.pi, np.pi)
        turn = (
            rotation([0, 0, 1], rng.normal(0, 0.12))
            @ rotation([1, 0, 0], rng.normal(0.05, 0.25))
            @ np.diag([1.0, -1.0, -1.0])
            @ rotation([0, 1, 0], yaw)
        )
        size = self.settings.size_px
        focal = size * self._distance / width_m
        return turn, np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])

    def _dressed(self, vertices: np.ndarray, rng: np.random.Generator) -> list[Mesh]:
        body, things = self._body, self.settings.things
        surfaces = body.surfaces
        skin = self._placer.skin.material(rng, self.settings.tint)
        tone = skin.texture.pixels[200:300, 100:300].reshape(-1, 3).mean(axis=0)
        grain = cv2.resize(rng.normal(1, 0.06, (64, 64)), (256, 256))[..., None]
        plain = Texture(np.clip(tone * grain, 0, 255).astype(np.uint8))
        skin = Material(plain, skin.tint, skin.contrast, skin.specular, skin.roughness)
        meshes = [_mesh(vertices, surfaces["skin"], skin), self._eyes(vertices, rng)]
        if rng.random() < 0.65:
            dark = palette_of_things(self._clutter.style, rng, 1)[0] * rng.uniform(0.05, 0.8)
            strands = np.clip(dark * rng.normal(1, 0.25, (8, 128, 1)), 0, 255).astype(np.uint8)
            hair = surfaces["hair"]
            long = vertices[hair.faces][..., 1].mean(axis=1)
            end = np.quantile(long, rng.uniform(0.4, 1.0))
            meshes.append(
                _mesh(vertices, hair, Material(Texture(strands), roughness=0.5), long <= end)
            )
        cloth = surfaces["cloth"]
        of_leg = body.is_leg[cloth.faces].all(axis=1)
        limb = body.limb[cloth.faces].max(axis=1)
        bare = body.is_hand[cloth.faces].any(axis=1)
        outward = vertex_normals(vertices, cloth.faces)
        loose = vertices + rng.uniform(*_GAP_M) * outward
        for part, always in ((~of_leg, 0.93), (of_leg, 0.97)):
            if rng.random() < always:
                length = rng.choice([0.3, 0.5, 0.7, 0.95], p=[0.2, 0.2, 0.15, 0.45])
                material = scene.random_material(things, rng, self._clutter)
                meshes.append(_mesh(loose, cloth, material, part & (limb < length) & ~bare))
        if rng.random() < 0.1:
            material = scene.random_material(things, rng, self._clutter)
            meshes.append(_mesh(vertices, surfaces["skirt"], material))
        return meshes

    def _eyes(self, vertices: np.ndarray, rng: np.random.Generator) -> Mesh:
        iris = Texture(np.full((4, 4, 3), rng.uniform(20, 190), np.uint8))
        return _mesh(vertices, self._body.surfaces["eyes"], Material(iris, specular=0.05))


def random_pose(body: Body, rest: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return rotations of bones as people stand, gesture and hold their hands before them."""
    turns = {"neck01": _turn(rng, 0.25)}
    for side, out in (("L", 1.0), ("R", -1.0)):
        name = side.lower()
        shoulder, elbow, wrist = (
            body.joint(rest, f"{name}-{joint}") for joint in ("shoulder", "elbow", "hand")
        )
        kind = rng.random()
        if kind < 0.35:  # the arm hangs, more or less
            goal = np.array([0.3 * out, -1.0, 0.0]) + 0.25 * rng.normal(size=3)
            bend = abs(rng.normal(0, 0.4))
        elif kind < 0.85:  # the hand is before the body or beside the head
            goal = np.array([0.5 * out, -0.6, 0.4]) + 0.35 * rng.normal(size=3)
            bend = rng.uniform(0.8, 2.3)
        else:
            goal = rng.normal(size=3) + [0.7 * out, 0, 0.5]
            bend = rng.uniform(0, 2)
        upper = _onto(elbow - shoulder, goal)
        fore = wrist - elbow
        # The elbow bends about a line across the arm, so that the hand comes forward and up.
        forward = np.array([-0.4 * out, 0.6, 1.0]) + 0.5 * rng.normal(size=3)
        axis = np.cross(fore, upper.T @ forward)
        turns[f"upperarm01.{side}"] = upper
        twist = rotation(fore, rng.normal(0, 0.9))
        turns[f"lowerarm01.{side}"] = rotation(axis, bend) @ twist
        turns[f"wrist.{side}"] = _turn(rng, 0.35)
        middle, index, little = (
            body.joint(rest, f"{name}-finger-{finger}-1") for finger in (3, 2, 5)
        )
        across = np.cross(np.cross(middle - wrist, index - little), middle - wrist)
        curl = rng.beta(0.7, 1.2)
        for finger in range(1, 6):
            own = np.clip(curl + rng.normal(0, 0.2), -0.05, 1) if rng.random() < 0.8 else 0.9
            reach = 0.5 if finger == 1 else 1.4
            for bone in (1, 2, 3):
                turns[f"finger{finger}-{bone}.{side}"] = rotation(-out * across, own * reach)
        turns[f"upperleg01.{side}"] = rotation([-1, 0, 0], abs(rng.normal(0, 0.3))) @ _turn(
            rng, 0.1
        )
        turns[f"lowerleg01.{side}"] = rotation([1, 0, 0], abs(rng.normal(0, 0.4)))
    return turns


def _turn(rng: np.random.Generator, deviation_rad: float) -> np.ndarray:
    vector = rng.normal(0, deviation_rad, 3)
    return rotation(vector, float(np.linalg.norm(vector)))


def _onto(start: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Return the smallest rotation that takes one direction to another."""
    start, goal = start / np.linalg.norm(start), goal / np.linalg.norm(goal)
    return rotation(np.cross(start, goal), float(np.arccos(np.clip(start @ goal, -1, 1))))


def _mesh(vertices, surface, material: Material, chosen=slice(None)) -> Mesh:
    faces = surface.faces[chosen]
    return Mesh(vertices, faces, surface.uvs[chosen], material, closed=False)


def _seen(joints: np.ndarray, matrix: np.ndarray, layers: Layers) -> float:
    """Return which share of joints (21, 3) is in the picture and not hidden."""
    size = layers.alpha.shape[0]
    joints_px = project(joints, matrix)
    column, row = np.clip(np.rint(joints_px), 0, size - 1).astype(int).T
    within = ((joints_px > -0.5) & (joints_px < size - 0.5)).all(axis=1)
    depth = layers.depth_m[row, column]
    return float((within & (depth > 0) & (joints[:, 2] - depth < _FLESH_M)).mean())
