"""Frames of joints and palm: orthonormal, right-handed, continuous, pointing where they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from cmr_ros.geometry.frames import joint_rotations, palm_pose, quaternions
from cmr_ros.geometry.skeleton import JOINT_PARENTS, Handedness
from support.made_up_hands import flat_right_hand


def mirrored(joints):
    return joints * [1, -1, 1]


def folded_hand():
    joints = flat_right_hand()
    joints[[7, 8]] = joints[[5, 6]]  # bones that turn right back
    return joints


def assert_rotations(rotations):
    identity = np.broadcast_to(np.eye(3), rotations.shape)
    np.testing.assert_allclose(np.swapaxes(rotations, -1, -2) @ rotations, identity, atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0, atol=1e-9)


@pytest.mark.parametrize(
    "joints, handedness",
    [
        (flat_right_hand(), Handedness.RIGHT),
        (mirrored(flat_right_hand()), Handedness.LEFT),
        (flat_right_hand(), Handedness.UNKNOWN),
    ],
)
def test_axes_of_a_flat_hand_are_the_documented_ones(joints, handedness):
    rotations = joint_rotations(joints, handedness)
    assert_rotations(rotations)
    np.testing.assert_allclose(rotations[:, :, 2], np.tile([0, 0, 1], (21, 1)), atol=1e-9)
    np.testing.assert_allclose(rotations[6:8, :, 0], np.tile([1, 0, 0], (2, 1)), atol=1e-9)
    np.testing.assert_allclose(rotations[8], rotations[7])  # the tip continues its last bone


def test_y_points_to_the_thumb_of_a_right_hand_only():
    right, left = flat_right_hand(), mirrored(flat_right_hand())
    thumb = right[1] - right[9]
    assert palm_pose(right, Handedness.RIGHT)[1][:, 1] @ thumb > 0
    thumb = left[1] - left[9]
    assert palm_pose(left, Handedness.LEFT)[1][:, 1] @ thumb < 0


def test_bending_a_finger_turns_about_plus_y():
    straight = joint_rotations(flat_right_hand(), Handedness.RIGHT)
    bent = joint_rotations(flat_right_hand(0.5), Handedness.RIGHT)
    turn = Rotation.from_matrix(straight[10].T @ bent[10]).as_rotvec()
    np.testing.assert_allclose(turn, [0, 1.0, 0], atol=1e-9)  # two joints bent by 0.5 rad


def test_palm_origin_is_amid_wrist_and_middle_base():
    joints = flat_right_hand()
    np.testing.assert_allclose(palm_pose(joints, Handedness.RIGHT)[0], [0.045, 0.0, 0])


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_frames_turn_with_the_hand_and_follow_the_bones(seed):
    rng = np.random.default_rng(seed)
    joints = flat_right_hand(rng.uniform(0, 1.5)) + rng.normal(0, 0.003, (21, 3))
    turn = Rotation.random(rng=rng).as_matrix()
    rotations = joint_rotations(joints, Handedness.RIGHT)
    assert_rotations(rotations)
    moved = joint_rotations(joints @ turn.T + [0.1, 0.2, 0.6], Handedness.RIGHT)
    np.testing.assert_allclose(moved, turn @ rotations, atol=1e-9)
    for joint, parent in enumerate(JOINT_PARENTS):
        if parent > 0:  # x of the parent is the bone that leads to the joint
            bone = joints[joint] - joints[parent]
            np.testing.assert_allclose(rotations[parent, :, 0], bone / np.linalg.norm(bone))


def test_frames_are_continuous_while_a_fist_closes():
    before = joint_rotations(flat_right_hand(0.0), Handedness.RIGHT)
    for bend in np.linspace(0, 1.7, 300)[1:]:
        after = joint_rotations(flat_right_hand(bend), Handedness.RIGHT)
        assert np.abs(after - before).max() < 0.03
        before = after


@pytest.mark.parametrize(
    "joints", [np.zeros((21, 3)), np.ones((21, 3)), np.eye(21, 3), folded_hand()]
)
def test_collapsed_joints_still_give_rotations(joints):
    assert_rotations(joint_rotations(joints, Handedness.RIGHT))


def test_quaternions_agree_with_scipy_at_all_angles():
    rng = np.random.default_rng(0)
    half_turns = [Rotation.from_rotvec(np.pi * axis) for axis in np.eye(3)]
    turns = Rotation.concatenate([Rotation.random(200, rng=rng), Rotation.identity(), *half_turns])
    ours = quaternions(turns.as_matrix())
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(Rotation.from_quat(ours).as_matrix(), turns.as_matrix(), atol=1e-9)
    assert (ours[:, 3] >= 0).all()
