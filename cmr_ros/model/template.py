"""The hand's mesh topology at five resolutions, and what maps between them.

Everything that depends on a template asks this object: nothing assumes a number of vertices, so
that MANO, a body, or any other mesh may take the hand's place.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.output import write_npz
from cmr_ros.files.untrusted import read_npz

#: A sparse matrix as row indices, column indices and values, each (nonzeros,).
Sparse = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class HandTemplate:
    """A closed triangle mesh, its coarser levels and its joints; metres, a right hand at rest.

    Raises InputError when the parts do not fit together.
    """

    name: str
    vertices: tuple[np.ndarray, ...]  # (V_i, 3) float32 per level, fine to coarse
    faces: tuple[np.ndarray, ...]  # (F_i, 3) int32 per level, counter-clockwise seen from outside
    spirals: tuple[np.ndarray, ...]  # (V_i, L) int32 for every level but the coarsest
    up: tuple[Sparse, ...]  # level i+1 -> level i
    down: tuple[Sparse, ...]  # level i -> level i+1
    joint_regressor: np.ndarray  # (J, V_0) float32, rows sum to 1

    def __post_init__(self) -> None:
        levels = len(self.vertices)
        if levels < 2 or len(self.faces) != levels:
            raise InputError(f"template {self.name!r}: needs at least two levels with faces each")
        if not len(self.spirals) == len(self.up) == len(self.down) == levels - 1:
            raise InputError(f"template {self.name!r}: needs spirals and maps for {levels} levels")
        if any(part.ndim == 0 for part in (*self.vertices, *self.faces, *self.spirals)):
            raise InputError(f"template {self.name!r}: holds single numbers instead of arrays")
        counts = [len(vertices) for vertices in self.vertices]
        for level, (vertices, faces) in enumerate(zip(self.vertices, self.faces, strict=True)):
            if vertices.shape != (counts[level], 3) or not _finite(vertices):
                raise InputError(f"template {self.name!r}: vertices{level} are not finite points")
            self._check_indices(f"faces{level}", faces, (len(faces), 3), counts[level])
        for level, spiral in enumerate(self.spirals):
            shape = (counts[level], self.spirals[0].shape[-1])
            self._check_indices(f"spiral{level}", spiral, shape, counts[level])
        for level, (fine, coarse) in enumerate(zip(counts, counts[1:], strict=False)):
            self._check_sparse(f"up{level}", self.up[level], fine, coarse)
            self._check_sparse(f"down{level}", self.down[level], coarse, fine)
        regressor = self.joint_regressor
        if regressor.shape != (*regressor.shape[:1], counts[0]) or not _finite(regressor):
            raise InputError(f"template {self.name!r}: joint_regressor is not (joints, vertices)")
        if not np.allclose(regressor.sum(axis=1), 1, atol=1e-3):
            raise InputError(f"template {self.name!r}: a row of joint_regressor does not sum to 1")

    def _check_indices(
        self, part: str, indices: np.ndarray, shape: tuple[int, ...], count: int
    ) -> None:
        if indices.shape != shape or indices.dtype.kind not in "iu":
            raise InputError(f"template {self.name!r}: {part} is not an index array {shape}")
        if indices.size and not 0 <= indices.min() <= indices.max() < count:
            raise InputError(f"template {self.name!r}: {part} names vertices beyond {count}")

    def _check_sparse(self, part: str, matrix: Sparse, rows: int, columns: int) -> None:
        row, column, value = matrix
        self._check_indices(f"{part}_row", row, (row.size,), rows)
        self._check_indices(f"{part}_col", column, (row.size,), columns)
        if value.shape != row.shape or not _finite(value):
            raise InputError(f"template {self.name!r}: {part}_val does not fit {part}_row")

    @classmethod
    def load(cls, path: Path | str) -> HandTemplate:
        """Read a template.npz; InputError when it is missing, damaged or incomplete."""
        arrays = read_npz(path, "`cmr template build` makes a template.npz")
        levels = sum(name.startswith("vertices") for name in arrays)
        try:
            return cls(
                name=str(arrays["name"]),
                vertices=tuple(arrays[f"vertices{i}"] for i in range(levels)),
                faces=tuple(arrays[f"faces{i}"] for i in range(levels)),
                spirals=tuple(arrays[f"spiral{i}"] for i in range(levels - 1)),
                up=tuple(_sparse(arrays, f"up{i}") for i in range(levels - 1)),
                down=tuple(_sparse(arrays, f"down{i}") for i in range(levels - 1)),
                joint_regressor=arrays["joint_regressor"],
            )
        except KeyError as error:
            raise InputError(
                f"{path}: the array {error} is missing; rebuild the template"
            ) from None
        except InputError as error:
            raise InputError(f"{path}: {error}; rebuild the template") from None

    def save(self, path: Path | str) -> None:
        """Write the template as a compressed .npz."""
        arrays: dict[str, Any] = {
            "name": np.array(self.name),
            "joint_regressor": self.joint_regressor,
        }
        for level, (vertices, faces) in enumerate(zip(self.vertices, self.faces, strict=True)):
            arrays |= {f"vertices{level}": vertices, f"faces{level}": faces}
        for level, spiral in enumerate(self.spirals):
            arrays[f"spiral{level}"] = spiral
            for name, matrix in (("up", self.up[level]), ("down", self.down[level])):
                arrays |= dict(
                    zip((f"{name}{level}_{part}" for part in _PARTS), matrix, strict=True)
                )
        write_npz(path, arrays)

    def joints(self, vertices: np.ndarray) -> np.ndarray:
        """Return the joints (..., J, 3) of meshes (..., V_0, 3), in the meshes' frame and unit."""
        return self.joint_regressor @ vertices


_PARTS = ("row", "col", "val")


def _finite(array: np.ndarray) -> bool:
    return array.dtype.kind == "f" and bool(np.isfinite(array).all())


def _sparse(arrays: dict[str, np.ndarray], name: str) -> Sparse:
    row, column, value = (arrays[f"{name}_{part}"] for part in _PARTS)
    return row, column, value
