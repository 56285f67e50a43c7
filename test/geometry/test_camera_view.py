"""Where a second camera stands: from calibrations, and from frames that stand still."""

import cv2
import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.geometry.camera_view import pose_from_calibration
from cmr_ros.geometry.static_frames import StaticFrames

IDENTITY = np.eye(3).ravel()


def projection(focal=600.0, shift_m=0.0, down_m=0.0):
    return [focal, 0, 320, -focal * shift_m, 0, focal, 240, -focal * down_m, 0, 0, 1, 0]


def turned(*vector):
    return cv2.Rodrigues(np.array(vector, np.float64))[0]


def test_rectified_images_have_the_baseline_in_the_fourth_column_of_p():
    first, second = (IDENTITY, projection()), (IDENTITY, projection(500.0, 0.12))
    rotation, shift_m = pose_from_calibration(first, second, rectified=True)
    assert np.array_equal(rotation, np.eye(3)) and shift_m == pytest.approx([-0.12, 0, 0])
    # The right camera may come first, and cameras may stand above each other.
    rotation, shift_m = pose_from_calibration(second, first, rectified=True)
    assert shift_m == pytest.approx([0.12, 0, 0])
    above = (IDENTITY, projection(down_m=0.2))
    assert pose_from_calibration(first, above, rectified=True)[1] == pytest.approx([0, -0.2, 0])


def test_raw_images_are_turned_as_r_says():
    r1, r2 = turned(0, 0.02, 0.01), turned(0.01, -0.03, 0)
    both = (r1.ravel(), projection()), (r2.ravel(), projection(shift_m=0.12))
    rotation, shift_m = pose_from_calibration(*both, rectified=False)
    point = np.array([0.1, -0.05, 0.6])
    rectified = r2 @ (rotation @ point + shift_m)
    assert rectified == pytest.approx(r1 @ point - [0.12, 0, 0])


def test_cameras_that_were_not_calibrated_together_have_no_pose():
    first = (IDENTITY, projection())
    for second in (first, (np.zeros(9), np.zeros(12)), (IDENTITY, np.zeros(12))):
        assert pose_from_calibration(first, second, rectified=False) is None


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ((IDENTITY, projection(shift_m=120)), "120 m apart.*is it in millimetres"),
        ((IDENTITY, projection(shift_m=1e-4)), "0.0001 m apart: expected"),
        ((np.zeros(9), projection(shift_m=0.1)), "rotation"),
        ((IDENTITY, projection(shift_m=np.nan)), "not finite|nan"),
        ((IDENTITY[:4], projection()), "R needs 9 numbers"),
    ],
)
def test_calibrations_that_cannot_be_are_one_clear_error(second, message):
    with pytest.raises(InputError, match=message):
        pose_from_calibration((IDENTITY, projection()), second, rectified=False)


def quaternion(vector):
    angle = np.linalg.norm(vector)
    axis = np.asarray(vector) / max(angle, 1e-12)
    return np.append(np.sin(angle / 2) * axis, np.cos(angle / 2))


def test_static_frames_are_chained():
    frames = StaticFrames()
    poses = {
        "base": ("world", (0, 0, 1), (0, 0, 0.5)),
        "left": ("base", (0, 0.1, 0), (0.2, 0, 0)),
        "rig": ("base", (1, 0, 0), (0, 0.3, 0)),
        "/right": ("/rig", (0, -0.1, 0), (0, 0, 0.1)),
    }
    for child, (parent, shift, vector) in poses.items():
        frames.add(parent, child, np.array(shift), quaternion(vector))

    def to_world(name, point):
        while name != "world":
            name, shift, vector = poses.get(name) or poses["/" + name]
            name, point = name.lstrip("/"), turned(*vector) @ point + shift
        return point

    point = np.array([0.1, 0.2, 0.7])
    rotation, shift_m = frames.transform("right", "left")
    assert to_world("right", rotation @ point + shift_m) == pytest.approx(to_world("left", point))
    rotation, shift_m = frames.transform("base", "right")
    assert to_world("base", rotation @ point + shift_m) == pytest.approx(to_world("right", point))
    assert frames.transform("left", "left")[1] == pytest.approx(np.zeros(3))
    assert frames.transform("left", "elsewhere") is None


def test_frames_in_a_circle_and_turns_that_are_none_do_no_harm():
    frames = StaticFrames()
    frames.add("a", "b", np.zeros(3), quaternion((0, 0, 0)))
    frames.add("b", "a", np.ones(3), quaternion((0, 0, 0)))
    frames.add("a", "c", np.ones(3), np.zeros(4))
    frames.add("a", "d", np.full(3, np.nan), quaternion((0, 0, 0)))
    assert frames.transform("a", "c") is None and frames.transform("d", "a") is None
    assert frames.transform("a", "b") is not None
