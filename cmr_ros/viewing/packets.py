"""What the page in the browser is sent: one binary message per image.

A message is the length of its head (uint32, little-endian), the head (JSON), a JPEG of the length
that the head gives, and numbers of four bytes: triangles (uint32), or the vertices of
each hand in metres (float32).  Head and JPEG are filled up to multiples of four bytes.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import cv2
import numpy as np

from cmr_ros.files.playback import FoundHand
from cmr_ros.hand import Hand
from cmr_ros.viewing.drawing import MESH_COLORS
from cmr_ros.viewing.shown import ShownImage, depth_sigma_m

#: Wider images are scaled down.
_MAX_WIDTH_PX = 1280
_JPEG_QUALITY = 80


def of_faces(faces: np.ndarray) -> bytes:
    """Return what a viewer is sent before the first image: a right hand's triangles (F, 3)."""
    return _packet({"faces": len(faces)}, b"", np.ascontiguousarray(faces, "<u4").tobytes())


def of_image(image: ShownImage, rate_hz: float, note: str) -> bytes:
    """Return an image, scaled down where it is large, and its hands.

    Args:
        image: to show.
        rate_hz: images processed per second.
        note: a line about what is shown.
    """
    height, width = image.picture.shape[:2]
    shown = cv2.cvtColor(image.picture, cv2.COLOR_RGB2BGR)
    if width > _MAX_WIDTH_PX:
        size = _MAX_WIDTH_PX, max(round(height * _MAX_WIDTH_PX / width), 1)
        shown = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
    jpeg = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    head = {
        "size": [width, height],
        "rate_hz": rate_hz,
        "note": note,
        "hands": [_entry(hand) for hand in image.hands],
    }
    meshes = [np.ascontiguousarray(hand.vertices_m, "<f4").tobytes() for hand in image.hands]
    return _packet(head, jpeg, b"".join(meshes))


def _entry(hand: Hand | FoundHand) -> dict[str, Any]:
    return {
        "id": hand.track_id,
        "side": hand.handedness.name.lower(),
        "score": round(float(hand.score), 3),
        "depth_m": round(float(hand.joints_m[0, 2]), 4),
        "sigma_m": round(depth_sigma_m(hand), 4),
        "color": MESH_COLORS[hand.handedness],
    }


def _packet(head: dict[str, Any], jpeg: bytes, numbers: bytes) -> bytes:
    text = json.dumps({**head, "jpeg": len(jpeg)}, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + jpeg + bytes(-len(jpeg) % 4) + numbers
