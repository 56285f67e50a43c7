"""Spirals: the order in which a mesh's vertices are read by spiral convolutions.

A spiral starts at its vertex and follows ring after ring of neighbours.  Where a ring starts is
left to the half-edge structure the mesh was loaded into, so trained weights depend on it to the
index.  This module keeps the structure that the published templates were made with: faces are
added one at a time, and a vertex's first half-edge is its outgoing border, or, once its last
face closed, whatever the border was before (the rule of the library OpenMesh).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cmr_ros.errors import InputError

#: A half-edge is named by its origin and its target.
HalfEdge = tuple[int, int]


def spirals(faces: np.ndarray, vertex_count: int, length: int) -> np.ndarray:
    """Return the spiral (V, length) of each vertex, in the order of the published templates.

    faces: (F, 3) indices of an oriented manifold mesh; the order of the faces matters.
    Raises InputError for a mesh that is not manifold, or too small for the length.
    """
    rings = one_rings(faces, vertex_count)
    return np.array([_spiral(vertex, rings, length) for vertex in range(vertex_count)])


def one_rings(faces: np.ndarray, vertex_count: int) -> list[list[int]]:
    """Return each vertex's neighbours, clockwise seen from outside, from its first half-edge."""
    mesh = _HalfEdges(vertex_count)
    for face in np.asarray(faces).tolist():
        mesh.add(face)
    return [mesh.ring(vertex) for vertex in range(vertex_count)]


def _spiral(vertex: int, rings: list[list[int]], length: int) -> list[int]:
    spiral, last_ring = [vertex], rings[vertex]
    while last_ring:
        spiral += last_ring
        if len(spiral) >= length:
            return spiral[:length]
        last_ring = _next_ring(last_ring, rings, spiral)
    raise InputError(
        f"the part of the mesh around vertex {vertex} has {len(spiral)} vertices, "
        f"fewer than the spiral length {length}; use shorter spirals or a finer mesh"
    )


def _next_ring(last_ring: list[int], rings: list[list[int]], seen: list[int]) -> list[int]:
    """Return the vertices around `last_ring`, each neighbourhood read from the ring onwards."""
    known, ring = set(seen), []
    on_ring = set(last_ring)
    for vertex in last_ring:
        around = rings[vertex]
        start = next((i for i, other in enumerate(around) if other in on_ring), 0)
        for other in around[start:] + around[:start]:
            if other not in known:
                known.add(other)
                ring.append(other)
    return ring


class _HalfEdges:
    """An oriented manifold mesh, grown face by face."""

    def __init__(self, vertex_count: int):
        self.following: dict[HalfEdge, HalfEdge] = {}
        self.preceding: dict[HalfEdge, HalfEdge] = {}
        self.inside: set[HalfEdge] = set()  # half-edges that belong to a face
        self.first: list[HalfEdge | None] = [None] * vertex_count

    def ring(self, vertex: int) -> list[int]:
        return [target for _, target in self._outgoing(vertex)]

    def add(self, face: list[int]) -> None:
        """Add a triangle and keep every border vertex's first half-edge on the border."""
        corners = list(zip(face, face[1:] + face[:1], strict=True))
        if any(edge in self.inside for edge in corners) or any(map(self._closed, face)):
            raise InputError(f"the mesh is not an oriented manifold at face {face}; repair it")
        is_new = [edge not in self.following for edge in corners]
        # Links are collected first: each decision is taken on the mesh as it was before.
        links: list[tuple[HalfEdge, HalfEdge]] = []
        turns = [(corners[i - 1], corners[i], is_new[i - 1], is_new[i]) for i in (1, 2, 0)]
        for inward, outward, new_in, new_out in turns:
            if not (new_in or new_out) and self.following[inward] != outward:
                links += self._relink(inward, outward)
        adjust = []
        for inward, outward, new_in, new_out in turns:
            vertex = outward[0]
            if new_in or new_out:
                links += self._border_links(inward, outward, new_in, new_out)
                links.append((inward, outward))
            elif self.first[vertex] == outward:
                adjust.append(vertex)
        self.inside.update(corners)
        for before, after in links:
            self.following[before], self.preceding[after] = after, before
        for vertex in adjust:
            border = (edge for edge in self._outgoing(vertex) if edge not in self.inside)
            self.first[vertex] = next(border, self.first[vertex])

    def _closed(self, vertex: int) -> bool:
        return self.first[vertex] is not None and self.first[vertex] in self.inside

    def _outgoing(self, vertex: int) -> Iterator[HalfEdge]:
        """Yield the half-edges that leave a vertex, clockwise from its first one."""
        edge = self.first[vertex]
        while edge is not None:
            yield edge
            edge = self.following[edge[::-1]]
            if edge == self.first[vertex]:
                return

    def _relink(self, inward: HalfEdge, outward: HalfEdge) -> list[tuple[HalfEdge, HalfEdge]]:
        """Return links that move the patch between two border edges into another gap."""
        border = outward[::-1]
        while True:
            border = self.following[border][::-1]
            if border not in self.inside:
                break
        if border == inward:
            raise InputError(f"the mesh is not manifold at vertex {outward[0]}; repair it")
        return [
            (border, self.following[inward]),
            (self.preceding[outward], self.following[border]),
            (inward, outward),
        ]

    def _border_links(
        self, inward: HalfEdge, outward: HalfEdge, new_in: bool, new_out: bool
    ) -> list[tuple[HalfEdge, HalfEdge]]:
        """Return the links outside a new corner and choose its vertex's first half-edge."""
        vertex = outward[0]
        to_vertex, from_vertex = outward[::-1], inward[::-1]
        if not new_out:
            self.first[vertex] = from_vertex
            return [(self.preceding[outward], from_vertex)]
        if not new_in:
            self.first[vertex] = self.following[inward]
            return [(to_vertex, self.following[inward])]
        border = self.first[vertex]
        if border is None:
            self.first[vertex] = from_vertex
            return [(to_vertex, from_vertex)]
        return [(self.preceding[border], from_vertex), (to_vertex, border)]
