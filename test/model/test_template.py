import numpy as np
import pytest
import trimesh

from cmr_ros.errors import InputError
from cmr_ros.files.untrusted import read_npz
from cmr_ros.geometry.skeleton import TIPS
from cmr_ros.model.template import HandTemplate

hierarchy = pytest.importorskip("cmr_ros.hand_model.hierarchy", reason="needs trimesh")


@pytest.fixture(scope="module")
def egg() -> HandTemplate:
    sphere = trimesh.creation.icosphere(subdivisions=3, radius=0.05)
    vertices = sphere.vertices * [1, 1, 1.4]
    regressor = np.full((3, len(vertices)), 1 / len(vertices))
    return hierarchy.build_template("egg", vertices, sphere.faces, regressor)


def test_every_level_is_one_closed_surface_with_faces_outward(shipped_template):
    for vertices, faces in zip(shipped_template.vertices, shipped_template.faces, strict=True):
        mesh = trimesh.Trimesh(vertices, faces, process=False)
        assert mesh.is_watertight and mesh.is_winding_consistent
        assert mesh.euler_number == 2
        assert mesh.volume > 0
        assert len(np.unique(faces)) == len(vertices)


def test_each_level_has_half_the_vertices(shipped_template):
    counts = [len(vertices) for vertices in shipped_template.vertices]
    assert len(counts) == 5
    for fine, coarse in zip(counts, counts[1:], strict=False):
        assert coarse == (fine + 1) // 2


def test_coarse_vertices_are_fine_ones_and_up_sampling_keeps_them(shipped_template):
    for level, (fine, coarse) in enumerate(
        zip(shipped_template.vertices, shipped_template.vertices[1:], strict=False)
    ):
        row, column, value = shipped_template.down[level]
        down = np.zeros((len(coarse), len(fine)))
        down[row, column] = value
        assert np.array_equal(down @ fine, coarse)
        up = np.zeros((len(fine), len(coarse)))
        np.add.at(up, shipped_template.up[level][:2], shipped_template.up[level][2])
        assert np.allclose(up.sum(axis=1), 1, atol=1e-5)
        assert np.allclose(down @ up @ coarse, coarse, atol=1e-6)
        assert np.linalg.norm(up @ coarse - fine, axis=1).mean() < 0.003 * 2**level


def test_spirals_start_at_their_vertex_and_go_on_with_its_neighbours(shipped_template):
    for faces, spiral in zip(shipped_template.faces, shipped_template.spirals, strict=False):
        assert spiral.shape[1] == hierarchy.SPIRAL_LENGTH
        assert np.array_equal(spiral[:, 0], np.arange(len(spiral)))
        for vertex in (0, len(spiral) // 2, len(spiral) - 1):
            ring = set(np.unique(faces[(faces == vertex).any(axis=1)])) - {vertex}
            assert set(spiral[vertex, 1 : 1 + len(ring)].tolist()) == ring


def test_joints_lie_inside_the_hand_and_tips_on_its_skin(shipped_template):
    assert np.allclose(shipped_template.joint_regressor.sum(axis=1), 1, atol=1e-4)
    mesh = trimesh.Trimesh(shipped_template.vertices[0], shipped_template.faces[0], process=False)
    joints = shipped_template.joints(shipped_template.vertices[0])
    direction = np.array([0.13, 0.21, 0.97])
    origins = mesh.triangles
    tips = list(TIPS)
    to_skin = np.linalg.norm(joints[tips, None] - shipped_template.vertices[0], axis=2).min(axis=1)
    assert (to_skin < 0.003).all()
    for joint in np.delete(joints, tips, axis=0):
        # A ray from the inside leaves a closed surface an odd number of times.
        a, b, c = origins[:, 0] - joint, origins[:, 1] - joint, origins[:, 2] - joint
        signs = np.stack([np.cross(p, q) @ direction for p, q in ((a, b), (b, c), (c, a))])
        through = (signs > 0).all(axis=0) | (signs < 0).all(axis=0)
        normal = np.cross(b - a, c - a)
        ahead = (a * normal).sum(axis=1) / (normal @ direction) > 0
        assert np.count_nonzero(through & ahead) % 2 == 1


def test_template_survives_its_file(egg, tmp_path):
    egg.save(tmp_path / "template.npz")
    again = HandTemplate.load(tmp_path / "template.npz")
    assert again.name == "egg"
    assert all(np.array_equal(a, b) for a, b in zip(egg.faces, again.faces, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(egg.spirals, again.spirals, strict=True))


def test_open_meshes_are_refused():
    sphere = trimesh.creation.icosphere(subdivisions=2)
    regressor = np.full((1, len(sphere.vertices)), 1 / len(sphere.vertices))
    with pytest.raises(InputError, match="must be closed"):
        hierarchy.build_template("egg", sphere.vertices, sphere.faces[:-1], regressor)


@pytest.mark.parametrize("missing", ["name", "faces0", "spiral1", "up0_val", "joint_regressor"])
def test_files_without_an_array_are_refused(egg, tmp_path, missing):
    path = tmp_path / "template.npz"
    egg.save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != missing}
    np.savez(path, **arrays)
    with pytest.raises(InputError, match="template.npz"):
        HandTemplate.load(path)


def test_damaged_files_are_refused(egg, tmp_path):
    path = tmp_path / "template.npz"
    with pytest.raises(InputError, match="no such file"):
        HandTemplate.load(path)
    egg.save(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match="not a readable .npz.*template.npz"):
        HandTemplate.load(path)
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="a single array, not an .npz.*template.npz"):
        HandTemplate.load(tmp_path / "x.npy")


def test_archives_that_unpack_to_far_more_than_themselves_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("cmr_ros.files.untrusted.MAX_BYTES", 1 << 16)
    np.savez_compressed(tmp_path / "bomb.npz", zeros=np.zeros(1 << 16))
    with pytest.raises(InputError, match="unpacks to over.*render it again"):
        read_npz(tmp_path / "bomb.npz", "render it again")
    np.savez(tmp_path / "large.npz", zeros=np.zeros(1 << 16))
    assert len(read_npz(tmp_path / "large.npz", "render it again")["zeros"]) == 1 << 16


def test_indices_beyond_the_mesh_are_refused(egg):
    faces = (egg.faces[0] + 1, *egg.faces[1:])
    with pytest.raises(InputError, match="faces0 names vertices beyond"):
        HandTemplate("egg", egg.vertices, faces, egg.spirals, egg.up, egg.down, egg.joint_regressor)
