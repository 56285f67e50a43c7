"""Training pictures: the truth belongs to the picture, samples repeat, shards survive the disk."""

import gc
from pathlib import Path

import cv2
import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.geometry.skeleton import PALM_JOINTS
from cmr_ros.registration.estimate import hand_length_m
from cmr_ros.synthesis.environment import procedural_environment
from cmr_ros.synthesis.generator import Generator
from cmr_ros.synthesis.occlusion import ambient_share
from cmr_ros.synthesis.placement import place, project
from cmr_ros.synthesis.renderer import Renderer
from cmr_ros.synthesis.sample import Sample
from cmr_ros.synthesis.settings import TRAINING, PictureSettings
from cmr_ros.synthesis.shards import Shards, encode_picture, shard_path, write_shard
from cmr_ros.synthesis.surfaces import HAND, OTHER, Light, Material, Mesh, Texture

EXACT = PictureSettings(center_jitter=0, scale_jitter=0, roll_jitter_deg=0)
MATRIX = np.array([[400, 0, 111.5], [0, 400, 111.5], [0, 0, 1]])
LIGHT = Light(
    np.vstack([np.full((1, 3), 0.5), np.zeros((8, 3))]),
    np.eye(3), np.array([0, 0, -1.0]), np.full(3, 0.5), np.ones(3),
)  # fmt: skip


@pytest.fixture(scope="module")
def renderer(needs_egl):
    return Renderer(224)


@pytest.fixture(scope="module", params=[PictureSettings(), TRAINING], ids=["default", "training"])
def generator(needs_egl, hand_model, request):
    return Generator(hand_model, seed=3, settings=request.param)


@pytest.fixture(scope="module")
def samples(generator):
    return [generator.sample(i) for i in range(24)]


def test_renderers_leave_each_other_alone(renderer):
    meshes = [board(0.5, 0.1, (200, 90, 40), HAND)]
    first = renderer.render(meshes, MATRIX, LIGHT)
    assert first.parts.any()
    for size in (64, 128):
        other = Renderer(size)
        other.render(meshes, MATRIX, LIGHT)
        other.itself = other  # not freed before the collector comes
        del other
        newest = Renderer(224)
        gc.collect()
        for each in (renderer, newest):
            again = each.render(meshes, MATRIX, LIGHT)
            assert np.array_equal(again.color, first.color)
            assert np.array_equal(again.parts, first.parts)


