"""One training picture and its truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Sample:
    """A training picture and its truth, in the crop camera's frame.

    picture: (s, s, 3) uint8 RGB.  vertices: (V, 3) float32 of the template, metres.  joints:
    (21, 3) float32 metres.  matrix: (3, 3) of the crop camera.  mask: (s, s) bool, the hand where
    it is seen.  visible: (21,) bool, joints that are neither hidden nor outside the picture.
    """

    picture: np.ndarray
    vertices: np.ndarray
    joints: np.ndarray
    matrix: np.ndarray
    mask: np.ndarray
    visible: np.ndarray
