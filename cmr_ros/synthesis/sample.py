"""One training picture and its truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Probability that is trained for where a hand, or its side, is known: nothing is quite certain.
CERTAINTY = 0.99


@dataclass(frozen=True, eq=False)
class Sample:
    """A training picture and its truth, in the crop camera's frame."""

    picture: np.ndarray  # (s, s, 3) uint8 RGB
    vertices: np.ndarray  # (V, 3) float32 of the template, metres
    joints: np.ndarray  # (21, 3) float32 metres
    matrix: np.ndarray  # (3, 3) of the crop camera
    mask: np.ndarray  # (s, s) bool, the hand where it is seen
    visible: np.ndarray  # (21,) bool, joints neither hidden nor outside the picture
    #: (21,) float32 in [0, 1]: how far to trust each joint; a label's, since renders are true
    weights: np.ndarray | None = None
    #: (21, 2) float32 pixels, where joints are seen if that is not where `joints` project to
    joints_px: np.ndarray | None = None
    #: Probability in [0, 1] that a hand is in the crop; None: what the network says of it is kept
    presence: float | None = None


def without_truth(
    picture: np.ndarray,
    matrix: np.ndarray,
    vertices_m: np.ndarray,
    joints_m: np.ndarray,
    presence: float | None = None,
) -> Sample:
    """Return a crop of which only `presence` is known: all other truth counts for nothing.

    Args:
        picture: (s, s, 3) uint8 RGB.
        matrix: (3, 3) of the crop camera.
        vertices_m: (V, 3) of some hand before the camera; it is not in the crop.
        joints_m: (21, 3) of that hand.
        presence: see `Sample`.
    """
    return Sample(
        picture=picture,
        vertices=vertices_m.astype(np.float32),
        joints=joints_m.astype(np.float32),
        matrix=matrix,
        mask=np.zeros(picture.shape[:2], bool),
        visible=np.zeros(len(joints_m), bool),
        weights=np.zeros(len(joints_m), np.float32),
        presence=presence,
    )
