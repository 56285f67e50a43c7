"""Released files: checkpoints, the published template, MANO; and files that only claim to be."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from cmr_ros.cli import main
from cmr_ros.errors import InputError
from cmr_ros.files.pickles import array, read_pickle
from cmr_ros.hand_model.published import closed, read_template
from cmr_ros.hand_model.spirals import spirals
from cmr_ros.model.inference import load_network
from cmr_ros.network.build import build
from cmr_ros.network.config import preset
from cmr_ros.network.published import load_published, published_state
from support.networks import (
    needs_reference,
    reference,
    reference_shapes,
    reference_template,
    rule_made_state,
    sphere_template,
)

scipy_sparse = pytest.importorskip("scipy.sparse")


class Malicious:
    """Runs code when it is unpickled, if it is let."""

    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return exec, (f"open({str(self.witness)!r}, 'w')",)


@pytest.fixture(scope="module")
def template():
    """Long spirals, as the published ones; the coarsest level alone has fewer vertices."""
    sphere = sphere_template()
    return replace(
        sphere,
        vertices=sphere.vertices[:3],
        faces=sphere.faces[:3],
        spirals=tuple(
            spirals(faces, len(vertices), 27).astype(np.int32)
            for faces, vertices in zip(sphere.faces[:2], sphere.vertices[:2], strict=True)
        ),
        up=sphere.up[:2],
        down=sphere.down[:2],
    )


def pickled_levels(template, kind="csc"):
    def matrices(triplets, shapes):
        return [
            scipy_sparse.coo_matrix((value, (row, column)), shape).asformat(kind)
            for (row, column, value), shape in zip(triplets, shapes, strict=True)
        ]

    counts = [len(vertices) for vertices in template.vertices]
    steps = list(zip(counts[:-1], counts[1:], strict=True))
    return {
        "vertices": [vertices.astype(np.float64) for vertices in template.vertices],
        "face": list(template.faces),
        "adj": [scipy_sparse.eye(3).tocsc()],
        "up_transform": matrices(template.up, steps),
        "down_transform": matrices(template.down, [(b, a) for a, b in steps]),
    }


def write_template(folder, template, kind="csc"):
    folder.mkdir(exist_ok=True)
    (folder / "transform.pkl").write_bytes(pickle.dumps(pickled_levels(template, kind), 2))
    np.save(folder / "joint_regressor.npy", template.joint_regressor)
    return folder


@pytest.mark.parametrize("kind", ["csc", "csr", "coo"])
def test_published_template(template, tmp_path, kind):
    read = read_template(write_template(tmp_path / "sphere", template, kind))
    assert read.name == "sphere"
    for name in ("vertices", "faces", "spirals"):
        for own, expected in zip(getattr(read, name), getattr(template, name), strict=True):
            np.testing.assert_array_equal(own, expected)
    for own, expected in zip(read.up + read.down, template.up + template.down, strict=True):
        own, expected = (
            scipy_sparse.coo_matrix((value, (row, column))).toarray()
            for row, column, value in (own, expected)
        )
        np.testing.assert_allclose(own, expected)


def test_levels_are_built_anew_where_the_published_ones_are_absent(tmp_path):
    sphere = sphere_template()
    # Open at one end, as MANO is at the wrist.
    kept = (sphere.vertices[0][sphere.faces[0]][..., 2] > -0.08).all(axis=1)
    used, faces = np.unique(sphere.faces[0][kept], return_inverse=True)
    mesh = trimesh.Trimesh(sphere.vertices[0][used], faces.reshape(-1, 3), process=False)
    assert not mesh.is_watertight
    mesh.export(tmp_path / "template.ply")
    np.save(tmp_path / "joint_regressor.npy", np.eye(21, len(used)))
    template = read_template(tmp_path)
    np.testing.assert_allclose(template.vertices[0], sphere.vertices[0][used], atol=1e-6)
    assert trimesh.Trimesh(template.vertices[0], template.faces[0], process=False).is_watertight
    assert len(template.vertices) == 5 and template.spirals[0].shape[1] == 27


def test_closing_turns_new_faces_as_the_old_ones():
    tetrahedron = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
    added = closed(tetrahedron[:3])[3:]
    assert len(added) == 1 and sorted(added[0]) == [1, 2, 3]
    assert tuple(np.roll(added[0], -list(added[0]).index(1))) == (1, 3, 2)
    assert len(closed(tetrahedron)) == 4


def strip(length: int) -> np.ndarray:
    """Triangles of a strip of 2 x length vertices."""
    a = np.arange(length - 1)[:, None]
    return np.concatenate([a + [0, 1, length], a + [1, length + 1, length]]).astype(np.int32)


def mano_folder(folder, template):
    """A template of MANO's size, and a MANO_RIGHT.pkl in which joint j is vertex 100 + j."""
    levels = pickled_levels(template)
    levels["vertices"][0] = np.arange(3.0 * 778).reshape(778, 3)
    levels["face"][0] = strip(389)
    levels["up_transform"][0] = scipy_sparse.csc_matrix(np.eye(778, len(template.vertices[1])))
    levels["down_transform"][0] = scipy_sparse.csc_matrix(np.eye(len(template.vertices[1]), 778))
    (folder / "transform.pkl").write_bytes(pickle.dumps(levels, 2))
    regressor = scipy_sparse.csc_matrix(np.eye(16, 778, 100))
    mano = folder / "MANO_RIGHT.pkl"
    mano.write_bytes(pickle.dumps({"J_regressor": regressor, "f": np.eye(3)}, 2))
    return mano


