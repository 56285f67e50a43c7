"""What the page in the browser is sent: one binary message per image.

A message is the length of its head (uint32, little-endian), the head (JSON), a JPEG of the length
that the head gives, and numbers of four bytes: a greeting's triangles (uint32), or the vertices of
each hand in metres (float32).  Head and JPEG are filled up to multiples of four bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, Protocol

import cv2
import numpy as np

from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.viewing.drawing import MESH_COLORS

_JPEG_QUALITY = 80


class ShownHand(Protocol):
    """What is shown of a hand; `cmr_ros.hand.Hand` is one."""

    track_id: int
    handedness: Handedness
    score: float
    joints_m: np.ndarray  # (21, 3)
    vertices_m: np.ndarray  # (V, 3)
    root_covariance_m2: np.ndarray  # (3, 3)


def greeting(faces: np.ndarray, note: str) -> bytes:
    """Return what a viewer is sent first.

    Args:
        faces: (F, 3) of the template, a right hand.
        note: a line about what is shown.
    """
    numbers = np.ascontiguousarray(faces, "<u4").tobytes()
    return _packet({"faces": len(faces), "note": note}, b"", numbers)


def of_image(
    picture: np.ndarray, hands: Sequence[ShownHand], size: tuple[int, int], rate_hz: float
) -> bytes:
    """Return an image and its hands.

    Args:
        picture: (height, width, 3) uint8 RGB, as it is shown.
        hands: the image's.
        size: width and height of the camera's image.
        rate_hz: images processed per second.
    """
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    head = {"size": size, "rate_hz": rate_hz, "hands": [_entry(hand) for hand in hands]}
    meshes = b"".join(np.ascontiguousarray(hand.vertices_m, "<f4").tobytes() for hand in hands)
    return _packet(head, jpeg, meshes)


def _entry(hand: ShownHand) -> dict[str, Any]:
    return {
        "id": hand.track_id,
        "side": hand.handedness.name.lower(),
        "score": round(float(hand.score), 3),
        "depth_m": round(float(hand.joints_m[0, 2]), 4),
        "sigma_m": round(float(np.sqrt(hand.root_covariance_m2[2, 2])), 4),
        "color": MESH_COLORS[hand.handedness],
    }


def _packet(head: dict[str, Any], jpeg: bytes, numbers: bytes) -> bytes:
    text = json.dumps({**head, "jpeg": len(jpeg)}, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + jpeg + bytes(-len(jpeg) % 4) + numbers
