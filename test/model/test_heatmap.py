"""Sub-pixel decoding of heatmaps."""

import numpy as np
import pytest

from cmr_ros.model.heatmap import decode

SIZE = 224


def gaussian_maps(joints_px, sigma_px, cells=112, peak=1.0):
    """Return heatmaps (N, cells, cells) of joints (N, 2) in pixels of a crop of SIZE."""
    centers = (np.arange(cells) + 0.5) * SIZE / cells - 0.5
    dx = centers[None, None, :] - joints_px[:, 0, None, None]
    dy = centers[None, :, None] - joints_px[:, 1, None, None]
    return (peak * np.exp(-(dx**2 + dy**2) / (2 * sigma_px**2))).astype(np.float32)


@pytest.mark.parametrize("cells, sigma_px", [(112, 3.5), (56, 3.5), (112, 5.0)])
def test_peaks_are_found_far_finer_than_cells(cells, sigma_px):
    joints = np.random.default_rng(0).uniform(30, 190, (50, 2))
    found, confidence, spread = decode(gaussian_maps(joints, sigma_px, cells), SIZE, sigma_px)
    assert np.abs(found - joints).max() < 0.02 * SIZE / cells
    assert np.all(confidence > 0.9)
    np.testing.assert_allclose(spread, sigma_px, rtol=0.1)


def test_background_hardly_pulls():
    joints = np.random.default_rng(1).uniform(30, 190, (50, 2))
    found, *_ = decode(gaussian_maps(joints, 3.5, peak=0.9) + 0.05, SIZE, 3.5)
    assert np.abs(found - joints).max() < 0.1


def test_batches_keep_their_shape():
    joints = np.random.default_rng(2).uniform(30, 190, (2 * 21, 2))
    maps = gaussian_maps(joints, 3.5).reshape(2, 21, 112, 112)
    found, confidence, spread = decode(maps, SIZE, 3.5)
    assert found.shape == (2, 21, 2) and confidence.shape == spread.shape == (2, 21)
    np.testing.assert_allclose(found.reshape(-1, 2), joints, atol=0.05)


@pytest.mark.parametrize("corner", [(0.0, 0.0), (223.0, 223.0), (0.0, 223.0)])
def test_peaks_at_the_border_stay_in_the_crop(corner):
    found, *_ = decode(gaussian_maps(np.array([corner]), 3.5), SIZE, 3.5)
    # Half of such a peak is cut off, so its mean lies inside by less than its width.
    assert np.all(found >= -0.5) and np.all(found <= SIZE - 0.5)
    assert np.abs(found - corner).max() < 3.5


def test_maps_that_are_not_square():
    maps = np.zeros((1, 28, 56), np.float32)
    maps[0, 13, 40] = 1
    found, *_ = decode(maps, SIZE, 3.5)
    np.testing.assert_allclose(found, [[40.5 * 4 - 0.5, 13.5 * 8 - 0.5]])


def test_a_dark_map_has_no_confidence_and_no_nan():
    found, confidence, spread = decode(np.zeros((3, 56, 56), np.float32), SIZE, 3.5)
    assert np.isfinite(found).all() and np.isfinite(spread).all() and not confidence.any()


def test_a_wider_peak_has_a_wider_spread():
    joints = np.full((3, 2), 100.0)
    spreads = [decode(gaussian_maps(joints, sigma), SIZE, 3.5)[2][0] for sigma in (2.5, 3.5, 5, 7)]
    assert np.all(np.diff(spreads) > 0)


def test_wide_peaks_are_read_in_a_wide_window():
    joints = np.random.default_rng(3).uniform(60, 160, (20, 2))
    maps = gaussian_maps(joints, 9.0)
    narrow, wide = (decode(maps, SIZE, sigma_px)[2] for sigma_px in (3.5, 9.0))
    np.testing.assert_allclose(wide, 9.0, rtol=0.1)
    assert np.all(narrow < 0.85 * wide)
