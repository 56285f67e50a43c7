"""Flexion, pinch and aperture on posed meshes whose answers are known."""

import numpy as np
import pytest

from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.grasping.posture import aperture_m, flexion, pinch
from support.posed_hands import CLOSED, HALF, OPEN, THUMB_ACROSS, as_hand, pinching, posed


@pytest.mark.parametrize("left", [False, True])
def test_each_finger_is_bent_as_far_as_it_was_bent(hand_model, left):
    wanted = (OPEN, HALF, CLOSED, (10.0, 90.0, 30.0))
    made = as_hand(posed(hand_model, *wanted), left=left)
    found = flexion(made.joints_m, made.handedness)[1:]
    # 230 degrees are a closed fist; the bones of the palm lie up to 8 degrees askew.
    np.testing.assert_allclose(found, np.sum(wanted, axis=1) / 230, atol=0.06)
    other = Handedness.RIGHT if left else Handedness.LEFT
    assert flexion(made.joints_m, other)[1:].max() < 0.05, "for the other hand it is bent backwards"


def test_fingers_bent_backwards_and_spread_are_stretched(hand_model):
    back = posed(hand_model, *[(-20.0, 0.0, -5.0)] * 4)
    assert flexion(back.joints, Handedness.RIGHT)[1:].max() < 0.03


def test_the_thumb_bends_across_the_palm(hand_model):
    beside, across = (
        flexion(posed(hand_model, *[OPEN] * 4, **thumb).joints, Handedness.RIGHT)[0]
        for thumb in ({}, {"thumb": THUMB_ACROSS})
    )
    assert beside < 0.2 and across > 0.7


def test_frames_and_sizes_do_not_matter(hand_model):
    joints = posed(hand_model, OPEN, HALF, CLOSED, HALF).joints
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    moved = 0.8 * joints @ turn.T + [0.1, -0.2, 0.7]
    np.testing.assert_allclose(
        flexion(moved, Handedness.RIGHT), flexion(joints, Handedness.RIGHT), atol=1e-9
    )
    assert aperture_m(moved) == pytest.approx(0.8 * aperture_m(joints))
    np.testing.assert_allclose(pinch(moved).axis, turn @ pinch(joints).axis, atol=1e-9)


def test_a_pinch_is_where_the_tips_meet(hand_model):
    mesh = pinching(hand_model, np.random.default_rng(5))
    found = pinch(mesh.joints)
    assert found.opening_m < 0.025
    assert np.linalg.norm(mesh.vertices - found.point_m, axis=1).min() < 0.012, "in the flesh"
    assert np.linalg.norm(found.axis) == pytest.approx(1)


def test_an_open_hand_is_a_gripper_as_wide_as_its_tips_are_apart(hand_model):
    joints = posed(hand_model, *[OPEN] * 4).joints
    found = pinch(joints)
    np.testing.assert_allclose(found.point_m + found.opening_m / 2 * found.axis, joints[8])
    np.testing.assert_allclose(found.point_m - found.opening_m / 2 * found.axis, joints[4])
    assert aperture_m(joints) == pytest.approx(np.linalg.norm(joints[20] - joints[4]))
    fist = posed(hand_model, *[CLOSED] * 4, thumb=THUMB_ACROSS)
    assert aperture_m(fist.joints) < 0.6 * aperture_m(joints)


def test_touching_tips_have_an_axis_all_the_same(hand_model):
    joints = posed(hand_model, *[HALF] * 4).joints.copy()
    joints[8] = joints[4]
    found = pinch(joints)
    assert found.opening_m == 0 and np.linalg.norm(found.axis) == pytest.approx(1)
