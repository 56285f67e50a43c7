"""Finds the networks that come with the package, wherever it was installed to."""

from __future__ import annotations

from pathlib import Path

from cmr_ros.files import share

PALM_DETECTION = "palm_detection.onnx"
HAND_DETECTION = "hand_detection.onnx"
HAND_NETWORK = "hand_mobile"


def find(name: str) -> Path:
    """Return the path of a file or folder of `weights/`; InputError if it is not there."""
    return share.find("weights", name)
