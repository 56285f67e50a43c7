"""Writes files: bytes and meshes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError


def write_ply(path: Path | str, vertices_m: np.ndarray, faces: np.ndarray) -> None:
    """Write a mesh, vertices (V, 3) in metres and faces (F, 3), as binary PLY."""
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        f"element vertex {len(vertices_m)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = np.empty(len(faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, faces
    points = np.ascontiguousarray(vertices_m, dtype="<f4")
    write_bytes(path, header.encode() + points.tobytes() + rows.tobytes())


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a file, making its folder; raises InputError where that is not possible."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
