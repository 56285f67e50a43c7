"""Overlays and masks, checked against the definition of the crop camera."""

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand import Hand
from cmr_ros.viewing.drawing import hand_mask, label, mesh_outlines, outward_faces, overlay

PINHOLE = Camera.from_fov(640, 480, 65)
LENS = Camera(640, 480, PINHOLE.matrix, np.array([-0.3, 0.1, 0.001, -0.002, 0.0]), "plumb_bob")
#: A tetrahedron about the hand's size stands for the mesh.
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
TEMPLATE = SimpleNamespace(faces=(FACES,))


def disc(radius=0.3, hole=0.0, cells=56):
    """Return a silhouette with soft edges whose radii are shares of the crop."""
    x = (np.arange(cells) + 0.5) / cells - 0.5
    distance = np.hypot(x[:, None], x[None])
    outer = np.clip((radius - distance) * cells + 0.5, 0, 1)
    return outer * np.clip((distance - hole) * cells + 0.5, 0, 1) if hole else outer


def make_hand(camera=PINHOLE, center=(300, 220), size=200.0, depth_m=0.5, **changes):
    left = changes.get("handedness") is Handedness.LEFT
    region = Region(center, size, 0.4)
    crop = CropCamera.looking_at(camera, region, 224, mirrored=left)
    root = depth_m * camera.rays(np.array(center))
    corners = np.array([[-1, 1, 0], [1, 1, 0.2], [0, -1, 0], [0, 0.2, -1]]) * 0.05
    joints = root + np.linspace(-0.04, 0.04, 63).reshape(21, 3)
    fields = dict(
        track_id=3,
        handedness=Handedness.RIGHT,
        score=0.9,
        joints_m=joints,
        vertices_m=root + corners,
        joint_covariances_m2=np.tile(np.diag([1e-6, 1e-6, 144e-6]), (21, 1, 1)),
        pose_covariances_m2=np.zeros((21, 3, 3)),
        length_m=0.186,
        length_deviation_m=0.01,
        rms_px=1.0,
        registration="joints",
        region=region,
        joints_px=camera.project(joints),
        joint_confidence=np.ones(21),
        silhouette=disc(),
        silhouette_camera=crop,
    )
    return Hand(**{**fields, **changes})


def expected_mask(hand, camera):
    """Return the pixels whose place in the hand's crop has a silhouette above one half."""
    corners = hand.region.corners_px()
    low = np.clip(corners.min(axis=0) - 5, 0, None).astype(int)
    high = np.clip(corners.max(axis=0) + 5, 0, (camera.width, camera.height)).astype(int)
    grid = np.stack(
        np.meshgrid(*(np.arange(*span) for span in zip(low, high, strict=True))), axis=-1
    )
    cells = (hand.silhouette_camera.from_picture(grid) + 0.5) * 56 / 224 - 0.5
    x, y = np.moveaxis(cells.astype(np.float32), -1, 0)
    mask = np.zeros((camera.height, camera.width), bool)
    mask[low[1] : high[1], low[0] : high[0]] = (
        cv2.remap(hand.silhouette.astype(np.float32), x, y, cv2.INTER_LINEAR) > 0.5
    )
    return mask


@pytest.mark.parametrize("camera", [PINHOLE, LENS])
@pytest.mark.parametrize("handedness", [Handedness.LEFT, Handedness.RIGHT])
@pytest.mark.parametrize("hole", [0.0, 0.15])
def test_the_mask_is_the_silhouette_seen_by_the_picture(camera, handedness, hole):
    silhouette = disc(hole=hole)
    silhouette[:28, :10] = 1  # not symmetric, so that mirrored hands show
    hand = make_hand(
        camera, center=(480, 340), size=90.0, handedness=handedness, silhouette=silhouette
    )
    mask, expected = hand_mask([hand], camera) > 0, expected_mask(hand, camera)
    # Outlines are true to half a pixel.
    tolerance = cv2.morphologyEx(expected.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3)))
    assert not ((mask != expected) & (tolerance == 0)).any()
    assert (mask & expected).sum() / (mask | expected).sum() > 0.9
    assert set(np.unique(hand_mask([hand], camera))) == {0, 1}


