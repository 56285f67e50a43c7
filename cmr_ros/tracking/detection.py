"""What a detector tells of a hand."""

from __future__ import annotations

from dataclasses import dataclass

from cmr_ros.geometry.crop import Region


@dataclass(frozen=True)
class Detection:
    """A place in an image that seems to show a hand."""

    region: Region  # that holds the hand
    score: float  # in [0, 1]; ranks detections, and is no probability
