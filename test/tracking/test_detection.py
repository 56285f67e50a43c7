"""The palm detector: its arithmetic, and the network on real pictures."""

import cv2
import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.files.pictures import read_picture
from cmr_ros.geometry.regions import palm_overlap
from cmr_ros.model import weights
from cmr_ros.tracking.detection import (
    PalmDetector,
    Window,
    anchor_centers,
    decode_palms,
    hand_region,
    letterbox,
    suppress,
)
from support.shared import SHARED

FRAMES = SHARED / "real" / "frames"
needs_pictures = pytest.mark.skipif(not FRAMES.is_dir(), reason=f"no real pictures in {FRAMES}")


@pytest.fixture(scope="module")
def detector():
    return PalmDetector(weights.find(weights.PALM_DETECTION))


def palm(center, side, up=(0.0, -1.0)):
    """Return the points (9, 2) of a palm: a square box, wrist and middle finger's base in line."""
    center, up = np.array(center, float), np.array(up)
    points = np.tile(center, (9, 1))
    points[:2] += [[-side / 2, -side / 2], [side / 2, side / 2]]
    points[2] -= 0.4 * side * up
    points[4] += 0.4 * side * up
    return points


def test_anchors_are_the_cells_of_both_maps():
    anchors = anchor_centers(192)
    assert anchors.shape == (2016, 2)
    np.testing.assert_array_equal(anchors[:4], [[4, 4], [4, 4], [12, 4], [12, 4]])
    np.testing.assert_array_equal(anchors[2 * 24 * 24 : 2 * 24 * 24 + 7], [[8, 8]] * 6 + [[24, 8]])
    np.testing.assert_array_equal(anchors[-1], [184, 184])


def test_decoding_turns_offsets_and_sizes_into_corners():
    raw = np.zeros((1, 18))
    raw[0, :6] = [1, 2, 10, 20, -3, 5]
    points = decode_palms(raw, np.array([[100.0, 50.0]]))[0]
    np.testing.assert_array_equal(points[:3], [[96, 42], [106, 62], [97, 55]])


def test_overlapping_palms_are_averaged_by_their_scores():
    near = [palm((50, 50), 20), palm((53, 50), 20), palm((120, 50), 20)]
    palms = suppress(np.stack(near), np.array([0.6, 0.9, 0.7]))
    assert [score for _, score in palms] == [0.9, 0.7]
    center = palms[0][0][:2].mean(axis=0)
    np.testing.assert_allclose(center, [(0.6 * 50 + 0.9 * 53) / 1.5, 50])


def test_suppression_ends_for_boxes_without_area():
    assert len(suppress(np.zeros((3, 9, 2)), np.full(3, 0.9))) == 3


@pytest.mark.parametrize("size", [(480, 640), (640, 480), (100, 1000), (50, 60), (192, 192)])
def test_letterboxed_places_lead_back_into_the_picture(size):
    y, x = size[0] // 3, size[1] // 2
    picture = np.zeros((*size, 3), np.uint8)
    block = max(size) // 64
    picture[y - block : y + block + 1, x - block : x + block + 1] = 255
    square, (scale, offset) = letterbox(picture, Window.around(*picture.shape[1::-1]), 192)
    assert square.shape == (192, 192, 3)
    weight = square[..., 0].astype(float)
    grid = np.arange(192) + 0.5  # the centre of the first input pixel lies at 0.5
    found = np.array([weight.sum(axis=0) @ grid, weight.sum(axis=1) @ grid]) / weight.sum()
    np.testing.assert_allclose(found * scale + offset, [x, y], atol=0.5 * scale + 0.1)


def test_regions_follow_mediapipes_rule():
    region = hand_region(palm((100, 100), 40))
    assert region.size_px == pytest.approx(2.6 * 40) and region.rotation_rad == 0
    np.testing.assert_allclose(region.center_px, (100, 80))
    region = hand_region(palm((100, 100), 40, up=(1.0, 0.0)))
    assert region.rotation_rad == pytest.approx(np.pi / 2)
    np.testing.assert_allclose(region.center_px, (120, 100))


def test_nothing_is_found_where_nothing_is(detector):
    assert detector(np.zeros((480, 640, 3), np.uint8)) == []
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    assert detector(noise) == []


def test_tiny_pictures_do_no_harm(detector):
    assert detector(np.zeros((1, 1, 3), np.uint8)) == []
    assert detector(np.zeros((1, 500, 3), np.uint8)) == []


def test_files_that_are_not_the_detector_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        PalmDetector(tmp_path / "none.onnx")
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(InputError, match="cannot load"):
        PalmDetector(tmp_path / "junk.onnx")


@needs_pictures
@pytest.mark.parametrize("turn", [None, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE])
def test_a_real_palm_is_found_however_it_is_turned(detector, turn):
    picture = read_picture(FRAMES / "hand_thumb_up.jpg")
    (expected,) = detector(picture)
    if turn is None:
        assert expected.score > 0.8
        return
    (found,) = detector(cv2.rotate(picture, turn))
    height, width = picture.shape[:2]
    x, y = found.region.center_px
    back = (width - 1 - x, height - 1 - y) if turn == cv2.ROTATE_180 else (y, height - 1 - x)
    distance = np.linalg.norm(np.subtract(back, expected.region.center_px))
    assert distance < 0.15 * expected.region.size_px


@needs_pictures
def test_scale_hardly_matters(detector):
    picture = read_picture(FRAMES / "hand_thumb_up.jpg")
    (large,) = detector(picture)
    (small,) = detector(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    region = small.region
    center = tuple(2 * (c + 0.5) - 0.5 for c in region.center_px)
    doubled = type(region)(center, 2 * region.size_px, region.rotation_rad)
    assert palm_overlap(doubled, large.region) > 0.8
