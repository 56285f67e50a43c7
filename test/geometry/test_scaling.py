"""Images scaled down keep what they show where it is, without aliasing."""

import cv2
import numpy as np
import pytest

from cmr_ros.geometry.scaling import resize


@pytest.mark.parametrize("size", [(320, 240), (192, 144), (97, 128), (640, 480), (900, 700)])
def test_everything_stays_where_it_is(size):
    x, y = np.meshgrid(np.arange(640.0), np.arange(480.0))
    width, height = size
    small = resize(np.stack([x, y], axis=-1), width, height)
    # Centres of pixels lie at integers; where a box ends within a pixel its mean is a little off.
    across = (np.arange(width) + 0.5) * 640 / width - 0.5
    down = (np.arange(height) + 0.5) * 480 / height - 0.5
    wanted = np.stack(np.meshgrid(across, down), axis=-1)
    assert np.abs(small - wanted)[8:-8, 8:-8].max() < 0.2


@pytest.mark.parametrize("size", [(320, 240), (131, 100), (33, 25)])
def test_all_pixels_count(size):
    texture = np.random.default_rng(1).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    small = resize(texture, *size).astype(float)
    mean = cv2.resize(texture, size, interpolation=cv2.INTER_AREA).astype(float)
    picked = cv2.resize(texture, size, interpolation=cv2.INTER_NEAREST).astype(float)
    assert small.shape == mean.shape
    assert small.std() < 1.3 * mean.std() < 0.7 * picked.std()
