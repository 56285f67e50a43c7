"""Reads the template that released checkpoints belong to: published files and MANO."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.pickles import Sparse, array, read_pickle
from cmr_ros.files.untrusted import open_regular, read_npy, reading
from cmr_ros.hand_model.spirals import spirals
from cmr_ros.model.template import HandTemplate
from cmr_ros.model.template import Sparse as Matrix

_SPIRAL_LENGTH = 27
#: MANO's finger tips are vertices; they follow its 16 joints, then all take this package's order.
_MANO_TIPS = (745, 317, 444, 556, 673)
_MANO_ORDER = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)


def read_template(path: Path | str, mano: Path | str | None = None) -> HandTemplate:
    """Return the template of a folder with the published `template.ply` and `transform.pkl`.

    path: that folder, or a template.npz of this package.  mano: MANO_RIGHT.pkl, whose joint
    regressor is taken; for other templates the folder holds `joint_regressor.npy` (J, V).  Without
    transform.pkl the mesh is closed and its levels are built from it; a released checkpoint was
    trained on the published ones and is less accurate on others.

    Raises InputError for files that are missing, damaged, refused or do not belong together.
    """
    folder = Path(path)
    if folder.is_file():
        return HandTemplate.load(folder)
    name = "mano_right" if mano is not None else folder.resolve().name
    if not has_levels(folder):
        from cmr_ros.hand_model.hierarchy import build_template

        vertices, faces = _read_ply(folder / "template.ply")
        regressor = _joint_regressor(folder, mano, len(vertices))
        return build_template(name, vertices, closed(faces), regressor)
    vertices, faces, up, down = _read_levels(folder / "transform.pkl")
    return HandTemplate(
        name=name,
        vertices=vertices,
        faces=faces,
        spirals=tuple(
            spirals(face, len(vertex), _SPIRAL_LENGTH).astype(np.int32)
            for vertex, face in zip(vertices[:-1], faces[:-1], strict=True)
        ),
        up=up,
        down=down,
        joint_regressor=_joint_regressor(folder, mano, len(vertices[0])),
    )


def has_levels(path: Path | str) -> bool:
    """Return whether the levels that released checkpoints were trained on are there."""
    return Path(path).is_file() or (Path(path) / "transform.pkl").is_file()


def closed(faces: np.ndarray) -> np.ndarray:
    """Return faces (F, 3) of an oriented mesh with a fan of triangles over each of its borders."""
    edges = faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    inner = set(map(tuple, edges.tolist()))
    # A border is walked against its faces, so that the fan's triangles turn their way.
    following = {b: a for a, b in inner if (b, a) not in inner}
    fans = []
    while following:
        hub, vertex = following.popitem()
        while vertex in following and following[vertex] != hub:
            start, vertex = vertex, following.pop(vertex)
            fans.append((hub, start, vertex))
        following.pop(vertex, None)
    return np.concatenate([faces, np.array(fans, faces.dtype).reshape(-1, 3)])


def _read_levels(
    path: Path,
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...], tuple[Matrix, ...], tuple[Matrix, ...]]:
    """Return vertices, faces, up- and down-sampling of all levels of `transform.pkl`."""
    content = read_pickle(path)
    names = ("vertices", "face", "up_transform", "down_transform")
    missing = [name for name in names if name not in content]
    if missing:
        raise InputError(f"{path}: entry {missing[0]!r} is missing; expected the published file")
    try:
        vertices = tuple(array(level).astype(np.float32) for level in content["vertices"])
        faces = tuple(
            _faces(array(level), len(points))
            for level, points in zip(content["face"], vertices, strict=True)
        )
        up, down = (tuple(map(_triplets, content[name])) for name in names[2:])
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        raise InputError(f"{path}: damaged ({error!r}); expected the published file") from None
    return vertices, faces, up, down


def _faces(corners: np.ndarray, vertex_count: int) -> np.ndarray:
    """Return faces (F, 3); ValueError for what is none, which the spirals could not walk."""
    if corners.ndim != 2 or corners.shape[1] != 3 or not corners.size:
        raise ValueError(f"faces {corners.shape}")
    if not 0 <= corners.min() <= corners.max() < vertex_count:
        raise ValueError(f"faces beyond {vertex_count} vertices")
    return corners.astype(np.int32)


def _triplets(matrix: Sparse) -> Matrix:
    row, column, value = matrix.triplets()
    return row.astype(np.int32), column.astype(np.int32), value.astype(np.float32)


def _read_ply(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return vertices (V, 3) and faces (F, 3) in the order of the file."""
    import trimesh

    remedy = "expected the published template"
    with open_regular(path, remedy) as file, reading(path, "PLY file", remedy):
        mesh = trimesh.load(file, file_type="ply", force="mesh", process=False)
    if len(mesh.faces) == 0:
        raise InputError(f"{path}: holds no mesh")
    return np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32)


def _joint_regressor(folder: Path, mano: Path | str | None, vertex_count: int) -> np.ndarray:
    """Return the matrix (J, V) that makes joints of vertices."""
    if mano is not None:
        return _mano_joint_regressor(Path(mano), vertex_count)
    path = folder / "joint_regressor.npy"
    remedy = "give --mano MANO_RIGHT.pkl instead"
    regressor = read_npy(path, remedy)
    if regressor.dtype.kind != "f" or regressor.shape != (*regressor.shape[:1], vertex_count):
        raise InputError(f"{path}: {regressor.dtype} {regressor.shape} is no regressor; {remedy}")
    return regressor.astype(np.float32)


def _mano_joint_regressor(path: Path, vertex_count: int) -> np.ndarray:
    content = read_pickle(path)
    try:
        joints = array(content["J_regressor"]).astype(np.float32)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(f"{path}: no readable J_regressor ({error!r}); is it MANO?") from None
    if joints.shape != (16, vertex_count):
        raise InputError(
            f"{path}: its J_regressor has the shape {joints.shape}, this template needs "
            f"(16, {vertex_count}); MANO's template has 778 vertices"
        )
    tips = np.zeros((len(_MANO_TIPS), vertex_count), np.float32)
    tips[range(len(_MANO_TIPS)), _MANO_TIPS] = 1
    return np.concatenate([joints, tips])[list(_MANO_ORDER)]
