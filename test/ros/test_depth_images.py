"""Depth images from messages, raw and compressed."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
from sensor_msgs.msg import CompressedImage

from cmr_ros.errors import InputError
from cmr_ros.ros.pictures import to_depth
from support.camera_images import HEIGHT, WIDTH, coded, compressed_depth, image, scene


@pytest.mark.parametrize("is_bigendian", [0, 1])
@pytest.mark.parametrize("padding", [0, 6])
def test_depth_in_millimetres_and_metres(is_bigendian, padding):
    depth_m = np.linspace(0, 65.535, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)
    order = ">" if is_bigendian else "<"
    for encoding, data in {
        "16UC1": np.round(1000 * depth_m).astype(f"{order}u2"),
        "mono16": np.round(1000 * depth_m).astype(f"{order}u2"),
        "32FC1": depth_m.astype(f"{order}f4"),
    }.items():
        rows = np.ascontiguousarray(data).view(np.uint8).reshape(HEIGHT, -1)
        padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
        found = to_depth(image(encoding, padded, is_bigendian=is_bigendian))
        assert found.dtype == np.float32 and found.dtype.isnative
        np.testing.assert_allclose(found, depth_m, atol=0.00051, err_msg=encoding)


def test_unknown_depth_stays_unknown():
    depth_m = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    assert np.isnan(to_depth(image("32FC1", depth_m))).all()
    assert not to_depth(image("16UC1", np.zeros((HEIGHT, WIDTH), np.uint16))).any()


@pytest.mark.parametrize("encoding", ["rgb8", "mono8", "", "32FC3"])
def test_what_is_no_depth_is_named(encoding):
    with pytest.raises(InputError, match=f"{encoding!r}.*16UC1.*32FC1"):
        to_depth(image(encoding, scene()))


@pytest.mark.parametrize("fields", [{"height": 49}, {"step": 127}, {"width": 65}, {"width": 0}])
def test_depth_sizes_that_do_not_fit_are_named(fields):
    message = image("16UC1", np.zeros((HEIGHT, WIDTH), np.uint16))
    for name, value in fields.items():
        setattr(message, name, value)
    with pytest.raises(InputError, match=f"{message.width}x{message.height} '16UC1'"):
        to_depth(message)


@pytest.mark.parametrize("codec", ["; compressedDepth png", "; compressedDepth", ""])
def test_compressed_depth_in_millimetres_and_metres(codec):
    depth_m = np.linspace(0.3, 5, WIDTH * HEIGHT, dtype=np.float32).reshape(HEIGHT, WIDTH)
    depth_mm = np.round(1000 * depth_m).astype(np.uint16)
    found = to_depth(compressed_depth(depth_mm, codec))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, depth_m, atol=0.00051)
    depth_m[0, 0] = np.nan
    found = to_depth(compressed_depth(depth_m, codec))
    assert found.dtype == np.float32 and np.isnan(found[0, 0])
    # One of 10100 steps of the inverse depth.
    assert np.nanmax(np.abs(found / depth_m - 1)) < 5 / 10100


@pytest.mark.parametrize(
    "format, data, words",
    [
        ("16UC1; compressedDepth rvl", bytes(99), "rvl.*no depth image in PNG.*format: png"),
        ("16UC1; png compressed", bytes(99), "no depth image in PNG.*format: png"),
        ("bgr8; jpeg compressed bgr8", bytes(99), "'bgr8' is not a depth encoding.*16UC1"),
        ("zstd", bytes(99), "'zstd' is not a depth encoding.*16UC1"),
        ("16UC1; compressedDepth png", b"", "0 bytes, cannot be decoded"),
        ("32FC1; compressedDepth png", bytes(99), "cannot be decoded.*format: png"),
        ("16UC1; compressedDepth png", bytes(12) + coded(".png", scene()), "no depth image of 16"),
        ("16UC1; compressedDepth png", coded(".png", scene()), "cannot be decoded"),
    ],
)
def test_what_is_no_compressed_depth_is_named(format, data, words):
    with pytest.raises(InputError, match=words):
        to_depth(CompressedImage(format=format, data=data))
