"""Figures of how images look, and how well sets are told apart by numbers."""

import cv2
import numpy as np
import pytest

from cmr_ros.evaluation.look import auc, border_of, statistics, told_apart


def groups(rng, middle, count=4):
    return [rng.normal(middle, 1, (30, 6)) for _ in range(count)]


def test_area_under_the_curve_counts_pairs():
    assert auc(np.array([0.0, 1, 2]), np.array([1.0, 3])) == pytest.approx((1.5 + 3) / 6)
    assert auc(np.array([0.0, np.nan]), np.array([1.0])) == 1.0


def test_only_sets_that_differ_are_told_apart():
    rng = np.random.default_rng(0)
    alike, _, _ = told_apart(groups(rng, 0.0), groups(rng, 0.0))
    assert np.mean(alike) == pytest.approx(0.5, abs=0.1)
    apart, first, second = told_apart(groups(rng, 0.0), groups(rng, 1.0))
    assert np.mean(apart) > 0.9
    assert np.concatenate(second).mean() > np.concatenate(first).mean()


def test_what_one_collection_has_of_its_own_does_not_help_to_tell_the_others():
    rng = np.random.default_rng(1)
    first, second = groups(rng, 0.0), groups(rng, 0.0)
    first[0][:, 0] += 50  # a collection like no other
    areas, _, _ = told_apart(first, second)
    assert np.mean(areas[1:]) == pytest.approx(0.5, abs=0.12)


def crop(rng, noise=8.0):
    """Return a light hand before a dark wall, its silhouette, and a black border on the left."""
    hand = np.zeros((224, 224), np.uint8)
    cv2.circle(hand, (120, 130), 60, 1, -1)
    picture = np.where(hand[..., None] > 0, [200, 150, 120], [60, 60, 60])
    picture = np.clip(picture + rng.normal(0, noise, picture.shape), 1, 255).astype(np.uint8)
    picture[:, :30] = 0
    return picture, hand > 0


def test_figures_say_what_was_drawn():
    picture, hand = crop(np.random.default_rng(2))
    found = statistics(picture, hand)
    assert border_of(picture).mean() == pytest.approx(30 / 224, abs=0.01)
    assert found["skin: lightness"] > found["around: lightness"] + 20
    assert found["skin: chroma"] > 15 > found["around: chroma"]
    assert found["clipped black, share"] == 0, "borders do not count"
    noisy = statistics(*crop(np.random.default_rng(2), noise=25.0))
    assert noisy["noise"] > 2 * found["noise"]
    blurred = statistics(cv2.GaussianBlur(picture, (0, 0), 2), hand)
    assert blurred["skin: detail of 1 px"] < 0.5 * found["skin: detail of 1 px"]


def test_what_has_no_hand_has_no_skin():
    picture, hand = crop(np.random.default_rng(3))
    assert np.isnan(statistics(picture, np.zeros_like(hand))["skin: lightness"])
