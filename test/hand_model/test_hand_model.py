import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.geometry.skeleton import JOINT_PARENTS
from cmr_ros.hand_model.model import HandModel, with_tips_inside
from cmr_ros.hand_model.poses import clear, sample_pose
from cmr_ros.registration import hand_length_m

PARENTS = np.array(JOINT_PARENTS[1:])


def test_without_rotations_the_hand_is_at_rest(hand_model):
    rest = hand_model.rest()
    posed = hand_model.pose(hand_model.mean_shape(), np.broadcast_to(np.eye(3), (21, 3, 3)))
    assert np.allclose(posed.vertices, rest.vertices, atol=1e-4)
    assert np.allclose(posed.joints, rest.joints, atol=1e-9)
    assert np.allclose(rest.joints[0], 0)


def test_poses_keep_bone_lengths_and_fingers_apart(hand_model):
    rng = np.random.default_rng(3)
    rest = hand_model.rest().joints
    lengths = np.linalg.norm(rest[1:] - rest[PARENTS], axis=1)
    for _ in range(20):
        joints = hand_model.pose(hand_model.mean_shape(), sample_pose(hand_model, rng)).joints
        assert np.allclose(np.linalg.norm(joints[1:] - joints[PARENTS], axis=1), lengths)
        assert clear(with_tips_inside(joints)[None])[0]


def test_poses_are_rotations_and_repeat_by_seed(hand_model):
    pose = sample_pose(hand_model, np.random.default_rng(5))
    assert np.allclose(pose @ np.swapaxes(pose, 1, 2), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(pose), 1)
    assert np.array_equal(pose, sample_pose(hand_model, np.random.default_rng(5)))


def test_fingers_that_run_into_each_other_are_noticed(hand_model):
    joints = hand_model.rest().joints.copy()
    assert clear(with_tips_inside(joints)[None])[0]
    joints[6:9] = joints[10:13]
    assert not clear(with_tips_inside(joints)[None])[0]


def test_hand_lengths_are_those_of_people(hand_model):
    rng = np.random.default_rng(0)
    shapes = np.array([hand_model.sample_shape(rng) for _ in range(3000)])
    traits = [str(trait) for trait in hand_model.traits]
    male, child = shapes[:, 1 + traits.index("male")], shapes[:, 1 + traits.index("child")]
    men, women = shapes[(male > 0) & (child == 0), 0], shapes[(male < 0) & (child == 0), 0]
    assert abs(men.mean() - 0.193) < 0.001 and abs(men.std() - 0.010) < 0.001
    assert abs(women.mean() - 0.178) < 0.001 and abs(women.std() - 0.009) < 0.001
    assert (child > 0).any()
    for shape in shapes[:5]:
        assert np.isclose(hand_length_m(hand_model.rest(shape).joints), shape[0])


def test_the_template_lies_on_the_hand_and_has_its_joints(hand_model, shipped_template):
    rest = hand_model.rest()
    assert np.allclose(shipped_template.vertices[0], rest.template_vertices, atol=1e-5)
    rng = np.random.default_rng(9)
    errors = []
    for _ in range(30):
        hand = hand_model.pose(hand_model.sample_shape(rng), sample_pose(hand_model, rng))
        errors.append(
            np.linalg.norm(shipped_template.joints(hand.template_vertices) - hand.joints, axis=1)
        )
    assert np.mean(errors) < 0.0015


def test_the_middle_finger_bends_towards_the_palm(hand_model):
    pose = np.broadcast_to(np.eye(3), (21, 3, 3)).copy()
    rest = hand_model.rest().joints
    pose[10] = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]  # a right angle about y
    joints = hand_model.pose(hand_model.mean_shape(), pose).joints
    assert joints[12, 2] < rest[12, 2] - 0.05
    assert np.allclose(joints[:10], rest[:10])


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "hand_model.npz"
    with pytest.raises(InputError, match="template build"):
        HandModel.load(path)
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(InputError, match="not a readable .npz.*hand_model.npz"):
        HandModel.load(path)
    np.savez(path, vertices=np.zeros((4, 3)))
    with pytest.raises(InputError, match="template build"):
        HandModel.load(path)
