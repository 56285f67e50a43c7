"""What is observed of hands from image to image, on posed meshes and on the recording."""

from dataclasses import replace

import numpy as np
import pytest

from cmr_ros.grasping.observer import GraspObserver, hand_pair
from cmr_ros.grasping.states import GraspState
from support.posed_hands import HALF, OPEN, as_hand, posed


def test_a_moving_palm_has_its_velocity(hand_model):
    mesh, observe = posed(hand_model, *[OPEN] * 4), GraspObserver()
    wanted = np.array([0.5, -0.2, 0.3])
    rng = np.random.default_rng(2)
    for image in range(30):
        stamp_s = image / 30
        place_m = [0, 0, 0.5] + stamp_s * wanted + rng.normal(0, [0.001, 0.001, 0.004])
        (grasp,), _ = observe([as_hand(mesh, place_m)], stamp_s)
        if image == 0:
            assert not grasp.palm_velocity_m_s.any()
    np.testing.assert_allclose(grasp.palm_velocity_m_s, wanted, atol=0.06)
    (grasp,), _ = observe([as_hand(mesh, [3.0, 0, 0.5])], 10.0)
    assert not grasp.palm_velocity_m_s.any(), "another scene"


@pytest.mark.parametrize("rate_hz", [2, 5, 12])
def test_a_moving_palm_has_its_velocity_at_any_rate(hand_model, rate_hz):
    mesh, observe = posed(hand_model, *[OPEN] * 4), GraspObserver()
    wanted, found = np.array([0.5, -0.2, 0.3]), []
    for image in range(8):
        stamp_s = image / rate_hz
        (grasp,), _ = observe([as_hand(mesh, [0, 0, 0.5] + stamp_s * wanted)], stamp_s)
        found.append(grasp.palm_velocity_m_s)
    np.testing.assert_allclose(found[1:], np.tile(wanted, (7, 1)), atol=1e-6)


def test_hands_are_told_apart_and_forgotten(hand_model):
    observe = GraspObserver()
    a = as_hand(posed(hand_model, *[OPEN] * 4), track_id=1)
    b = as_hand(posed(hand_model, *[HALF] * 4), (0.3, 0, 0.6), left=True, track_id=2)
    for image in range(10):
        grasps, pairs = observe([a, b], image / 30)
    assert [grasp.state for grasp in grasps] == [GraspState.OPEN, GraspState.RELAXED]
    assert [grasp.track_id for grasp in grasps] == [1, 2] and pairs[0].track_ids == (1, 2)
    for image in range(10, 60):
        grasps, pairs = observe([b], image / 30)
    assert not pairs and set(observe._states) == set(observe._palms) == {2}


def test_the_distance_of_hands_is_that_of_their_nearest_vertices(hand_model):
    mesh = posed(hand_model, *[OPEN] * 4)
    a = as_hand(mesh, track_id=4)
    width_m = np.ptp(a.vertices_m[:, 1])
    b = replace(a, vertices_m=a.vertices_m + [0, width_m + 0.03, 0], track_id=7)
    pair = hand_pair(a, b)
    every = np.linalg.norm(a.vertices_m[:, None] - b.vertices_m, axis=-1)
    assert pair.track_ids == (4, 7)
    assert pair.distance_m == pytest.approx(every.min(), abs=1e-9) and pair.distance_m >= 0.03
    for point_m, hand in zip(pair.points_m, (a, b), strict=True):
        assert (hand.vertices_m == point_m).all(axis=1).any()
    assert hand_pair(a, a).distance_m == 0
