"""What `cmr benchmark detection` shows to the pipeline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Case:
    """An image and its true hands."""

    kind: str
    picture: np.ndarray  # (height, width, 3) uint8 RGB
    hands: tuple[np.ndarray, ...]  # pixels of the joints (21, 2), or of the box's corners (2, 2)
