"""The field of view that a photograph states."""

import numpy as np
import pytest

pytest.importorskip("PIL", reason="Pillow is not installed")
from PIL import Image

from cmr_ros.files.exif import horizontal_fov_deg


def photograph(path, focal_mm, size=(60, 40)):
    image = Image.fromarray(np.full((size[1], size[0], 3), 90, np.uint8))
    exif = Image.Exif()
    if focal_mm is not None:
        exif.get_ifd(0x8769)[0xA405] = focal_mm
    image.save(path, exif=exif)
    return path


def test_half_the_width_of_the_film_is_45_degrees(tmp_path):
    path = photograph(tmp_path / "photo.jpg", 18)
    assert horizontal_fov_deg(path, 60, 40) == pytest.approx(90, abs=0.01)
    assert horizontal_fov_deg(path, 40, 60) == pytest.approx(67.38, abs=0.01)  # upright


@pytest.mark.parametrize("focal_mm", [None, 0])
def test_unknown_focal_lengths_are_none(tmp_path, focal_mm):
    assert horizontal_fov_deg(photograph(tmp_path / "p.jpg", focal_mm), 60, 40) is None


@pytest.mark.parametrize("damage", [lambda data: data[:30], lambda data: data[:20] + b"\xff" * 60])
def test_damaged_photographs_say_nothing(tmp_path, damage):
    path = photograph(tmp_path / "photo.jpg", 18)
    path.write_bytes(damage(path.read_bytes()))
    assert horizontal_fov_deg(path, 60, 40) is None
