"""Regions from joints, and the overlap of palms."""

import numpy as np
import pytest

from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.geometry.regions import (
    PALM_CENTER,
    PALM_SIDE,
    palm_in_picture,
    palm_overlap,
    region_from_joints,
)
from cmr_ros.geometry.skeleton import PALM_JOINTS


def hand_px(center=(320, 240), size=100.0, rotation=0.0, mirrored=False):
    """Return joints (21, 2) of a flat hand, fingers up before the rotation, in picture pixels."""
    fingers = [
        [(x * (0.4 + 0.6 * (k > 0)), -0.45 * (f > 0) - 0.28 * k) for k in range(4)]
        for f, x in enumerate((-0.6, -0.35, 0.0, 0.25, 0.45))
    ]
    joints = np.array([(0.0, 0.45), *(point for finger in fingers for point in finger)])
    if mirrored:
        joints[:, 0] *= -1
    c, s = np.cos(rotation), np.sin(rotation)
    return size * joints @ np.array([[c, s], [-s, c]]) + center


@pytest.mark.parametrize("rotation", [0.0, 0.5, -2.0, 3.1])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_palm_lies_where_the_networks_expect_it(rotation, mirrored):
    joints = hand_px(rotation=rotation, mirrored=mirrored)
    region = region_from_joints(joints, mirrored)
    camera = Camera.from_fov(640, 480, 60)
    crop = CropCamera.affine(camera, region, 224, mirrored)
    seen = (crop.from_picture(joints) + 0.5) / 224
    palm = seen[list(PALM_JOINTS)]
    low, high = palm.min(axis=0), palm.max(axis=0)
    np.testing.assert_allclose((low + high) / 2, PALM_CENTER, atol=1e-6)
    assert (high - low).max() == pytest.approx(PALM_SIDE)
    # The fingers point up, and a mirrored left hand looks like a right one.
    wrist, middle = seen[0], seen[9]
    assert middle[0] == pytest.approx(wrist[0]) and middle[1] < wrist[1]
    assert seen[5, 0] < seen[17, 0]


def test_region_follows_the_picture():
    small = region_from_joints(hand_px())
    large = region_from_joints(2 * hand_px() + [7, 9])
    np.testing.assert_allclose(large.center_px, 2 * np.array(small.center_px) + [7, 9])
    assert large.size_px == pytest.approx(2 * small.size_px)
    assert large.rotation_rad == pytest.approx(small.rotation_rad)


def test_overlap_of_palms():
    region = Region((100, 100), 200, 0.3)
    assert palm_overlap(region, region) == pytest.approx(1, abs=1e-3)
    assert palm_overlap(region, Region((190, 100), 200, 0.3)) == 0
    half = PALM_SIDE * 100 * np.array([np.cos(0.3), np.sin(0.3)])
    shifted = Region(tuple(100 + half), 200, 0.3)
    assert palm_overlap(region, shifted) == pytest.approx(0.5, abs=0.01)
    # One palm inside the other is the same palm, whatever their sizes.
    inside = Region((100 + 20 * np.sin(-0.3), 100 + 20 * np.cos(-0.3)), 100, 0.3)
    assert palm_overlap(region, inside) == palm_overlap(inside, region) == pytest.approx(1)


@pytest.mark.parametrize("turn", [0.0, 0.7])
def test_fingers_are_never_cut_off(turn):
    joints = hand_px()
    joints[list(PALM_JOINTS)] = 0.3 * joints[list(PALM_JOINTS)] + 0.7 * joints[0]
    c, s = np.cos(turn), np.sin(turn)
    joints = joints @ np.array([[c, s], [-s, c]])
    region = region_from_joints(joints)
    crop = CropCamera.affine(Camera.from_fov(640, 480, 60), region, 224)
    assert np.ptp(crop.from_picture(joints), axis=0).max() == pytest.approx(0.9 * 224)


def test_a_margin_puts_the_whole_hand_in_the_middle():
    joints = hand_px(rotation=0.5)
    region = region_from_joints(joints, margin=1.3)
    crop = CropCamera.affine(Camera.from_fov(640, 480, 60), region, 224)
    seen = crop.from_picture(joints)
    low, high = seen.min(axis=0), seen.max(axis=0)
    np.testing.assert_allclose((low + high) / 2, 111.5)
    assert 1.3 < 224 / (high - low).max() < 1.5


def test_a_palm_outside_the_picture_is_noticed():
    assert palm_in_picture(Region((320, 200), 200), 640, 480)
    assert palm_in_picture(Region((320, 470), 10), 640, 480)
    assert not palm_in_picture(Region((320, 479), 200), 640, 480)  # its palm hangs below
    assert palm_in_picture(Region((320, 479), 200, np.pi), 640, 480)  # upside down it does not
    assert not palm_in_picture(Region((-1, 100), 1), 640, 480)
