"""A head that says where in a badly placed crop the hand is."""

import math

import numpy as np
import pytest
import torch

from cmr_ros.geometry.regions import region_from_joints
from cmr_ros.network.crop_head import RegionHead
from cmr_ros.training import region_head
from cmr_ros.training.batches import Batch

SIZE = 224


def batch(joints_px, shows, presence):
    count = len(joints_px)
    empty = torch.zeros(count, 1)
    return Batch(
        vertices=empty, joints=empty, joints_px=torch.from_numpy(np.float32(joints_px)),
        mask=empty, weights=empty, images=torch.zeros(count, SIZE, SIZE, 3, dtype=torch.uint8),
        presence=torch.tensor(presence), shows=torch.tensor(shows),
    )  # fmt: skip


@pytest.fixture
def hand(shipped_template):
    """Joints (21, 2) of a hand that fills a crop, fingers up."""
    along, across, _ = shipped_template.joints(shipped_template.vertices[0]).T
    joints = np.stack([across, -along], axis=1)
    return (joints - joints.mean(axis=0)) / np.ptp(joints, axis=0).max() * 150 + SIZE / 2


def test_the_truth_is_the_region_of_the_joints(hand):
    turn = np.array([[0, -1], [1, 0]])
    small = 0.5 * (hand - SIZE / 2) @ turn.T + [90, 140]
    plain = torch.zeros(3, dtype=torch.bool)
    found = region_head.truth(batch([hand, small, hand], [True] * 3, [0.99] * 3), plain)
    for row, joints_px in zip(found[:2], (hand, small), strict=True):
        region = region_from_joints(joints_px)
        up = math.sin(region.rotation_rad), -math.cos(region.rotation_rad)
        center = (np.array(region.center_px) + 0.5) / SIZE
        expected = [1, *center, math.log(region.size_px / SIZE), *up]
        np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-6)
    # A quarter of a turn clockwise, as seen in the image.
    np.testing.assert_allclose(found[1, 4:], [-found[0, 5], found[0, 4]], atol=1e-5)


def test_the_truth_of_a_mirrored_crop_is_that_of_mirrored_joints(hand):
    shifted = hand + [20, -5]
    flipped = np.array([SIZE - 1, 0]) + shifted * [-1, 1]
    samples = batch([shifted, flipped], [True] * 2, [0.99] * 2)
    found = region_head.truth(samples, torch.tensor([True, False]))
    # A left hand's palm lies a little to the other side of its region.
    np.testing.assert_allclose(found[0], found[1], atol=0.05)


@pytest.mark.parametrize(
    ("shows", "presence", "change", "expected"),
    [
        (False, 0.01, lambda px: px, 0.0),
        (False, math.nan, lambda px: px, math.nan),
        (True, math.nan, lambda px: px, 1.0),
        (True, math.nan, lambda px: px + [170, 0], math.nan),
        (True, 0.01, lambda px: 0.1 * px + 90, math.nan),
    ],
    ids=["no hand", "unknown", "a hand", "hardly inside", "an arm"],
)
def test_what_is_not_known_is_not_taught(hand, shows, presence, change, expected):
    samples = batch([change(hand)], [shows], [presence])
    found = region_head.truth(samples, torch.zeros(1, dtype=torch.bool))[0, 0]
    np.testing.assert_equal(float(found), expected)


def test_a_head_learns_where_a_hand_is():
    torch.manual_seed(0)
    count, cells = 512, 14
    center = 0.2 + 0.6 * torch.rand(count, 2)
    line = (torch.arange(cells) + 0.5) / cells
    away = (line - center[:, :1])[:, None] ** 2 + ((line - center[:, 1:]) ** 2)[:, :, None]
    is_hand = torch.rand(count) < 0.7
    blob = (-away / 0.02).exp() * is_hand[:, None, None]
    maps = torch.randn(1, count, 8, cells, cells) / 10
    maps[0, :, 0] += 3 * blob
    rows = torch.cat([center, torch.zeros(count, 2), -torch.ones(count, 1)], dim=1)
    regions = torch.cat([is_hand[:, None].float(), rows], dim=1)[None]
    head = RegionHead(8, 16)
    region_head.fit(head, maps, regions, epochs=20)
    told = head(maps[0])
    assert ((told[:, 0] > 0.5) == is_hand).float().mean() > 0.95
    assert (told[is_hand, 1:3] - center[is_hand]).norm(dim=1).median() < 0.05
    text = region_head.describe(head, maps, regions)
    assert text.startswith(f"{int(is_hand.sum())} of them, badly placed, show a hand: 0.")
