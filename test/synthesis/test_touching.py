"""Two hands that touch: they meet, hardly pierce each other, and swap without a change."""

from dataclasses import replace

import numpy as np
import pytest

from cmr_ros.geometry.mesh import vertex_normals
from cmr_ros.hand_model.poses import sample_pose
from cmr_ros.synthesis.generator import Generator
from cmr_ros.synthesis.settings import TRAINING
from cmr_ros.synthesis.thing_settings import GraspSettings, TouchSettings
from cmr_ros.synthesis.touching import Capsules, draw_touch

COUNT = 12


@pytest.fixture(scope="module", params=[0.0, 1.0], ids=["laid", "clasped"])
def touches(hand_model, request):
    settings = TouchSettings(clasp=request.param, tries=60)
    return [
        draw_touch(hand_model, settings, GraspSettings(), np.random.default_rng(seed))
        for seed in range(COUNT)
    ]


def nearest(points, others):
    """Return the number of the nearest of the others (M, 3) to each point (N, 3)."""
    return np.array([np.argmin(((others - point) ** 2).sum(axis=1)) for point in points])


def test_capsules_lie_along_the_skin(hand_model):
    posed = hand_model.pose(
        hand_model.mean_shape(), sample_pose(hand_model, np.random.default_rng(0))
    )
    skin = posed.vertices[hand_model.skin_weights[:, 0] < 0.5].astype(np.float32)
    distances = Capsules(hand_model, posed).distance_m(skin)
    assert np.abs(distances).mean() < 0.003
    assert np.quantile(np.abs(distances), 0.95) < 0.008
    normals = vertex_normals(posed.vertices, hand_model.faces)
    outside = (posed.vertices + 0.02 * normals).astype(np.float32)
    far = posed.vertices.mean(axis=0) + [[0.0, 0.0, 1.0]]
    assert Capsules(hand_model, posed).distance_m(far)[0] == pytest.approx(1, abs=0.1)
    assert np.median(Capsules(hand_model, posed).distance_m(outside)) > 0.01


def test_hands_meet_and_hardly_pierce_each_other(touches, hand_model):
    depths = []
    for touch in touches:
        other = touch.other.vertices @ touch.axes.T + touch.center_m
        found = nearest(touch.hand.vertices, other)
        apart = touch.hand.vertices - other[found]
        assert np.linalg.norm(apart, axis=1).min() < 0.008
        normals = np.linalg.det(touch.axes) * vertex_normals(other, hand_model.faces)
        depths.append(-(apart * normals[found]).sum(axis=1).min())
    assert np.max(depths) < 0.01 and np.median(depths) < 0.004


def test_left_hands_are_mirrored_and_of_the_same_person(touches):
    sides = [np.linalg.det(touch.axes) for touch in touches]
    assert np.abs(sides) == pytest.approx(1) and np.mean(np.less(sides, 0)) > 0.5
    for touch in touches:
        lengths = [
            np.linalg.norm(np.diff(p.joints[9:13], axis=0), axis=1).sum()
            for p in (touch.hand, touch.other)
        ]
        alike = lengths[0] == pytest.approx(lengths[1], rel=1e-6)
        assert alike == (np.linalg.det(touch.axes) < 0)


def test_about_the_other_hand_it_is_the_same_moment(touches):
    def apart(touch):
        joints = touch.other.joints @ touch.axes.T + touch.center_m
        return np.linalg.norm(joints[:, None] - touch.hand.joints, axis=-1)

    for touch in touches:
        assert apart(touch.swapped()).T == pytest.approx(apart(touch))


def test_most_usual_draws_succeed(hand_model):
    drawn = [
        draw_touch(hand_model, TouchSettings(), GraspSettings(), np.random.default_rng(i))
        for i in range(20)
    ]
    assert sum(touch is not None for touch in drawn) >= 16


def test_the_other_hand_hides_the_first_and_is_none_of_it(needs_egl, hand_model):
    settings = replace(TRAINING, grasp=0.0, touch=1.0)
    generator = Generator(hand_model, 5, settings)
    hidden = beside = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        hand, matrix = generator._random_hand(rng)
        if hand.held is None:
            continue
        beside += 1
        light = generator._environment(rng).light(np.eye(3), 0.7, 1.0)
        bare, both = (
            generator._renderer.render(meshes, matrix, light).parts[..., 0] > 0.5
            for meshes in ([hand.mesh], [hand.mesh, hand.held])
        )
        assert not (both & ~bare).any()
        hidden += (bare & ~both).sum()
    assert beside >= 5 and hidden > 1000
    again = Generator(hand_model, 5, settings)
    assert np.array_equal(again.sample(3).picture, generator.sample(3).picture)