@pytest.mark.parametrize("near_first", [True, False])
def test_the_nearer_hand_is_in_front(near_first):
    near, far = make_hand(depth_m=0.4), make_hand(center=(360, 220), depth_m=0.6)
    hands = [near, far] if near_first else [far, near]
    mask = hand_mask(hands, PINHOLE)
    both = expected_mask(near, PINHOLE) & expected_mask(far, PINHOLE)
    assert both.sum() > 1000
    assert (mask[both] == (1 if near_first else 2)).mean() > 0.99
    assert set(np.unique(mask)) == {0, 1, 2}


def test_no_hands_no_marks():
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    assert not hand_mask([], PINHOLE).any()
    np.testing.assert_array_equal(overlay(picture, [], TEMPLATE, PINHOLE), picture)
    empty = make_hand(silhouette=np.zeros((56, 56)))
    assert not hand_mask([empty], PINHOLE).any()


def test_the_overlay_is_a_copy_and_marks_the_hand():
    picture = np.full((480, 640, 3), 128, np.uint8)
    drawn = overlay(picture, [make_hand()], TEMPLATE, PINHOLE)
    assert (picture == 128).all() and drawn.shape == picture.shape and drawn.dtype == np.uint8
    changed = (drawn != 128).any(axis=2)
    assert changed[150:300, 230:380].mean() > 0.3 and not changed[:, 500:].any()


def test_the_mesh_is_shaded_in_the_colour_of_its_side():
    picture = np.zeros((480, 640, 3), np.uint8)
    empty = np.zeros((56, 56))
    right = overlay(picture, [make_hand(silhouette=empty)], TEMPLATE, PINHOLE)
    hand = make_hand(silhouette=empty, handedness=Handedness.LEFT)
    mirrored = hand.vertices_m * [-1, 1, 1] + [2 * hand.joints_m[0, 0], 0, 0]
    left = overlay(
        picture,
        [make_hand(silhouette=empty, handedness=Handedness.LEFT, vertices_m=mirrored)],
        TEMPLATE,
        PINHOLE,
    )
    assert right.reshape(-1, 3).sum(axis=0).argmax() == 2  # blue
    assert left.reshape(-1, 3).sum(axis=0).argmax() == 0  # orange


def test_faces_of_left_hands_are_turned_outward():
    assert outward_faces(TEMPLATE, make_hand()) is FACES
    left = outward_faces(TEMPLATE, make_hand(handedness=Handedness.LEFT))
    np.testing.assert_array_equal(left, FACES[:, ::-1])


@pytest.mark.parametrize("center", [(-50, 20), (630, 470), (300, -90), (3000, 3000)])
def test_hands_at_the_border_and_beyond(center):
    hand = make_hand(center=center)
    picture = np.zeros((480, 640, 3), np.uint8)
    assert overlay(picture, [hand], TEMPLATE, PINHOLE).shape == picture.shape
    assert hand_mask([hand], PINHOLE).shape == (480, 640)


def test_what_a_folding_lens_does_not_see_is_not_drawn():
    lens = Camera(640, 480, [[500, 0, 320], [0, 500, 240], [0, 0, 1]], [-0.3, 0, 0, 0], "plumb_bob")
    aside = np.array([0.9, 0, 0.5])
    hand = make_hand(lens, silhouette=np.zeros((56, 56)))
    joints = aside + hand.joints_m - hand.joints_m[0]
    ghost = replace(hand, joints_m=joints, vertices_m=aside + hand.vertices_m - hand.joints_m[0])
    pixels = lens.project(ghost.vertices_m)
    assert not lens.sees(ghost.vertices_m).any() and (0 < pixels).all() and pixels.max() < 640
    picture = np.zeros((480, 640, 3), np.uint8)
    assert not overlay(picture, [ghost], TEMPLATE, lens).any()
    assert mesh_outlines(ghost.vertices_m, FACES, lens) == []
    half = replace(hand, joints_m=np.concatenate([hand.joints_m[:11], joints[11:]]))
    assert overlay(picture, [half], TEMPLATE, lens).any()


def test_the_label_says_which_hand_how_far_and_how_sure():
    assert label(make_hand()) == ["right #3  90%", f"{make_hand().joints_m[0, 2]:.3f} m +-12 mm"]
