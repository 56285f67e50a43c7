"""Templates and weights made by rules, for tests of the networks."""

import json
import zlib
from functools import lru_cache

import numpy as np
import pytest
import torch

from cmr_ros.hand_model.spirals import spirals
from cmr_ros.model.template import HandTemplate
from support.shared import SHARED

REFERENCE = SHARED / "golden" / "cmr_reference.npz"
needs_reference = pytest.mark.skipif(
    not REFERENCE.exists(), reason=f"the reference data {REFERENCE} is not here"
)
_PARTS = ("row", "col", "val")


@lru_cache(maxsize=1)
def reference() -> dict[str, np.ndarray]:
    with np.load(REFERENCE) as data:
        return dict(data)


@lru_cache(maxsize=1)
def reference_shapes() -> dict[str, dict[str, tuple]]:
    with open(REFERENCE.with_name("cmr_state_dict_keys.json")) as file:
        return {
            variant: {key: tuple(shape) for key, shape in shapes.items()}
            for variant, shapes in json.load(file).items()
        }


def reference_template(joint_count=21) -> HandTemplate:
    """The reference's egg; its down-sampling, which the reference lacks, takes nearest vertices."""
    data = {key.removeprefix("template/"): value for key, value in reference().items()}
    vertices = tuple(data[f"vertices{level}"] for level in range(5))
    return HandTemplate(
        name="egg",
        vertices=vertices,
        faces=tuple(data[f"faces{level}"] for level in range(5)),
        spirals=tuple(data[f"spiral{level}"] for level in range(4)),
        up=tuple(tuple(data[f"up{level}_{part}"] for part in _PARTS) for level in range(4)),
        down=tuple(
            _nearest(fine, coarse) for fine, coarse in zip(vertices, vertices[1:], strict=False)
        ),
        joint_regressor=np.eye(joint_count, len(vertices[0]), dtype=np.float32),
    )


def sphere_template(joint_count=21) -> HandTemplate:
    """An octahedron cut up four times: 6, 18, 66, 258, 1026 vertices, coarse ones come first."""
    corners = np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32)
    faces = np.array([[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2]])
    faces = np.concatenate([faces, np.where(faces == 2, 5, faces)[:, ::-1]])
    levels, ups = [(corners, faces)], []
    for _ in range(4):
        *level, up = _subdivided(*levels[0])
        levels.insert(0, tuple(level))
        ups.insert(0, up)
    vertices = tuple(0.1 * level[0] for level in levels)
    faces = tuple(level[1].astype(np.int32) for level in levels)
    return HandTemplate(
        name="sphere",
        vertices=vertices,
        faces=faces,
        spirals=tuple(
            spirals(face, len(vertex), 9).astype(np.int32)
            for face, vertex in zip(faces[:-1], vertices[:-1], strict=True)
        ),
        up=tuple(ups),
        down=tuple(
            _nearest(fine, coarse) for fine, coarse in zip(vertices, vertices[1:], strict=False)
        ),
        joint_regressor=np.eye(joint_count, len(vertices[0]), dtype=np.float32),
    )


def _nearest(fine, coarse):
    index = np.linalg.norm(coarse[:, None] - fine, axis=2).argmin(axis=1)
    count = len(coarse)
    return np.arange(count, dtype=np.int32), index.astype(np.int32), np.ones(count, np.float32)


def _subdivided(vertices, faces):
    """Each face in four; returns vertices, faces and the matrix that makes them of the old ones."""
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges, middle = np.unique(edges, axis=0, return_inverse=True)
    count = len(vertices)
    middle = middle.reshape(-1, 3) + count
    a, b, c = faces.T
    ab, bc, ca = middle.T
    faces = np.concatenate(
        [np.stack(face, 1) for face in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    )
    row = np.concatenate([np.arange(count), np.repeat(np.arange(len(edges)) + count, 2)])
    column = np.concatenate([np.arange(count), edges.ravel()])
    value = np.concatenate([np.ones(count), np.full(edges.size, 0.5)]).astype(np.float32)
    new = vertices[edges].mean(axis=1)
    new /= np.linalg.norm(new, axis=1, keepdims=True)
    up = row.astype(np.int32), column.astype(np.int32), value
    return np.concatenate([vertices, new]).astype(np.float32), faces, up


def rule_made_state(shapes: dict[str, tuple]) -> dict[str, torch.Tensor]:
    """The weights behind the reference, by the rules that come with it."""
    state = {}
    for key, shape in shapes.items():
        noise = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
        noise = np.asarray(noise, np.float32)
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(0)
            continue
        if key.endswith("gamma"):
            value = np.full(shape, 0.3)
        elif key.endswith("running_var"):
            value = 1 + 0.1 * abs(noise)
        elif key.endswith("running_mean"):
            value = 0.1 * noise
        elif len(shape) == 1:
            value = 1 + 0.1 * noise if key.endswith("weight") else 0.05 * noise
        else:
            value = noise * np.sqrt(1.6 / np.prod(shape[1:]))
        state[key] = torch.from_numpy(np.asarray(value, np.float32))
    return state
