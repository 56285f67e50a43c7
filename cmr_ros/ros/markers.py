"""Hands for RViz: mesh, bones and joints as markers."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point
from rclpy.serialization import serialize_message
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from cmr_ros.geometry.skeleton import BONES, JOINT_PARENTS, Handedness
from cmr_ros.hand import Hand
from cmr_ros.viewing.drawing import MESH_COLORS, shades

#: A node that dies leaves no hand hanging in the air.
_LIFETIME = Duration(sec=1)
#: Namespaces of a hand's markers.
_NAMESPACES = ("mesh", "bones", "joints")
_BONE_ENDS = np.ravel(BONES)
#: What a serialised message has where numbers go: seconds and nanoseconds, x y z, r g b a.
_STAMP_MARK = struct.pack("=iI", -0x5EED1234, 0x5EED5678)
_POINT_MARK = struct.pack("=3d", -1.25e-123, -1.5e-123, -1.75e-123)
_COLOR_MARK = struct.pack("=4f", 0.015625, 0.03125, 0.0625, 1.0)


class HandMarkers:
    """Builds the markers of each image's hands, serialised.

    Meshes are opaque, for RViz writes no depth for what is translucent and draws back faces over
    front ones.  Each vertex has a colour of its own, because RViz by itself shades triangles flat.

    To serialise such a mesh from Python's objects takes 30 ms.  So that is done only when other
    hands are shown than before; from image to image, numbers are written into the message.
    """

    def __init__(self, faces: np.ndarray):
        """Take the template's triangles (F, 3)."""
        # Left hands are mirrored: their triangles run the other way round.
        self._faces = {side: faces for side in Handedness}
        self._faces[Handedness.LEFT] = faces[:, ::-1]
        self._layout: tuple | None = None
        self._shown = 0

    def __call__(self, hands: Sequence[Hand], header: Header) -> bytes:
        """Return a MarkerArray that replaces all earlier ones, as `Publisher.publish` takes it."""
        sides = tuple(hand.handedness for hand in hands)
        layout = (header.frame_id, sides, max(self._shown - len(hands), 0))
        if layout != self._layout:
            self._layout, self._message = layout, _Message(*self._markers(*layout))
        self._shown = len(hands)
        return self._message.filled(header.stamp, *self._numbers(hands))

    def _markers(self, frame_id: str, sides: Sequence[Handedness], removed: int):
        """Yield markers with the numbers left open."""
        sec, nanosec = struct.unpack("=iI", _STAMP_MARK)
        header = Header(frame_id=frame_id, stamp=Time(sec=sec, nanosec=nanosec))
        point = Point(**dict(zip("xyz", struct.unpack("=3d", _POINT_MARK), strict=True)))
        color = ColorRGBA(**dict(zip("rgba", struct.unpack("=4f", _COLOR_MARK), strict=True)))
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
                yield marker
        for number in range(len(sides), len(sides) + removed):
            for namespace in _NAMESPACES:
                yield Marker(header=header, ns=namespace, id=number, action=Marker.DELETE)

    def _numbers(self, hands: Sequence[Hand]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the points (n, 3), and the colours (n, 4) in 0 to 1, that markers have open."""
        points, colors = [], []
        for hand in hands:
            faces = self._faces[hand.handedness]
            corners = faces.ravel()
            shade = shades(hand.vertices_m, faces)[:, None]
            color = np.divide(MESH_COLORS[hand.handedness], 255)
            points += [hand.vertices_m[corners], hand.joints_m[_BONE_ENDS], hand.joints_m]
            colors.append(np.hstack([shade * color, np.ones_like(shade)])[corners])
        return points, colors


class _Message:
    """A serialised MarkerArray with stamps, points and colours that can be written into it."""

    def __init__(self, *markers: Marker):
        """Serialise markers whose stamps, points and colours are the marks above."""
        self._data = data = bytearray(serialize_message(MarkerArray(markers=markers)))
        self._stamps, self._points, self._colors = [], [], []
        end = 0
        for marker in markers:
            for mark, count, kind, views in (
                (_STAMP_MARK, 1, "i4, u4", self._stamps),
                (_POINT_MARK, len(marker.points), "3f8", self._points),
                (_COLOR_MARK, len(marker.colors), "4f4", self._colors),
            ):
                if count:
                    start = data.index(mark, end)
                    views.append(np.frombuffer(data, kind, count, start))
                    end = start + count * len(mark)

    def filled(
        self, stamp: Time, points: Sequence[np.ndarray], colors: Sequence[np.ndarray]
    ) -> bytes:
        for view in self._stamps:
            view[0] = stamp.sec, stamp.nanosec
        for view, values in zip(self._points + self._colors, [*points, *colors], strict=True):
            view[:] = values
        return bytes(self._data)
