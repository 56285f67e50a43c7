"""A posed hand before the camera: mesh with skin and shading, and its truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cmr_ros.geometry.mesh import vertex_normals
from cmr_ros.hand_model.model import HandModel, PosedHand
from cmr_ros.synthesis.occlusion import ambient_share, hand_spheres
from cmr_ros.synthesis.settings import SkinSettings
from cmr_ros.synthesis.skin import RestHand, Skin
from cmr_ros.synthesis.surfaces import ARM, HAND, Material, Mesh


@dataclass(frozen=True, eq=False)
class PlacedHand:
    """A hand in the camera's frame."""

    mesh: Mesh  # with the forearm
    template_vertices: np.ndarray  # (V, 3) of the template, metres
    joints: np.ndarray  # (21, 3) metres
    elbow_side: np.ndarray  # (3,) unit vector from the wrist along the forearm
    bones: np.ndarray  # (V,) number of the joint where the bone ends that moves each vertex most
    held: Mesh | None = None  # what it is closed around, or another hand that it touches


class HandPlacer:
    """Turns poses of one hand model into meshes; knows the skins that fit it."""

    def __init__(self, model: HandModel, skins: str | Path | None, settings: SkinSettings):
        rest = model.rest()
        self._faces = model.faces
        self._bones = model.skin_weights.argmax(axis=1)
        self._part = np.where(model.hand_faces, HAND, ARM)
        self._arm_vertices = np.unique(model.faces[~model.hand_faces])
        hand = RestHand(rest.vertices, model.faces, model.uvs, model.hand_faces, rest.joints)
        self.skin = Skin(hand, settings, skins)
        self._creases = settings.creases

    def place(
        self, posed: PosedHand, turn: np.ndarray, shift: np.ndarray, material: Material
    ) -> PlacedHand:
        """Return the hand at `posed @ turn.T + shift`.

        Args:
            posed: the hand, in the model's frame.
            turn: (3, 3) orthogonal; determinant -1 makes a left hand of it.
            shift: (3,) metres.
            material: its skin.
        """
        vertices, joints, template_vertices = (
            points @ np.asarray(turn).T + shift
            for points in (posed.vertices, posed.joints, posed.template_vertices)
        )
        mesh = Mesh(vertices, self._faces, self.skin.uvs, material, self._part)
        if np.linalg.det(turn) < 0:
            mesh = replace(mesh, faces=self._faces[:, ::-1], uvs=self.skin.uvs[:, ::-1])
        normals = vertex_normals(vertices, mesh.faces)
        ambient = ambient_share(vertices, normals, *hand_spheres(joints)) ** self._creases
        arm = vertices[self._arm_vertices].mean(axis=0) - joints[0]
        elbow_side = arm / np.linalg.norm(arm)
        mesh = replace(mesh, ambient=ambient)
        return PlacedHand(mesh, template_vertices, joints, elbow_side, self._bones)
