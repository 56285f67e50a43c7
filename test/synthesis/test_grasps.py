"""Hands that hold something: fingers touch, nothing pierces, joints keep their limits."""

from dataclasses import replace

import numpy as np
import pytest

from cmr_ros.geometry.mesh import vertex_normals
from cmr_ros.hand_model.closing import ClosingHand
from cmr_ros.hand_model.poses import (
    ANGLE_COUNT,
    CUP_LIMITS_DEG,
    FLEXION_LIMITS_DEG,
    THUMB_LIMITS_DEG,
)
from cmr_ros.synthesis.cutouts import CUTOUT
from cmr_ros.synthesis.generator import Generator
from cmr_ros.synthesis.grasps import DEEPEST_M, TOUCHING_M, draw_grasp
from cmr_ros.synthesis.held_out import FULL_FRAME
from cmr_ros.synthesis.holdables import HOLDABLES
from cmr_ros.synthesis.pairs import PAIR_PICTURES
from cmr_ros.synthesis.settings import TRAINING, PictureSettings
from cmr_ros.synthesis.thing_settings import GraspSettings

KINDS = [(name, place) for name, place, _ in GraspSettings().things]
COUNT = 6


def only(name, place):
    """Return settings of grasps of one kind that are tried until they succeed."""
    return GraspSettings(things=((name, place, 1.0),), tries=60)


@pytest.fixture(scope="module", params=KINDS, ids=["-".join(kind) for kind in KINDS])
def grasps(hand_model, request):
    rng = np.random.default_rng(4)
    return [draw_grasp(hand_model, only(*request.param), rng) for _ in range(COUNT)]


def gaps_m(grasp, hand_model):
    """Return how far the skin of thumb and fingers (5,), beyond the palm, is from the thing."""
    bone = hand_model.skin_weights.argmax(axis=1)
    distances = grasp.distance_m(grasp.hand.vertices)
    moving = (bone > 0) & ((bone - 1) % 4 > 0)
    return np.array([distances[moving & ((bone - 1) // 4 == k)].min() for k in range(5)])


def test_thumb_and_two_fingers_touch(grasps, hand_model):
    for grasp in grasps:
        touching = gaps_m(grasp, hand_model) < TOUCHING_M
        assert touching[0] and touching[1:].sum() >= 2


def test_nothing_of_the_hand_is_inside(grasps, hand_model):
    for grasp in grasps:
        vertices = grasp.hand.vertices
        assert grasp.distance_m(vertices).min() > -DEEPEST_M
        # Between the vertices, too.
        centers = vertices[hand_model.faces].mean(axis=1)
        assert grasp.distance_m(centers).min() > -1.5 * DEEPEST_M


def test_joints_keep_their_limits(grasps):
    for grasp in grasps:
        flexion, cup, thumb = (
            grasp.angles_deg[part] for part in (slice(0, 12), 16, slice(17, None))
        )
        low, high = np.tile(FLEXION_LIMITS_DEG, 4)
        assert (flexion >= low).all() and (flexion <= high).all()
        assert CUP_LIMITS_DEG[0] <= cup <= CUP_LIMITS_DEG[1]
        low, high = THUMB_LIMITS_DEG
        assert (thumb >= low).all() and (thumb <= high).all()


def test_most_tries_of_usual_settings_become_grasps(hand_model):
    drawn = [draw_grasp(hand_model, GraspSettings(), np.random.default_rng(i)) for i in range(20)]
    assert sum(grasp is not None for grasp in drawn) >= 18


def test_what_cannot_be_grasped_is_refused(hand_model):
    huge = replace(only("ball", "palm"), ball_radius_m=(0.4, 0.5), tries=2)
    assert draw_grasp(hand_model, huge, np.random.default_rng(0)) is None


def test_digits_stop_at_a_wall_and_close_without_one(hand_model):
    hand = ClosingHand(hand_model, hand_model.mean_shape())
    opened, closed = np.zeros(ANGLE_COUNT), np.zeros(ANGLE_COUNT)
    closed[:12] = np.tile([80, 90, 60], 4)

    def wall(points):
        return points[..., 2] + 0.05

    row, touching = hand.close(opened, closed, wall)
    assert touching[1:].all()
    assert np.abs(hand.gaps_m(hand.bend(row[None])[0], wall)[0, 1:5]).max() < 0.0015
    row, touching = hand.close(opened, closed, lambda points: points[..., 2] + 1)
    assert not touching.any() and np.array_equal(row, closed)


@pytest.mark.parametrize("name", HOLDABLES)
def test_distances_are_those_from_the_mesh(name):
    solid = HOLDABLES[name](GraspSettings(), np.random.default_rng(1))
    vertices, faces, uvs = solid.mesh()
    edges = vertices[faces[:, 1:]] - vertices[faces[:, :1]]
    normals = np.cross(edges[:, 0], edges[:, 1])
    real = np.linalg.norm(normals, axis=1) > 1e-10
    assert uvs.shape == (*faces.shape, 2) and uvs.min() == 0 and uvs.max() == 1
    if name == "cup":  # its inside counts as full
        outside = solid.distance_m(vertices) > -1e-6
        real &= outside[faces].all(axis=1)
    outwards = normals[real] / np.linalg.norm(normals[real], axis=1, keepdims=True)
    centers = vertices[faces[real]].mean(axis=1)
    assert np.abs(solid.distance_m(centers)).max() < 5e-4
    assert solid.distance_m(centers + 0.002 * outwards) == pytest.approx(0.002, abs=5e-4)
    assert (solid.distance_m(centers - 0.001 * outwards) < 0).all()
    assert np.isfinite(vertex_normals(vertices, faces)).all()


def test_samples_with_grasps_do_not_depend_on_who_renders_them(needs_egl, hand_model):
    settings = replace(TRAINING, grasp=1.0, wristband=1.0, finger_ring=1.0)
    first, second = (Generator(hand_model, 5, settings) for _ in range(2))
    one = first.sample(3)
    second.sample(1)
    other = second.sample(3)
    for name in ("picture", "vertices", "joints", "matrix", "mask", "visible"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


def test_what_is_held_hides_the_hand_and_is_none_of_it(needs_egl, hand_model):
    generator = Generator(hand_model, 5, replace(TRAINING, grasp=1.0))
    hidden = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        hand, matrix = generator._random_hand(rng)
        light = generator._environment(rng).light(np.eye(3), 0.7, 1.0)
        bare, held = (
            generator._renderer.render(meshes, matrix, light).parts[..., 0] > 0.5
            for meshes in ([hand.mesh], [hand.mesh, hand.held])
        )
        assert not (held & ~bare).any()
        hidden += (bare & ~held).sum()
    assert hidden > 1000


@pytest.mark.parametrize("settings", [PictureSettings(), FULL_FRAME, PAIR_PICTURES, CUTOUT])
def test_what_measures_weights_shows_none_of_this(settings):
    assert (
        settings.gloved
        == settings.grasp
        == settings.touch
        == settings.wristband
        == settings.finger_ring
        == 0
    )
