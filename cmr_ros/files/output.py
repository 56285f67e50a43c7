"""Writes files in one piece, and over none that is something else."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.untrusted import open_regular

#: JSON and ONNX: what follows the first byte differs from one such file to the next.
_SHORT_STARTS = (b"{", b"[", b"\x08")


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


def write_glb(
    path: Path | str, vertices_m: np.ndarray, faces: np.ndarray, color: tuple[int, int, int]
) -> None:
    """Write a mesh as binary glTF, which has y upwards and the viewer in front (package `trimesh`).

    Args:
        path: of the file.
        vertices_m: (V, 3) metres in a camera's optical frame.
        faces: (F, 3).
        color: RGB, 0 to 255.

    Raises:
        InputError: without trimesh, or where writing is not possible.

    """
    try:
        import trimesh
    except ModuleNotFoundError as error:
        raise InputError(
            "writing GLB needs the Python package 'trimesh': pip install 'cmr_ros[infer]'"
        ) from error
    material = trimesh.visual.material.PBRMaterial(
        baseColorFactor=[*color, 255], metallicFactor=0.0, roughnessFactor=0.6
    )
    upright = np.asarray(vertices_m, np.float32) * np.float32([1, -1, -1])
    mesh = trimesh.Trimesh(upright, faces, process=False)
    mesh.visual = trimesh.visual.TextureVisuals(material=material)
    write_bytes(path, mesh.export(file_type="glb", include_normals=True))


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a file in one piece, making its folder.

    A file that exists is replaced if it begins as this one does, so that a photograph, a note or a
    network named by mistake is not lost.  Raises InputError where writing is not possible.
    """
    path = Path(path)
    check_replaceable(path, data[:1] if data[:1] in _SHORT_STARTS else data[:4])
    partial = path.with_name(f".{path.name[:100]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); name another") from None


def write_npz(path: Path | str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as a compressed .npz, as `write_bytes` does."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_bytes(path, content.getvalue())


def check_replaceable(path: Path, start: bytes, offset: int = 0) -> None:
    """Raise InputError for a file that exists, but not as one with these bytes at its start."""
    try:
        if not os.path.lexists(path):
            return
        with open_regular(path, "remove it or name another", max_bytes=sys.maxsize) as file:
            found = file.read(offset + len(start))[offset:]
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); name another") from None
    if found and found != start:
        raise InputError(
            f"{path}: exists and is of another kind than what is to be written; remove it or name "
            "another"
        )
