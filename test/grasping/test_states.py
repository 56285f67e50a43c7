"""States of posed hands, their probability and their hysteresis."""

import numpy as np
import pytest

from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.grasping.states import GraspState, StateFilter, classify, state_probabilities
from cmr_ros.registration.pose import pose_covariances
from support.posed_hands import CLOSED, HALF, OPEN, THUMB_ACROSS, as_hand, pinching, posed

_SURE = pose_covariances(np.ones(21), 0.0005, 0.001)
_USUAL = pose_covariances(np.ones(21), 0.0033, 0.0062)


def hands(model):
    return {
        GraspState.OPEN: posed(model, *[OPEN] * 4),
        GraspState.FIST: posed(model, *[CLOSED] * 4, thumb=THUMB_ACROSS),
        GraspState.POINT: posed(model, OPEN, *[CLOSED] * 3, thumb=THUMB_ACROSS),
        GraspState.RELAXED: posed(model, *[HALF] * 4),
        GraspState.PINCH: pinching(model, np.random.default_rng(5)),
    }


@pytest.mark.parametrize("left", [False, True])
def test_postures_are_told_apart(hand_model, left):
    for state, mesh in hands(hand_model).items():
        made = as_hand(mesh, left=left)
        sure = state_probabilities(made.joints_m, _SURE, made.handedness)
        assert sure.argmax() == state and sure[state] > 0.9, (state, sure)
        usual = state_probabilities(made.joints_m, _USUAL, made.handedness)
        # A pinch of a centimetre is hard to see where finger tips are out by as much.
        assert usual[state] > (0.3 if state is GraspState.PINCH else 0.5), (state, usual)


def test_a_pose_at_the_limit_is_a_toss(hand_model):
    # 0.25 of 230 degrees is where an open hand ends.
    for sum_deg, low, high in ((20, 0.9, 1), (60, 0.05, 0.95), (110, 0, 0.05)):
        mesh = posed(hand_model, *[(sum_deg / 2, sum_deg / 2, 0.0)] * 4)
        found = state_probabilities(mesh.joints, _SURE * 4, Handedness.RIGHT)
        assert low <= found[GraspState.OPEN] <= high, (sum_deg, found)
        assert found.sum() == pytest.approx(1)


def test_a_hand_at_rest_has_a_probability_at_rest(hand_model):
    # Where variances are equal, the least turn of a crop turns their axes anyhow.
    for sum_deg in (50, 60, 70):
        joints_m = posed(hand_model, *[(sum_deg / 2, sum_deg / 2, 0.0)] * 4).joints
        found = []
        for turn_rad in np.linspace(0, 0.004, 8):
            c, s = np.cos(turn_rad), np.sin(turn_rad)
            turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
            covariances_m2 = turn @ _USUAL @ turn.T
            probabilities = state_probabilities(joints_m, covariances_m2, Handedness.RIGHT)
            found.append(probabilities[GraspState.OPEN])
        assert np.std(found) < 0.01, sum_deg


def test_size_does_not_matter(hand_model):
    for state, mesh in hands(hand_model).items():
        assert classify(0.6 * mesh.joints[None], Handedness.RIGHT) == [state]


def sure_of(state, probability=1.0):
    probabilities = np.full(5, (1 - probability) / 4)
    probabilities[state] = probability
    return probabilities


def test_a_state_holds_on_for_single_images_but_not_for_long():
    states = StateFilter()
    assert states(sure_of(GraspState.OPEN), 0.0) == (GraspState.OPEN, 1.0)
    state, probability = states(sure_of(GraspState.FIST), 1 / 30)
    assert state is GraspState.OPEN and 0.5 < probability < 1
    assert states(sure_of(GraspState.OPEN), 2 / 30)[0] is GraspState.OPEN
    for image in range(3, 12):
        state, _ = states(sure_of(GraspState.FIST), image / 30)
    assert state is GraspState.FIST


def test_a_toss_does_not_flicker():
    states, rng = StateFilter(), np.random.default_rng(1)
    found = [
        states(sure_of(rng.choice([GraspState.OPEN, GraspState.RELAXED]), 0.6), image / 30)[0]
        for image in range(600)
    ]
    changes = sum(a is not b for a, b in zip(found, found[1:], strict=False))
    assert changes < 10, "once every two seconds at most"
