"""Matching the images of two cameras, on printed planes whose depth is known at each pixel."""

import cv2
import numpy as np
import pytest

from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.camera_view import CameraView, seen_alike
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.geometry.stereo_matching import match_depth

CAMERA = Camera(640, 480, np.array([[560.0, 0, 320], [0, 560.0, 240], [0, 0, 1]]))
LENS = Camera(640, 480, CAMERA.matrix, np.array([0.09, -0.2, 0.001, -0.001, 0.05]), "plumb_bob")
NORMAL = np.array([0.3, -0.2, 1.0])
AT_M = np.array([0.04, -0.03, 0.6])


def picture(camera, rotation, translation_m, gain=1.0):
    """Return what a camera sees of a printed plane through AT_M."""
    grid = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), axis=-1)
    rays = camera.rays(grid) @ rotation  # in the first camera's frame
    center = -rotation.T @ translation_m
    points = center + rays * ((AT_M - center) @ NORMAL / (rays @ NORMAL))[..., None]
    print_px = cv2.GaussianBlur(
        np.random.default_rng(0).uniform(0, 255, (600, 600)).astype(np.float32), (0, 0), 1.5
    )
    place = ((points[..., :2] - AT_M[:2]) * 600 + 300).astype(np.float32)
    print_px = 128 + 4 * (print_px - print_px.mean())
    shown = cv2.remap(print_px, place[..., 0], place[..., 1], cv2.INTER_LINEAR)
    return np.repeat(np.clip(gain * shown, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def views(camera, baseline_m, gain=1.0):
    turn = cv2.Rodrigues(np.array([0.01, -0.03, 0.02]))[0]
    shift_m = -turn @ np.asarray(baseline_m)
    first = CameraView(picture(camera, np.eye(3), np.zeros(3)), camera)
    return first, CameraView(picture(camera, turn, shift_m, gain), camera, turn, shift_m)


@pytest.mark.parametrize(
    ("camera", "mirrored", "baseline_m"),
    [
        (CAMERA, False, [0.12, 0, 0]),
        (LENS, True, [0.12, 0, 0]),
        (CAMERA, True, [-0.1, 0, 0]),
        (CAMERA, False, [0.01, 0.08, 0]),
    ],
)
def test_depths_are_those_of_the_plane(camera, mirrored, baseline_m):
    first, other = views(camera, baseline_m, gain=0.6)
    region = Region(tuple(camera.project(AT_M)), 200, 0.4)
    crop = CropCamera.looking_at(camera, region, 224, mirrored)
    matched = match_depth(crop, first, other, AT_M * 1.05)
    grid = np.stack(np.meshgrid(np.arange(224), np.arange(224)), axis=-1)
    rays = np.concatenate([grid, np.ones((224, 224, 1))], axis=-1) @ np.linalg.inv(crop.matrix).T
    normal, at_m = crop.rotation @ NORMAL, crop.from_camera(AT_M)
    truth_m = at_m @ normal / (rays @ normal)
    known = matched.depth_m > 0
    assert known[40:-40, 40:-40].mean() > 0.9
    off_m = np.abs(matched.depth_m - truth_m)[40:-40, 40:-40][known[40:-40, 40:-40]]
    assert np.median(off_m) < 0.2 * matched.step_m and np.percentile(off_m, 90) < matched.step_m
    apart_m = np.linalg.norm(baseline_m)
    assert matched.step_m == pytest.approx(0.6**2 / (400 * apart_m), rel=0.15)


def test_views_that_differ_too_much_are_not_matched():
    first, other = views(CAMERA, [0.3, 0, 0])
    crop = CropCamera.looking_at(CAMERA, Region((320, 240), 200), 224)
    assert match_depth(crop, first, other, AT_M) is None
    assert match_depth(crop, first, other, -AT_M) is None


def test_a_region_is_seen_alike_in_the_other_view():
    first, other = views(LENS, [0.12, 0, 0])
    region = Region((300, 250), 120, 0.5)
    beside = seen_alike(region, 0.6, first, other)
    corners = [
        view.camera.rays(one.corners_px()) for view, one in ((first, region), (other, beside))
    ]
    points = corners[0] / corners[0][:, 2:] * 0.6
    off_px = other.camera.project(other.from_first(points)) - beside.corners_px()
    assert np.abs(off_px).max() < 3
    assert seen_alike(region, -0.6, first, other) is None
