"""Builds a template's coarser levels by collapsing the edges whose loss is least.

Quadric error metrics (Garland and Heckbert 1997) with half-edge collapses, so that every coarse
vertex is one of the finer mesh: textures, skinning weights and joints carry over by index.
"""

from __future__ import annotations

import heapq
from collections import defaultdict

import numpy as np
import trimesh

from cmr_ros.errors import InputError
from cmr_ros.hand_model.spirals import spirals
from cmr_ros.model.template import HandTemplate, Sparse

SPIRAL_LENGTH = 27
COARSER_LEVELS = 4


def build_template(
    name: str, vertices: np.ndarray, faces: np.ndarray, joint_regressor: np.ndarray
) -> HandTemplate:
    """Return the template of a closed mesh: four coarser levels, each of half the vertices.

    Args:
        name: of the template.
        vertices: (V, 3) in metres.
        faces: (F, 3), counter-clockwise from outside.
        joint_regressor: (J, V), joints from vertices.

    Raises:
        InputError: The mesh is not closed, or cannot be reduced and stay so.
    """
    check_closed(name, vertices, faces)
    all_vertices, all_faces = [np.asarray(vertices, np.float32)], [np.asarray(faces, np.int32)]
    up, down = [], []
    for _ in range(COARSER_LEVELS):
        kept, coarse_faces = decimate(
            all_vertices[-1], all_faces[-1], (len(all_vertices[-1]) + 1) // 2
        )
        coarse = all_vertices[-1][kept]
        up.append(_interpolation(all_vertices[-1], coarse, coarse_faces))
        rows = np.arange(len(kept), dtype=np.int32)
        down.append((rows, kept.astype(np.int32), np.ones(len(kept), np.float32)))
        all_vertices.append(coarse)
        all_faces.append(coarse_faces)
    walks = [
        spirals(level_faces, len(level), SPIRAL_LENGTH).astype(np.int32)
        for level, level_faces in zip(all_vertices[:-1], all_faces[:-1], strict=True)
    ]
    return HandTemplate(
        name,
        tuple(all_vertices),
        tuple(all_faces),
        tuple(walks),
        tuple(up),
        tuple(down),
        np.asarray(joint_regressor, np.float32),
    )


def check_closed(name: str, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Raise InputError unless the mesh is one watertight surface with its faces outward."""
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    if not (mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0):
        raise InputError(
            f"mesh {name!r}: must be closed, with faces counter-clockwise from outside"
        )


def decimate(vertices: np.ndarray, faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the kept vertices' indices (count,), ascending, and the faces (F, 3) between them."""
    mesh = _Collapsing(np.asarray(vertices, np.float64), faces)
    mesh.reduce_to(count)
    kept = np.array(sorted(v for v, around in mesh.around.items() if around))
    renumber = np.full(len(vertices), -1)
    renumber[kept] = np.arange(len(kept))
    alive = np.array([face for face in mesh.faces if face is not None])
    return kept, renumber[alive].astype(np.int32)


class _Collapsing:
    """A triangle mesh that loses its vertices one by one."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray):
        self.vertices = vertices
        self.faces: list[tuple[int, int, int] | None] = [tuple(map(int, face)) for face in faces]
        self.around: dict[int, set[int]] = defaultdict(set)
        for index, face in enumerate(self.faces):
            for vertex in face:
                self.around[vertex].add(index)
        self.quadrics = np.zeros((len(vertices), 4, 4))
        corners = vertices[faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        areas = np.linalg.norm(normals, axis=1, keepdims=True)
        normals = normals / np.maximum(areas, 1e-12)
        planes = np.concatenate(
            [normals, -(normals * corners[:, 0]).sum(axis=1, keepdims=True)], axis=1
        )
        quadrics = areas[:, :, None] * planes[:, :, None] * planes[:, None, :]
        for corner in range(3):
            np.add.at(self.quadrics, faces[:, corner], quadrics)

    def neighbours(self, vertex: int) -> set[int]:
        return {v for face in self.around[vertex] for v in self.faces[face]} - {vertex}

    def reduce_to(self, count: int) -> None:
        queue = [(self.loss(a, b), a, b) for a in list(self.around) for b in self.neighbours(a)]
        heapq.heapify(queue)
        left = len(self.around)
        while left > count:
            if not queue:
                raise InputError(f"mesh: cannot be reduced to {count} vertices and stay closed")
            loss, gone, kept = heapq.heappop(queue)
            if not self.around[gone] or not self.around[kept] or kept not in self.neighbours(gone):
                continue
            current = self.loss(gone, kept)
            if current > loss + 1e-15:
                heapq.heappush(queue, (current, gone, kept))
                continue
            if not self.allowed(gone, kept):
                continue
            self.collapse(gone, kept)
            left -= 1
            for other in self.neighbours(kept):
                heapq.heappush(queue, (self.loss(kept, other), kept, other))
                heapq.heappush(queue, (self.loss(other, kept), other, kept))

    def loss(self, gone: int, kept: int) -> float:
        point = np.append(self.vertices[kept], 1)
        quadric = self.quadrics[gone] + self.quadrics[kept]
        step = self.vertices[gone] - self.vertices[kept]
        # On flat parts every collapse is free: the edge's length then keeps triangles even.
        return float(point @ quadric @ point + 1e-4 * (step @ step) ** 2)

    def allowed(self, gone: int, kept: int) -> bool:
        """Whether the surface stays a manifold and no face turns over or becomes a sliver."""
        if len(self.neighbours(gone) & self.neighbours(kept)) != 2:
            return False
        if len(self.neighbours(gone) | self.neighbours(kept)) - 2 < 4:
            return False
        for index in self.around[gone] - self.around[kept]:
            before = self.vertices[list(self.faces[index])]
            after = self.vertices[[kept if v == gone else v for v in self.faces[index]]]
            old, new = (np.cross(t[1] - t[0], t[2] - t[0]) for t in (before, after))
            longest = max(((after - np.roll(after, 1, axis=0)) ** 2).sum(axis=1))
            if old @ new < 0.3 * np.linalg.norm(old) * np.linalg.norm(new):
                return False
            if np.linalg.norm(new) < 0.15 * longest:
                return False
        return True

    def collapse(self, gone: int, kept: int) -> None:
        self.quadrics[kept] += self.quadrics[gone]
        for index in self.around[gone] & self.around[kept]:
            for vertex in self.faces[index]:
                self.around[vertex] = self.around[vertex] - {index}
            self.faces[index] = None
        for index in self.around[gone]:
            self.faces[index] = tuple(kept if v == gone else v for v in self.faces[index])
            self.around[kept].add(index)
        self.around[gone] = set()


def _interpolation(fine: np.ndarray, coarse: np.ndarray, coarse_faces: np.ndarray) -> Sparse:
    """Return weights that place fine vertices on the coarse surface's nearest triangles."""
    corners = coarse[coarse_faces].astype(np.float64)
    triangles = np.empty(len(fine), dtype=int)
    points = np.empty((len(fine), 3))
    for index, vertex in enumerate(fine):
        nearest = trimesh.triangles.closest_point(corners, np.tile(vertex, (len(corners), 1)))
        triangles[index] = np.linalg.norm(nearest - vertex, axis=1).argmin()
        points[index] = nearest[triangles[index]]
    weights = trimesh.triangles.points_to_barycentric(corners[triangles], points)
    weights = np.clip(weights, 0, 1)
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(fine), dtype=np.int32), 3)
    columns = coarse_faces[triangles].astype(np.int32).ravel()
    values = weights.astype(np.float32).ravel()
    used = values > 1e-6
    return rows[used], columns[used], values[used]