def board(depth_m: float, half_m: float, color, part: int, at=(0.0, 0.0)) -> Mesh:
    """Return a square that faces the camera."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * half_m
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    texture = Texture(np.full((2, 2, 3), color, np.uint8))
    material = Material(texture, specular=0.0)
    return Mesh(corners + [*at, depth_m], faces, np.zeros((2, 3, 2)), material, part, closed=False)


def test_pixel_centers_depth_and_order_of_what_is_drawn(renderer):
    near, far = board(0.5, 0.05, (200, 0, 0), HAND), board(0.8, 0.2, (0, 200, 0), OTHER)
    layers = renderer.render([far, near], MATRIX, LIGHT)
    # 0.05 m at 0.5 m are 40 px: the square spans pixels 71.5 to 151.5 around the centre.
    rows, columns = np.nonzero(layers.parts[..., HAND] > 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (72, 151, 72, 151)
    assert layers.depth_m[111, 111] == pytest.approx(0.5, abs=1e-3)
    assert layers.depth_m[20, 111] == pytest.approx(0.8, abs=1e-3)
    assert layers.parts[20, 111].tolist() == [0, 0, 1]
    assert layers.color[111, 111, 0] > 150 > layers.color[111, 111, 1]


def test_picture_is_upright_and_not_mirrored(renderer):
    layers = renderer.render([board(0.5, 0.01, 255, HAND, at=(0.05, -0.08))], MATRIX, LIGHT)
    rows, columns = np.nonzero(layers.parts[..., HAND] > 0.5)
    assert columns.mean() == pytest.approx(111.5 + 40, abs=0.5)
    assert rows.mean() == pytest.approx(111.5 - 64, abs=0.5)


def test_panorama_light_comes_from_where_the_lamp_is_seen():
    environment = procedural_environment(np.random.default_rng(1))
    environment.radiance[:] = 0.1
    environment.radiance[60:68, 126:130] = 500.0  # straight ahead, on the horizon
    light = environment.light(np.diag([1.0, -1.0, 1.0]), 0.7, 1.0)
    assert light.key_direction == pytest.approx([0, 0, 1], abs=0.1)
    picture = environment.view(light.rotation, 0.5, 65, light.exposure)
    assert picture[32, 32].min() > 250 > picture[5, 5].max() + 100


def test_walls_are_plain_and_show_the_hand_s_shadow(generator):
    alpha = np.zeros((224, 224), np.float32)
    alpha[80:150, 80:150] = 1
    walls = np.stack([generator._wall(alpha, np.random.default_rng(i)) for i in range(40)])
    light = walls.astype(float).mean(axis=3)
    middle, corners = light[:, 90:140, 90:140].mean(), light[:, ::223, ::223].mean()
    assert middle < 0.92 * corners
    colors = walls.reshape(40, -1, 3).astype(float)
    assert np.ptp(colors.mean(axis=1), axis=1).mean() < 60


def test_palm_box_keeps_the_crop_rule():
    rng = np.random.default_rng(0)
    for _ in range(20):
        joints = rng.normal(0, 0.05, (21, 3))
        turn, shift, matrix = place(joints, 0.5, EXACT, rng)
        placed = joints @ turn.T + shift
        pixels = project(placed, matrix)
        palm = pixels[list(PALM_JOINTS)]
        low, high = palm.min(axis=0), palm.max(axis=0)
        assert np.linalg.det(turn) == pytest.approx(1)
        assert placed[0, 2] == pytest.approx(0.5, abs=1e-6)
        assert (high - low).max() / 224 == pytest.approx(0.385, abs=0.004)
        assert ((low + high) / 2 + 0.5) / 224 == pytest.approx([0.49, 0.70], abs=0.004)
        assert pixels[9, 1] < pixels[0, 1] and abs(pixels[9, 0] - pixels[0, 0]) < 1


def test_a_sphere_darkens_what_faces_it():
    vertices, normals = np.zeros((2, 3)), np.array([[0, 0, 1.0], [0, 0, -1.0]])
    seen = ambient_share(vertices, normals, np.array([[0, 0, 0.02]]), np.array([0.01]))
    assert seen == pytest.approx([0.75, 1.0], abs=1e-4)


def test_samples_repeat(generator, samples):
    again = generator.sample(7)
    for name in ("picture", "vertices", "joints", "matrix", "mask", "visible"):
        assert np.array_equal(getattr(again, name), getattr(samples[7], name))
    assert not np.array_equal(samples[7].joints, samples[8].joints)


def test_mask_lies_within_the_projected_mesh(samples, shipped_template):
    for sample in samples:
        outline = np.zeros((224, 224), np.uint8)
        corners = np.rint(project(sample.vertices, sample.matrix)).astype(np.int32)
        for triangle in corners[shipped_template.faces[0]]:
            cv2.fillConvexPoly(outline, triangle, 1)
        assert outline[sample.mask].mean() > 0.98


def test_seen_joints_lie_on_the_hand(samples):
    seen, on_hand = 0, 0
    for sample in samples:
        joints = np.rint(project(sample.joints, sample.matrix)).astype(int)[sample.visible]
        assert ((joints >= 0) & (joints < 224)).all()
        grown = cv2.dilate(sample.mask.astype(np.uint8), np.ones((13, 13)))
        seen += len(joints)
        on_hand += grown[joints[:, 1], joints[:, 0]].sum()
    assert seen > 24 * 10 and on_hand / seen > 0.97


def test_truth_is_a_right_hand_of_human_size_in_front_of_the_camera(samples):
    for sample in samples:
        joints = sample.joints
        assert 0.25 < joints[0, 2] < 1.35
        # Children's palms may be shorter than these bounds, but not by their hand's length.
        length_m = hand_length_m(joints)
        assert 0.1 < length_m < 0.23
        assert 0.06 < np.linalg.norm(joints[9] - joints[0]) * 0.187 / length_m < 0.13
        assert np.linalg.norm(sample.vertices - joints[9], axis=1).max() < 0.2


def made_up(count: int, rng=None) -> list[Sample]:
    rng = rng or np.random.default_rng(0)
    return [
        Sample(
            np.full((32, 32, 3), 8 * i, np.uint8), rng.normal(size=(5, 3)).astype(np.float32),
            rng.normal(size=(21, 3)).astype(np.float32), MATRIX,
            rng.random((32, 32)) > 0.5, rng.random(21) > 0.5,
        )
        for i in range(count)
    ]  # fmt: skip


def save(folder: Path, number: int, samples: list[Sample]) -> Path:
    path = shard_path(folder, number)
    write_shard(path, samples, [encode_picture(s.picture) for s in samples], seed=1)
    return path


def test_shards_return_what_was_written(tmp_path):
    written = made_up(7)
    save(tmp_path, 0, written[:4])
    save(tmp_path, 1, written[4:])
    read = Shards(tmp_path)
    assert len(read) == 7
    for i in (6, 0, 3, 4):
        assert np.abs(read[i].picture.astype(int) - written[i].picture).max() <= 2
        for name in ("vertices", "joints", "matrix", "mask", "visible"):
            assert np.array_equal(getattr(read[i], name), getattr(written[i], name))
    with pytest.raises(IndexError):
        read[7]


@pytest.mark.parametrize("keep", [0, 200, 0.6])
def test_a_cut_shard_is_named(tmp_path, keep):
    path = save(tmp_path, 0, made_up(3))
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if keep >= 1 or keep == 0 else int(keep * len(whole))])
    with pytest.raises(InputError, match="shard_00000.npz.*render again"):
        Shards(tmp_path)[0]


def test_a_file_that_is_no_shard_is_named(tmp_path):
    np.savez(tmp_path / "shard_00000.npz", offsets=np.arange(3), other=np.zeros(3))
    with pytest.raises(InputError, match="shard_00000.npz"):
        Shards(tmp_path)[0]
    with pytest.raises(InputError, match="no shard_"):
        Shards(tmp_path / "missing")