def test_mano_joints_take_this_packages_order(template, tmp_path):
    mano = mano_folder(tmp_path, template)
    read = read_template(tmp_path, mano)
    assert read.name == "mano_right"
    seen = read.joints(read.vertices[0])[:, 0] / 3
    # MANO: wrist, index, middle, little, ring, thumb, three joints each; tips are vertices.
    thumb, index, middle = [113, 114, 115, 745], [101, 102, 103, 317], [104, 105, 106, 444]
    ring, little = [110, 111, 112, 556], [107, 108, 109, 673]
    np.testing.assert_allclose(seen, [100, *thumb, *index, *middle, *ring, *little])


def test_objects_of_chumpy_are_stand_ins(tmp_path):
    """As MANO holds them: made without a constructor's arguments, the array in their state."""
    path = tmp_path / "chumpy.pkl"
    values = pickle.dumps(np.arange(3.0), 2)[2:-1]
    path.write_bytes(
        b"\x80\x02}U\x01v"
        b"ccopy_reg\n_reconstructor\ncchumpy.ch\nCh\nc__builtin__\nobject\nN\x87R"
        b"}U\x01x" + values + b"sbs."
    )
    np.testing.assert_array_equal(array(read_pickle(path)["v"]), [0, 1, 2])


SMALL = replace(preset("g_resnet18"), decoder=replace(preset("g_resnet18").decoder, widths=(8, 8)))


@pytest.fixture(scope="module")
def state(template):
    torch.manual_seed(0)
    return published_state(build(SMALL, template))


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_released_file(template, state, tmp_path, wrapped, prefix):
    named = {prefix + key: value for key, value in state.items()}
    torch.save({"epoch": 3, "model_state_dict": named} if wrapped else named, tmp_path / "x.pt")
    loaded = published_state(load_published(tmp_path / "x.pt", SMALL, template))
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def without(state, key):
    return {name: value for name, value in state.items() if name != key}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: without(s, "uv_head.conv.bias"), "1 parameters missing, such as uv_head.conv"),
        (lambda s: s | {"extra.bias": torch.zeros(1)}, "1 parameters unexpected, such as extra"),
        (lambda s: s | {"uv_head.conv.bias": torch.zeros(3)}, "has the shape .3,., here it is"),
        (lambda s: s | {"uv_head.conv.bias": torch.full((21,), torch.nan)}, "not finite"),
        (lambda s: s | {"uv_head.conv.bias": 3}, "holds no model_state_dict"),
        (lambda s: {}, "holds no model_state_dict"),
        (lambda s: [1, 2], "holds no model_state_dict"),
    ],
)
def test_spoilt_checkpoints(template, state, tmp_path, spoil, message):
    torch.save(spoil(state), tmp_path / "x.pt")
    with pytest.raises(InputError, match=message):
        load_published(tmp_path / "x.pt", SMALL, template)


def test_checkpoint_of_another_variant(template, state, tmp_path):
    """The message names the variant that the file is of, whatever the template."""
    with torch.device("meta"):
        shapes = published_state(build(preset("g_resnet18"), sphere_template()))
    whole = {key: torch.zeros(value.shape, dtype=value.dtype) for key, value in shapes.items()}
    torch.save(whole, tmp_path / "x.pt")
    with pytest.raises(InputError, match="not of this variant.*; it is of g_resnet18"):
        load_published(tmp_path / "x.pt", preset("sg_resnet18"), sphere_template())


