"""Hands for RViz: mesh, bones and joints as markers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from cmr_ros.geometry.skeleton import BONES, JOINT_PARENTS, Handedness
from cmr_ros.hand import Hand
from cmr_ros.viewing.drawing import MESH_COLORS

#: A node that dies leaves no hand hanging in the air.
_LIFETIME = Duration(sec=1)


class HandMarkers:
    """Builds the markers of each image's hands from points that are made once and moved.

    Making the points of a mesh takes 8 ms in Python, moving them 0.2 ms.
    """

    def __init__(self, faces: np.ndarray):
        """Take the template's triangles (F, 3)."""
        self._faces = faces
        self._shapes: list[_HandShape] = []
        self._shown = 0

    def __call__(self, hands: Sequence[Hand], header: Header) -> MarkerArray:
        """Return markers that replace all earlier ones; they are valid until the next call."""
        while len(self._shapes) < len(hands):
            self._shapes.append(_HandShape(self._faces, len(self._shapes)))
        markers = []
        for shape, hand in zip(self._shapes, hands, strict=False):
            markers += shape.update(hand, header)
        for shape in self._shapes[len(hands) : self._shown]:
            markers += shape.removal(header)
        self._shown = len(hands)
        return MarkerArray(markers=markers)


class _HandShape:
    def __init__(self, faces: np.ndarray, number: int):
        self._vertices = [Point() for _ in range(int(faces.max()) + 1)]
        self._joints = [Point() for _ in JOINT_PARENTS]
        # Left hands are mirrored: their triangles run the other way round.
        self._triangles = {
            False: [self._vertices[i] for i in faces.ravel()],
            True: [self._vertices[i] for i in faces[:, ::-1].ravel()],
        }
        self._mirrored = False
        self._mesh = _marker("mesh", number, Marker.TRIANGLE_LIST, 1.0, alpha=0.8)
        self._mesh.points = self._triangles[False]
        self._bones = _marker("bones", number, Marker.LINE_LIST, 0.003)
        self._bones.points = [self._joints[i] for bone in BONES for i in bone]
        self._dots = _marker("joints", number, Marker.SPHERE_LIST, 0.008)
        self._dots.points = self._joints

    def update(self, hand: Hand, header: Header) -> list[Marker]:
        mirrored = hand.handedness == Handedness.LEFT
        if mirrored != self._mirrored:
            self._mesh.points = self._triangles[mirrored]
            self._mirrored = mirrored
        _move(self._vertices, hand.vertices_m)
        _move(self._joints, hand.joints_m)
        red, green, blue = (channel / 255 for channel in MESH_COLORS[hand.handedness])
        markers = [self._mesh, self._bones, self._dots]
        for marker in markers:
            marker.header = header
            marker.color.r, marker.color.g, marker.color.b = red, green, blue
        return markers

    def removal(self, header: Header) -> list[Marker]:
        return [
            Marker(header=header, ns=marker.ns, id=marker.id, action=Marker.DELETE)
            for marker in (self._mesh, self._bones, self._dots)
        ]


def _marker(namespace: str, number: int, kind: int, scale_m: float, alpha: float = 1.0) -> Marker:
    marker = Marker(ns=namespace, id=number, type=kind, action=Marker.ADD, lifetime=_LIFETIME)
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = marker.scale.z = scale_m
    marker.color = ColorRGBA(a=alpha)
    return marker


def _move(points: list[Point], positions: np.ndarray):
    for point, (x, y, z) in zip(points, positions.tolist(), strict=True):
        point.x, point.y, point.z = x, y, z
