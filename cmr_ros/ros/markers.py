"""Hands for RViz: mesh, bones and joints as markers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from builtin_interfaces.msg import Duration
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from cmr_ros.geometry.skeleton import BONES, JOINT_PARENTS, Handedness
from cmr_ros.hand import Hand
from cmr_ros.ros.stencil import RGBA, XYZ, Stencil, open_color, open_header, open_point
from cmr_ros.viewing.drawing import MESH_COLORS, shades

#: A node that dies leaves no hand hanging in the air.
_LIFETIME = Duration(sec=1)
#: Namespaces of a hand's markers.
_NAMESPACES = ("mesh", "bones", "joints")
_BONE_ENDS = np.ravel(BONES)


class HandMarkers:
    """Builds the markers of each image's hands, serialised.

    Meshes are opaque, for RViz writes no depth for what is translucent and draws back faces over
    front ones.  Each vertex has a colour of its own, because RViz by itself shades triangles flat.

    To serialise such a mesh from Python's objects takes 30 ms, so numbers are written into a
    message that has been serialised once.
    """

    def __init__(self, faces: np.ndarray):
        """Take the template's triangles (F, 3)."""
        # Left hands are mirrored: their triangles run the other way round.
        self._faces = {side: faces for side in Handedness}
        self._faces[Handedness.LEFT] = faces[:, ::-1]
        self._stencil = lru_cache(maxsize=4)(self._make_stencil)
        self._shown = 0

    def __call__(self, hands: Sequence[Hand], header: Header) -> bytes:
        """Return a MarkerArray that replaces all earlier ones, as `Publisher.publish` takes it."""
        sides = tuple(hand.handedness for hand in hands)
        stencil = self._stencil(header.frame_id, sides, max(self._shown - len(hands), 0))
        self._shown = len(hands)
        return stencil.filled(header.stamp, self._numbers(hands))

    def _make_stencil(self, frame_id: str, sides: Sequence[Handedness], removed: int) -> Stencil:
        """Return markers of hands, with the numbers left open, and of so many that have gone."""
        header, point, color = open_header(frame_id), open_point(), open_color()
        markers, openings = [], []
        for number, side in enumerate(sides):
            corners = self._faces[side].size
            red, green, blue = np.divide(MESH_COLORS[side], 255).tolist()
            for namespace, kind, scale_m, count, colors in (
                ("mesh", Marker.TRIANGLE_LIST, 1.0, corners, corners),
                ("bones", Marker.LINE_LIST, 0.003, len(_BONE_ENDS), 0),
                ("joints", Marker.SPHERE_LIST, 0.008, len(JOINT_PARENTS), 0),
            ):
                marker = Marker(header=header, ns=namespace, id=number, type=kind)
                marker.action, marker.lifetime = Marker.ADD, _LIFETIME
                marker.pose.orientation.w = 1.0
                marker.scale.x = marker.scale.y = marker.scale.z = scale_m
                marker.color = ColorRGBA(r=red, g=green, b=blue, a=1.0)
                marker.points, marker.colors = [point] * count, [color] * colors
                markers.append(marker)
                openings += [(XYZ, count), *([(RGBA, colors)] if colors else [])]
        for number in range(len(sides), len(sides) + removed):
            for namespace in _NAMESPACES:
                markers.append(Marker(header=header, ns=namespace, id=number, action=Marker.DELETE))
        return Stencil(MarkerArray(markers=markers), openings)

    def _numbers(self, hands: Sequence[Hand]) -> list[np.ndarray]:
        """Return the points (n, 3), and colours (n, 4) in 0 to 1, that markers have open."""
        numbers = []
        for hand in hands:
            faces = self._faces[hand.handedness]
            corners = faces.ravel()
            shade = shades(hand.vertices_m, faces)[:, None]
            color = np.divide(MESH_COLORS[hand.handedness], 255)
            colors = np.hstack([shade * color, np.ones_like(shade)])[corners]
            bones_m = hand.joints_m[_BONE_ENDS]
            numbers += [hand.vertices_m[corners], colors, bones_m, hand.joints_m]
        return numbers
