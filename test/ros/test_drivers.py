"""What the node makes of each driver's images, camera_info, depth and compressed images."""

import re

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
from sensor_msgs.msg import CameraInfo, CompressedImage

from cmr_ros.errors import InputError
from cmr_ros.ros.messages import to_camera
from cmr_ros.ros.pictures import decompress, to_depth, to_rgb
from support.camera_images import HEIGHT, WIDTH, coded, image, in_bits, packed, scene
from support.drivers import DRIVERS, table
from support.shared import ROOT

RGB = scene()
GREY = cv2.cvtColor(cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def cases(what: str) -> list:
    return [
        pytest.param(driver, one, id=f"{driver.name}-{getattr(one, 'model', one)}-{number}")
        for driver in DRIVERS
        for number, one in enumerate(getattr(driver, what))
    ]


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    return np.abs(found.astype(int) - expected)[2:-2, 2:-2].mean()


@pytest.mark.parametrize("driver, encoding", cases("encodings"))
def test_images(driver, encoding):
    name = encoding.replace("16", "8")
    data = packed(name) if name == encoding else in_bits(packed(name), driver.bits, 0)
    expected = GREY if "mono" in encoding else RGB
    assert difference(to_rgb(image(encoding, data)), expected) < 4


@pytest.mark.parametrize("driver, info", cases("infos"))
def test_camera_info(driver, info):
    k = info.k or [50.0, 0, 31.5, 0, 50, 23.5, 0, 0, 1]
    message = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model=info.model, d=info.d, k=k)
    if isinstance(info.becomes, str):
        with pytest.raises(InputError, match=info.becomes):
            to_camera(message, rectified=False)
        return
    camera = to_camera(message, rectified=False)
    assert (camera.distortion_model, camera.distortion.size) == info.becomes
    # Through a pixel and back, and by OpenCV itself where the lens bends.
    pixels = np.array([[31.5, 23.5], [45, 12], [8, 40]])
    rays = camera.rays(pixels)
    np.testing.assert_allclose(camera.project(rays), pixels, atol=1e-6)
    kept = [one for one in info.d if one] if info.becomes[0] == "equidistant" else info.d
    if kept:
        lens = cv2.fisheye if info.becomes[0] == "equidistant" else cv2
        zero = np.zeros(3)
        there, _ = lens.projectPoints(
            rays[:, None], zero, zero, np.reshape(k, (3, 3)), np.array(kept, float)
        )
        np.testing.assert_allclose(there[:, 0], pixels, atol=1e-6)


@pytest.mark.parametrize("driver, encoding", cases("depths"))
def test_depth(driver, encoding):
    depth_m = np.full((HEIGHT, WIDTH), 0.731, np.float32)
    data = depth_m if encoding == "32FC1" else np.round(1000 * depth_m).astype("<u2")
    np.testing.assert_allclose(to_depth(image(encoding, data)), depth_m, atol=1e-6)


@pytest.mark.parametrize("driver, format", cases("formats"))
def test_compressed_images(driver, format):
    mosaic = format.startswith("bayer") and "mono" not in format
    values = packed(format.split(";")[0]) if mosaic else packed("bgr8")
    if "mono" in format:
        values = packed("mono8")
    data = coded(".png" if "png" in format else ".jpg", values)
    found = decompress(CompressedImage(format=format, data=data))
    assert difference(found, GREY if "mono" in format else RGB) < 4


def test_the_page_shows_the_table():
    page = (ROOT / "docs/ros.md").read_text()
    shown = re.search(
        r"<!-- Rendered from test/support/drivers.py[^\n]*-->\n\n(.*?)\n\n", page, re.S
    )
    assert shown and shown.group(1) == table(), f"expected in docs/ros.md:\n\n{table()}"
