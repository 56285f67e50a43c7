"""Registration cases: hands with network-like errors, their cues and their true roots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.untrusted import read_npz
from cmr_ros.hand import Cues

#: What is wrong with the cues of each kind of case.
KINDS = (
    "1 px noise",
    "2 px noise",
    "4 px noise",
    "4 gross outliers",
    "8 joints unseen",
    "eroded silhouette",
)
SIZE_PX = 224
_FIELDS = ("verts", "uv", "conf", "K", "mask", "t_true", "kind", "joint_regressor", "faces")


@dataclass(frozen=True, eq=False)
class Cases:
    """N hands to register and the truth."""

    vertices_m: np.ndarray  # (N, V, 3) root-relative, with errors
    joints_m: np.ndarray  # (N, 21, 3) root-relative, with errors
    seen_px: np.ndarray  # (N, 21, 2) joints in crop pixels
    confidence: np.ndarray  # (N, 21) in [0, 1]
    silhouettes: np.ndarray  # (N, 224, 224) bool
    matrices: np.ndarray  # (N, 3, 3) of the crops' cameras
    roots_m: np.ndarray  # (N, 3) true
    kinds: np.ndarray  # (N,) index of `KINDS`
    joint_regressor: np.ndarray  # (21, V)
    faces: np.ndarray  # (F, 3)
    published_m: np.ndarray | None = None  # (N, 3) answers of the published registration

    def __len__(self) -> int:
        return len(self.roots_m)

    def cues(self, index: int) -> Cues:
        """Return the cues of one case; they come without heatmap spreads."""
        return Cues(self.seen_px[index], self.confidence[index], None, self.silhouettes[index])


def load_cases(path: str | Path) -> Cases:
    """Return the cases of an .npz file laid out like the golden registration cases."""
    arrays = read_npz(path, "give a file like the golden registration cases")
    if missing := [name for name in _FIELDS if name not in arrays]:
        raise InputError(f"{path}: not a file of cases, {', '.join(missing)} missing")
    count = len(arrays["t_true"])
    vertex_count = arrays["joint_regressor"].shape[-1]
    shapes = {
        "verts": (count, vertex_count, 3), "uv": (count, 21, 2), "conf": (count, 21),
        "K": (count, 3, 3), "mask": (count, SIZE_PX, SIZE_PX // 8), "t_true": (count, 3),
        "t_published": (count, 3), "kind": (count,), "joint_regressor": (21, vertex_count),
    }  # fmt: skip
    for name, shape in shapes.items():
        if name in arrays and arrays[name].shape != shape:
            raise InputError(f"{path}: {name} is {arrays[name].shape}, expected {shape}")
    vertices = arrays["verts"].astype(np.float64)
    regressor = arrays["joint_regressor"].astype(np.float64)
    published = arrays.get("t_published")
    return Cases(
        vertices,
        regressor @ vertices,
        arrays["uv"].astype(np.float64),
        arrays["conf"].astype(np.float64),
        np.unpackbits(arrays["mask"], axis=-1).astype(bool),
        arrays["K"].astype(np.float64),
        arrays["t_true"].astype(np.float64),
        arrays["kind"],
        regressor,
        arrays["faces"],
        None if published is None else published.astype(np.float64),
    )
