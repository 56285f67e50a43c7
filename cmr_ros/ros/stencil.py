"""Serialised messages in which numbers are left open, to be written into them for every image.

To serialise a message of many points or poses from Python's objects takes milliseconds, and most
of it is the same from image to image.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, Vector3
from rclpy.serialization import serialize_message
from std_msgs.msg import ColorRGBA, Header

#: What a message has where numbers go: a stamp, up to ten doubles in a row, a colour.
_STAMP = struct.pack("=iI", -0x5EED1234, 0x5EED5678)
_DOUBLES = [-1.25e-123 * (1 + number / 16) for number in range(10)]
_CHANNELS = 0.015625, 0.03125, 0.0625, 1.0

#: Kinds of openings, and what each holds: x y z; x y z and x y z w; the same and a size; r g b a.
XYZ, POSE, SIZED_POSE, RGBA = "3f8", "7f8", "10f8", "4f4"
_MARKS = {
    **{
        kind: struct.pack(f"={length}d", *_DOUBLES[:length])
        for kind, length in ((XYZ, 3), (POSE, 7), (SIZED_POSE, 10))
    },
    RGBA: struct.pack("=4f", *_CHANNELS),
}


class Stencil:
    """A serialised message with stamps and numbers that can be written into it."""

    def __init__(self, message: Any, openings: Sequence[tuple[str, int]]):
        """Serialise a message.

        Args:
            message: its stamps are all those of `open_header`.
            openings: kinds of numbers left open, as the functions below make them, and how many
                there are in a row; in the message's order.
        """
        self._data = data = bytearray(serialize_message(message))
        self._openings, self._stamps = [], []
        start = data.find(_STAMP)
        while start >= 0:
            self._stamps.append(np.frombuffer(data, "i4, u4", 1, start))
            start = data.find(_STAMP, start + len(_STAMP))
        end = 0
        for kind, count in openings:
            start = data.index(_MARKS[kind], end)
            self._openings.append(np.frombuffer(data, kind, count, start))
            end = start + count * len(_MARKS[kind])

    def filled(self, stamp: Time, values: Sequence[np.ndarray]) -> bytes:
        """Return the message with a stamp, and values (count, n) for each opening."""
        for view in self._stamps:
            view[0] = stamp.sec, stamp.nanosec
        for view, numbers in zip(self._openings, values, strict=True):
            view[:] = numbers
        return bytes(self._data)


def open_header(frame_id: str) -> Header:
    """Return a header whose stamp is left open."""
    sec, nanosec = struct.unpack("=iI", _STAMP)
    return Header(frame_id=frame_id, stamp=Time(sec=sec, nanosec=nanosec))


def open_point() -> Point:
    """Return a point for an opening of the kind XYZ."""
    return Point(**dict(zip("xyz", _DOUBLES, strict=False)))


def open_color() -> ColorRGBA:
    """Return a colour for an opening of the kind RGBA."""
    return ColorRGBA(**dict(zip("rgba", _CHANNELS, strict=True)))


def open_pose() -> Pose:
    """Return a pose for an opening of the kind POSE or SIZED_POSE."""
    return Pose(position=open_point(), orientation=_open_turn())


def open_transform() -> Transform:
    """Return a transform for an opening of the kind POSE."""
    return Transform(translation=_open_vector(0), rotation=_open_turn())


def open_size() -> Vector3:
    """Return a vector that follows a pose, for an opening of the kind SIZED_POSE."""
    return _open_vector(7)


def _open_vector(first: int) -> Vector3:
    return Vector3(**dict(zip("xyz", _DOUBLES[first:], strict=False)))


def _open_turn() -> Quaternion:
    return Quaternion(**dict(zip("xyzw", _DOUBLES[3:], strict=False)))
