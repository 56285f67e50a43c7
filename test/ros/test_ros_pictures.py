"""Pictures from messages: every encoding, against an independent library and by hand."""

from array import array

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cmr_ros.errors import InputError
from cmr_ros.ros.pictures import decompress, to_depth, to_image, to_rgb

WIDTH, HEIGHT = 64, 48


def scene() -> np.ndarray:
    """A smooth picture of many colours, RGB: chroma sampled in pairs loses little of it."""
    x, y = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    return (255 * np.stack([x, y, 0.5 + 0.4 * np.sin(4 * x)], axis=-1)).astype(np.uint8)


def image(encoding, data, step=None, width=WIDTH, height=HEIGHT, **fields) -> Image:
    data = np.ascontiguousarray(data)
    step = step or data.nbytes // data.shape[0]
    message = Image(encoding=encoding, width=width, height=height, step=step, **fields)
    message.data = array("B", data.tobytes())
    return message


def packed(encoding: str) -> np.ndarray:
    rgb = scene()
    bayer = {
        "bayer_rggb8": ((0, 1), (1, 2)),
        "bayer_bggr8": ((2, 1), (1, 0)),
        "bayer_gbrg8": ((1, 2), (0, 1)),
        "bayer_grbg8": ((1, 0), (2, 1)),
    }
    if encoding in bayer:
        mosaic = np.empty((HEIGHT, WIDTH), np.uint8)
        for row, channels in enumerate(bayer[encoding]):
            for column, channel in enumerate(channels):
                mosaic[row::2, column::2] = rgb[row::2, column::2, channel]
        return mosaic
    planes = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420).ravel()
    luma = planes[: WIDTH * HEIGHT].reshape(HEIGHT, WIDTH)
    u, v = planes[WIDTH * HEIGHT :].reshape(2, HEIGHT // 2, WIDTH // 2)
    if encoding in ("nv12", "nv21"):
        chroma = np.stack([u, v] if encoding == "nv12" else [v, u], axis=-1)
        return np.concatenate([luma, chroma.reshape(HEIGHT // 2, WIDTH)])
    u, v = u.repeat(2, axis=0), v.repeat(2, axis=0)
    pairs = [u, luma[:, ::2], v, luma[:, 1::2]]
    if encoding in ("yuyv", "yuv422_yuy2"):
        pairs = [luma[:, ::2], u, luma[:, 1::2], v]
    return np.stack(pairs, axis=-1).reshape(HEIGHT, WIDTH, 2)


def test_plain_encodings_are_exact():
    rgb = scene()
    alpha = np.full((HEIGHT, WIDTH, 1), 7, np.uint8)
    bgr = rgb[..., ::-1]
    for encoding, data in {
        "rgb8": rgb,
        "bgr8": bgr,
        "8UC3": bgr,
        "rgba8": np.concatenate([rgb, alpha], axis=-1),
        "bgra8": np.concatenate([bgr, alpha], axis=-1),
        "8UC4": np.concatenate([bgr, alpha], axis=-1),
    }.items():
        np.testing.assert_array_equal(to_rgb(image(encoding, data)), rgb, err_msg=encoding)


@pytest.mark.parametrize("encoding", ["mono8", "8UC1", "mono16"])
@pytest.mark.parametrize("is_bigendian", [0, 1])
def test_grey_pictures(encoding, is_bigendian):
    grey = scene()[..., 0]
    data = grey
    if encoding == "mono16":
        data = (grey.astype(np.uint16) * 256 + 99).astype(">u2" if is_bigendian else "<u2")
    rgb = to_rgb(image(encoding, data, is_bigendian=is_bigendian))
    np.testing.assert_array_equal(rgb, np.stack([grey] * 3, axis=-1))


@pytest.mark.parametrize(
    "encoding",
    ["yuv422", "uyvy", "yuyv", "yuv422_yuy2", "nv12", "nv21",
     "bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8"],
)  # fmt: skip
def test_sampled_colours_come_back(encoding):
    rgb = to_rgb(image(encoding, packed(encoding)))
    assert rgb.shape == (HEIGHT, WIDTH, 3) and rgb.dtype == np.uint8
    difference = np.abs(rgb.astype(int) - scene())[2:-2, 2:-2]
    assert difference.mean() < 4, "channels swapped?"


@pytest.mark.parametrize("encoding", ["yuv422", "yuv422_yuy2", "bayer_rggb8", "bayer_gbrg8"])
def test_agrees_with_rosbags_image(encoding):
    rosbags = pytest.importorskip("rosbags.image", reason="rosbags-image is not installed")
    message = image(encoding, packed(encoding))
    np.testing.assert_array_equal(to_rgb(message), rosbags.message_to_cvimage(message, "rgb8"))


def test_padded_rows():
    rgb = scene()
    padded = np.zeros((HEIGHT, WIDTH * 3 + 20), np.uint8)
    padded[:, : WIDTH * 3] = rgb.reshape(HEIGHT, -1)
    np.testing.assert_array_equal(to_rgb(image("rgb8", padded)), rgb)


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1", "", "h264"])
def test_unknown_encoding_is_named(encoding):
    with pytest.raises(InputError, match=repr(encoding)):
        to_rgb(image(encoding, scene()))


@pytest.mark.parametrize(
    "fields", [{"height": 49}, {"step": 191}, {"width": 65}, {"width": 0}, {"height": 0}]
)
def test_sizes_that_do_not_fit_are_named(fields):
    message = image("rgb8", scene())
    for name, value in fields.items():
        setattr(message, name, value)
    with pytest.raises(InputError, match=f"{message.width}x{message.height}"):
        to_rgb(message)


def test_odd_width_with_paired_chroma():
    with pytest.raises(InputError, match="63x48"):
        to_rgb(image("yuyv", packed("yuyv")[:, :63], width=63))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_compressed(suffix):
    data = cv2.imencode(suffix, scene()[..., ::-1])[1]
    message = CompressedImage(format="rgb8; jpeg compressed bgr8", data=data.tobytes())
    assert np.abs(decompress(message).astype(int) - scene()).mean() < (1 if suffix == ".png" else 4)


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\xff\xd8\xff\xe0 truncated"])
def test_compressed_rubbish(data):
    with pytest.raises(InputError, match="'jpeg'"):
        decompress(CompressedImage(format="jpeg", data=data))


def test_to_image_is_the_inverse_of_to_rgb():
    header = Header(frame_id="camera")
    message = to_image(scene(), header)
    assert (message.encoding, message.step, message.header.frame_id) == ("rgb8", 192, "camera")
    np.testing.assert_array_equal(to_rgb(message), scene())
    mask = to_image(scene()[..., 1], header)
    assert (mask.encoding, mask.step, len(mask.data)) == ("mono8", WIDTH, WIDTH * HEIGHT)


@pytest.mark.parametrize("is_bigendian", [0, 1])
@pytest.mark.parametrize("padding", [0, 6])
def test_depth_in_millimetres_and_metres(is_bigendian, padding):
    depth_m = np.linspace(0, 65.535, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)
    order = ">" if is_bigendian else "<"
    for encoding, data in {
        "16UC1": np.round(1000 * depth_m).astype(f"{order}u2"),
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


@pytest.mark.parametrize("encoding", ["rgb8", "mono16", "", "32FC3"])
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
