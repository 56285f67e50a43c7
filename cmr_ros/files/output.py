"""Writes files in one piece, and over none that is something else."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.untrusted import open_regular
from cmr_ros.geometry.mesh import vertex_normals

#: What .npz and other archives begin with.
NPZ_START = b"PK\x03\x04"
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
        faces: (F, 3), counter-clockwise seen from outside.
        color: RGB, 0 to 255.

    Raises:
        InputError: without trimesh, or where writing is not possible.

    """
    try:
        import trimesh
    except ModuleNotFoundError as error:
        raise InputError(
            "writing GLB needs the Python package 'trimesh': pip install trimesh"
        ) from error
    material = trimesh.visual.material.PBRMaterial(
        baseColorFactor=[*color, 255], metallicFactor=0.0, roughnessFactor=0.6
    )
    upright = np.asarray(vertices_m, np.float32) * np.float32([1, -1, -1])
    # Its own normals would take SciPy.
    normals = vertex_normals(upright, faces)
    mesh = trimesh.Trimesh(upright, faces, vertex_normals=normals, process=False)
    mesh.visual = trimesh.visual.TextureVisuals(material=material)
    write_bytes(path, mesh.export(file_type="glb", include_normals=True))


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a file in one piece, making its folder.

    A file that exists is replaced if it begins as this one does, so that a photograph, a note or a
    network named by mistake is not lost.  Raises InputError where writing is not possible.
    """
    file = PendingFile(path, data[:1] if data[:1] in _SHORT_STARTS else data[:4])
    with file.writing():
        file.partial.write_bytes(data)
    file.finish()


def write_npz(path: Path | str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as a compressed .npz, as `write_bytes` does."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_bytes(path, content.getvalue())


class PendingFile:
    """A file in the making: written beside its place, and moved there when it is whole.

    partial: where to write until then.
    """

    def __init__(self, path: Path | str, start: bytes, offset: int = 0):
        """Take a place for a file, making its folder.

        Args:
            path: of the file; one that exists is replaced if it is of the same kind.
            start: how files of this kind begin.
            offset: of these bytes in the file.

        Raises:
            InputError: for a file of another kind, or a place where none can be.
        """
        self.path = Path(path)
        check_replaceable(self.path, start, offset)
        self.partial = self.path.with_name(f".{self.path.name[:100]}.part{self.path.suffix}")
        self._is_lost = False
        with self.writing():
            self.path.parent.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Where writing fails inside, as on a full disk, leave no half file; raise InputError."""
        try:
            yield
        except OSError as error:
            self.abandon()
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror}); name another"
            ) from None

    def finish(self) -> None:
        """Move the file to its place, unless writing has failed."""
        if self._is_lost:
            self.abandon()
            return
        with self.writing():
            os.replace(self.partial, self.path)

    def abandon(self) -> None:
        """Remove what is written so far."""
        self._is_lost = True
        with suppress(OSError):
            self.partial.unlink()


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