def test_checkpoint_for_another_template(template, state, tmp_path):
    torch.save(state, tmp_path / "x.pt")
    finer = replace(
        template, up=template.up[:1], down=template.down[:1], spirals=template.spirals[:1],
        vertices=template.vertices[:2], faces=template.faces[:2],
    )  # fmt: skip
    config = replace(SMALL, decoder=replace(SMALL.decoder, widths=(8,)))
    with pytest.raises(InputError, match="de_layers"):
        load_published(tmp_path / "x.pt", config, finer)


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_truncated_checkpoint(template, state, tmp_path, share):
    path = tmp_path / "x.pt"
    torch.save(state, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load_published(path, SMALL, template)


def test_malicious_checkpoint(template, state, tmp_path):
    witness = tmp_path / "witness"
    torch.save({"model_state_dict": state, "args": Malicious(witness)}, tmp_path / "x.pt")
    with pytest.raises(InputError, match="refused"):
        load_published(tmp_path / "x.pt", SMALL, template)
    assert not witness.exists()


def test_malicious_template_and_mano(template, tmp_path):
    witness = tmp_path / "witness"
    mano = mano_folder(tmp_path, template)
    mano.write_bytes(pickle.dumps({"J_regressor": Malicious(witness)}))
    with pytest.raises(InputError, match="MANO_RIGHT.pkl: refused, it asks for builtins.exec"):
        read_template(tmp_path, mano)
    (tmp_path / "transform.pkl").write_bytes(pickle.dumps({"vertices": [Malicious(witness)]}, 2))
    with pytest.raises(InputError, match="transform.pkl: refused"):
        read_template(tmp_path, mano)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable pickle"),
        (b"text", "not a readable pickle"),
        (pickle.dumps([1, 2]), "holds no dictionary"),
        (pickle.dumps({"vertices": []}), "entry 'face' is missing"),
        (
            pickle.dumps({"vertices": 1, "face": 2, "up_transform": 3, "down_transform": 4}),
            "damaged",
        ),
    ],
)
def test_spoilt_templates(tmp_path, content, message):
    (tmp_path / "transform.pkl").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_template(tmp_path)


def test_files_of_a_template_that_are_missing_or_of_another(template, tmp_path):
    with pytest.raises(InputError, match="template.ply: no such file"):
        read_template(tmp_path)
    (tmp_path / "template.ply").write_text("no mesh")
    with pytest.raises(InputError, match="not a readable PLY file|holds no mesh"):
        read_template(tmp_path)
    folder = write_template(tmp_path / "sphere", template)
    (folder / "joint_regressor.npy").unlink()
    with pytest.raises(InputError, match="give --mano MANO_RIGHT.pkl"):
        read_template(folder)
    mano = mano_folder(tmp_path, template)
    with pytest.raises(InputError, match="this template needs .16, 1026."):
        read_template(folder, mano)


@needs_reference
def test_command(tmp_path, capsys):
    """A released checkpoint and the published files in, the authors' numbers out."""
    template = write_template(tmp_path / "egg", reference_template())
    checkpoint = tmp_path / "checkpoint.pt"
    torch.save({"model_state_dict": rule_made_state(reference_shapes()["sg_resnet18"])}, checkpoint)
    call = ["import-checkpoint", str(checkpoint), "--template", str(template), "--variant"]
    out = tmp_path / "out"
    assert main([*call, "pg_resnet18", "-o", str(out)]) == 2
    assert "it is of sg_resnet18" in capsys.readouterr().err
    assert main([*call, "sg_resnet18", "-o", str(out)]) == 0
    assert "out: fp32, outputs vertices, heatmaps, silhouette" in capsys.readouterr().out
    network = load_network(out, providers=("cpu",))
    images = np.random.default_rng(7).standard_normal((2, 3, 224, 224)).astype(np.float32)
    outputs = network.engine(images)
    for name, key in (("vertices", "mesh0"), ("heatmaps", "uv_pred"), ("silhouette", "mask_pred")):
        expected = reference()[f"sg_resnet18/{key}"]
        values = outputs[name] if name == "vertices" else outputs[name][..., ::4, ::4]
        difference = np.abs(values.reshape(expected.shape) - expected).max()
        assert difference <= 1e-4 * np.abs(expected).max()
    assert (network.card.crop, network.card.crop_margin) == ("affine", 1.3)


def test_every_variant_takes_its_own_weights(tmp_path):
    """The mobile networks' decoders have a part more than the published ones."""
    template = sphere_template()
    for name in ("sg_mobile", "g_mobile"):
        config = preset(name)
        saved = published_state(build(config, template))
        torch.save(saved, tmp_path / "x.pt")
        loaded = published_state(load_published(tmp_path / "x.pt", config, template))
        assert all(torch.equal(loaded[key], saved[key]) for key in saved)
