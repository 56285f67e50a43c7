import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.hand_model.spirals import one_rings, spirals
from support.shared import SHARED

REFERENCE = SHARED / "golden" / "cmr_reference.npz"

TETRAHEDRON = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])


def grid(side: int) -> np.ndarray:
    """Triangles of a square sheet: a mesh with a border."""
    corner = np.arange(side * side).reshape(side, side)[:-1, :-1].reshape(-1, 1)
    return np.concatenate([corner + [0, 1, side], corner + [1, side + 1, side]])


@pytest.mark.skipif(not REFERENCE.exists(), reason=f"the reference data {REFERENCE} is not here")
@pytest.mark.parametrize("level", range(4))
def test_published_order(level):
    with np.load(REFERENCE) as data:
        faces, expected = data[f"template/faces{level}"], data[f"template/spiral{level}"]
    assert np.array_equal(spirals(faces, len(expected), 27), expected)


@pytest.mark.parametrize("seed", range(5))
def test_faces_may_come_in_any_order(seed):
    """Shuffled faces make separate patches that have to be joined; rings stay whole."""
    faces = np.random.default_rng(seed).permutation(grid(6))
    neighbours = [set() for _ in range(36)]
    for face in faces:
        for vertex in face:
            neighbours[vertex] |= set(face) - {vertex}
    for ring, expected in zip(one_rings(faces, 36), neighbours, strict=True):
        assert len(ring) == len(expected) and set(ring) == expected


def test_rings_run_clockwise_from_the_border():
    # Vertex 5 of a 4x4 sheet lies inside; counter-clockwise faces give clockwise rings.
    ring = one_rings(grid(4), 16)[5]
    start = ring.index(1)
    assert ring[start:] + ring[:start] == [1, 4, 8, 9, 6, 2]
    # On the border the ring starts at one border edge and ends at the other.
    assert one_rings(grid(4), 16)[1][0] in (0, 2) and one_rings(grid(4), 16)[1][-1] in (0, 2)


def test_spirals_start_at_their_vertex_and_repeat_nothing():
    order = spirals(grid(8), 64, 27)
    assert np.array_equal(order[:, 0], np.arange(64))
    assert all(len(set(row)) == 27 for row in order.tolist())


def test_too_small_a_mesh():
    with pytest.raises(InputError, match="fewer than the spiral length 27"):
        spirals(TETRAHEDRON, 4, 27)


@pytest.mark.parametrize(
    "faces", [np.vstack([TETRAHEDRON, [[0, 1, 4]]]), np.array([[0, 1, 2], [0, 1, 3]])]
)
def test_not_a_manifold(faces):
    with pytest.raises(InputError, match="manifold"):
        spirals(faces, 5, 3)
