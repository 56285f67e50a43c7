"""The view of hands in 3D: they are where the eye would see them."""

import numpy as np

from cmr_ros.model import weights
from cmr_ros.model.template import HandTemplate
from cmr_ros.viewing.scene_view import scene_view
from support.made_up_hands import camera, hand

SIZE = (400, 300)


def seen(hands, turn_rad=0.0):
    template = HandTemplate.load(weights.find(weights.HAND_NETWORK) / "template.npz")
    return scene_view(hands, template, camera(), SIZE, turn_rad).astype(int)


def changed(first, second):
    """Return the middle (x, y) and the number of the pixels that differ."""
    y, x = np.nonzero(np.abs(first - second).max(axis=2) > 8)
    return np.array([x.mean(), y.mean()]), len(x)


def test_hands_stand_to_the_left_of_the_camera_and_far_ones_are_smaller():
    empty = seen([])
    assert empty.shape == (300, 400, 3)
    near, near_pixels = changed(empty, seen([hand(depth_m=0.35, vertex_count=800)]))
    far, far_pixels = changed(empty, seen([hand(depth_m=1.2, vertex_count=800)]))
    assert far[0] < near[0] < 300 and far_pixels < near_pixels


def test_the_eye_turns():
    _, pixels = changed(seen([]), seen([], 0.25))
    assert pixels > 300


def test_what_is_behind_the_eye_is_left_out():
    template_hand = hand(depth_m=-5.0, vertex_count=800)
    assert seen([template_hand]).shape == (300, 400, 3)
