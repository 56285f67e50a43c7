"""The hand detector: what its map means, and the network on rendered hands."""

import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.regions import palm_center
from cmr_ros.model import weights
from cmr_ros.tracking.hand_detector import HandDetector, decode
from support.scenes import frames_of


@pytest.fixture(scope="module")
def detector():
    return HandDetector(weights.find(weights.HAND_DETECTION))


def cells(*hands):
    """Return a map (7, 20, 30) with hands: row, column, score logit and region."""
    cells = np.zeros((7, 20, 30), np.float32)
    cells[0] = -10
    for row, column, logit, region in hands:
        palm = (np.array(palm_center(region)) + 0.5) / 8 - 0.5
        up = np.sin(region.rotation_rad), -np.cos(region.rotation_rad)
        offset = palm - [column, row]
        cells[:, row, column] = [logit, *offset, np.log(region.size_px / 8), *up, 0]
    return cells


def test_a_map_tells_regions():
    region = Region((130.0, 70.0), 60.0, 0.7)
    (hand,) = decode(cells((10, 15, 2.0, region)), 0.1)
    np.testing.assert_allclose(hand.region.center_px, region.center_px, atol=1e-3)
    assert hand.region.size_px == pytest.approx(60, rel=1e-4)
    assert hand.region.rotation_rad == pytest.approx(0.7, abs=1e-4)
    assert hand.score == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_neighbours_of_a_peak_are_the_same_hand_and_the_best_comes_first():
    near, far = Region((100, 100), 40), Region((200, 60), 40)
    told = cells((12, 12, 1.0, near), (12, 13, 0.5, near), (8, 25, 2.0, far))
    assert [round(hand.score, 2) for hand in decode(told, 0.1)] == [0.88, 0.73]


def test_nonsense_has_finite_regions():
    told = np.full((7, 20, 30), 1e6, np.float32)
    assert all(np.isfinite(hand.region.corners_px()).all() for hand in decode(told, 0.1))


@pytest.mark.parametrize("size", [(480, 640), (1080, 1920), (224, 224), (31, 500)])
def test_pictures_of_any_size_are_taken(detector, size):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for hand in detector(picture):
        x, y = palm_center(hand.region)
        # At most a cell of the map beyond: 8 pixels of 320.
        near = 8 / 320 * max(size) + 8
        assert -near < x < size[1] + near and -near < y < size[0] + near


def test_a_part_is_answered_in_the_whole_pictures_pixels(detector):
    _, (frame,) = frames_of(hands=1, count=1)
    picture = frame.picture()
    best = detector(picture, (0, 0, *picture.shape[1::-1]))[0]
    grown = np.zeros((picture.shape[0] + 64, picture.shape[1] + 96, 3), np.uint8)
    grown[64:, 96:] = picture
    moved = detector(grown, (96, 64, *picture.shape[1::-1]))[0]
    np.testing.assert_allclose(
        np.subtract(moved.region.center_px, best.region.center_px), [96, 64], atol=1e-3
    )


def test_another_network_is_refused():
    with pytest.raises(InputError, match="hand detector"):
        HandDetector(weights.find(weights.PALM_DETECTION))
