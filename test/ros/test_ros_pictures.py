"""Pictures from messages: every encoding, against an independent library and by hand."""

import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cmr_ros.errors import InputError
from cmr_ros.files.pictures import BitsInUse
from cmr_ros.ros.pictures import (
    decompress,
    load_cv_bridge,
    to_depth,
    to_image,
    to_rgb,
)
from support.camera_images import HEIGHT, WIDTH, coded, image, in_bits, packed, scene


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


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_pictures(encoding):
    grey = scene()[..., 0]
    np.testing.assert_array_equal(to_rgb(image(encoding, grey)), np.stack([grey] * 3, axis=-1))


@pytest.mark.parametrize("is_bigendian", [0, 1])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_deep_pictures_are_scaled_by_the_bits_in_use(bits, is_bigendian):
    rgb = scene()
    for encoding, data in {
        "mono16": rgb[..., 0],
        "rgb16": rgb,
        "bgr16": rgb[..., ::-1],
        "bayer_rggb16": packed("bayer_rggb8"),
        "bayer_grbg16": packed("bayer_grbg8"),
    }.items():
        found = to_rgb(
            image(encoding, in_bits(data, bits, is_bigendian), is_bigendian=is_bigendian)
        )
        expected = to_rgb(image(encoding.replace("16", "8"), data))
        np.testing.assert_array_equal(found, expected, err_msg=encoding)


def test_brightness_is_steady_while_bits_in_use_only_grow():
    bits = BitsInUse()
    for value, brightest, background in (
        (200, 200, 40),  # 8 bits in 16
        (1023, 255, 10),  # 10 bits
        (200, 50, 10),  # as before, although 8 bits would do
        (4095, 255, 2),
        (1023, 63, 2),
    ):
        grey = np.full((HEIGHT, WIDTH), 40, np.uint16)
        grey[5, 5] = value
        found = to_rgb(image("mono16", grey), bits)
        assert found.max() == brightest and (found[0, 0] == background).all()


def test_compressed_images_of_a_topic_share_the_bits_in_use():
    bits = BitsInUse()
    for value, expected in ((4095, 255), (1023, 63)):
        data = cv2.imencode(".png", np.full((HEIGHT, WIDTH), value, np.uint16))[1].tobytes()
        message = CompressedImage(format="mono16; png compressed ", data=data)
        assert (decompress(message, bits) == expected).all()


@pytest.mark.parametrize(
    "encoding",
    ["yuv422", "uyvy", "yuyv", "yuv422_yuy2", "nv12", "nv21", "nv24", "yuv420",
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


@pytest.mark.parametrize("encoding, chroma_step", [("nv12", 1), ("nv24", 2), ("yuv420", 0.5)])
def test_rows_of_chroma_are_padded_in_proportion(encoding, chroma_step):
    def padded(plane, share):
        rows = plane.reshape(-1, round(WIDTH * share))
        return np.pad(rows, [(0, 0), (0, round(20 * share))]).ravel()

    tight = image(encoding, packed(encoding))
    data = np.frombuffer(tight.data, np.uint8)
    luma, chroma = np.split(data, [HEIGHT * WIDTH])
    message = image(encoding, np.concatenate([padded(luma, 1), padded(chroma, chroma_step)]))
    message.step = WIDTH + 20
    np.testing.assert_array_equal(to_rgb(message), to_rgb(tight))
    message.step = WIDTH + 21
    with pytest.raises(InputError, match="cannot have"):
        to_rgb(message)


def test_the_last_rows_padding_and_the_step_may_be_missing():
    rgb = scene()
    step = WIDTH * 3 + 20
    padded = np.zeros((HEIGHT, step), np.uint8)
    padded[:, : WIDTH * 3] = rgb.reshape(HEIGHT, -1)
    message = image("rgb8", padded)
    message.data = message.data[:-20]
    np.testing.assert_array_equal(to_rgb(message), rgb)
    for data in (padded, rgb):
        message = image("rgb8", data)
        message.step = 0
        np.testing.assert_array_equal(to_rgb(message), rgb)
    depth = image("16UC1", np.full((HEIGHT, WIDTH), 1500, "<u2"))
    depth.step = 0
    assert to_depth(depth) == pytest.approx(1.5)


def test_data_after_the_image_are_ignored():
    message = image("bgr8", scene()[..., ::-1])
    message.data.frombytes(bytes(4096))
    np.testing.assert_array_equal(to_rgb(message), scene())


@pytest.mark.parametrize("encoding", ["rgb8", "8UC3", "bgr8"])
def test_rgb8_is_not_copied(encoding):
    message = image(encoding, scene())
    shared = np.shares_memory(to_rgb(message), np.frombuffer(message.data, np.uint8))
    assert shared == (encoding == "rgb8")


@pytest.fixture
def bridge(tmp_path, monkeypatch):
    """Return a function that puts a module cv_bridge of a given text in Python's way."""

    def install(text):
        (tmp_path / "cv_bridge.py").write_text(text)

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv_bridge", raising=False)
    load_cv_bridge.cache_clear()
    yield install
    sys.modules.pop("cv_bridge", None)
    load_cv_bridge.cache_clear()


def bridge_that(does):
    return (
        "import numpy\nclass CvBridge:\n"
        f"    def imgmsg_to_cv2(self, message, encoding):\n        {does}\n"
    )


def test_an_encoding_that_only_cv_bridge_knows_is_read_by_it(bridge):
    bridge(bridge_that("return numpy.full((message.height, message.width, 3), 7, numpy.uint8)"))
    assert (to_rgb(image("yuv999", scene())) == 7).all()


@pytest.mark.parametrize(
    "text, reason",
    [
        (bridge_that("raise TypeError('data are too short')"), "cv_bridge: data are too short"),
        ("raise AttributeError('_ARRAY_API not found')", "cv_bridge is broken: _ARRAY_API"),
        ("raise SystemError('built for another numpy')", "cv_bridge is broken: built for"),
        ("", "cv_bridge is broken"),
    ],
)
def test_a_broken_cv_bridge_is_one_line_and_harms_no_other_image(bridge, text, reason):
    bridge(text)
    with pytest.raises(InputError, match=f"'yuv999' is not supported .{reason}"):
        to_rgb(image("yuv999", scene()))
    assert to_rgb(image("rgb8", scene())).shape == scene().shape


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1", "", "h264", "8UC2"])
def test_unknown_encoding_is_named(encoding):
    with pytest.raises(InputError, match=repr(encoding)):
        to_rgb(image(encoding, scene()))


@pytest.mark.parametrize(
    "fields",
    [
        {"height": 49},
        {"step": 191},
        {"width": 65},
        {"width": 0},
        {"height": 0},
        {"step": 0, "height": 24},
        {"step": 0, "height": 50},
        {"step": 0, "height": 0},
        {"width": 2**32 - 1, "height": 2**32 - 1, "step": 2**32 - 1},
        {"width": 2**31, "height": 2**31, "step": 0},
        {"step": 2**32 - 1},
        {"width": 40000, "height": 1, "encoding": "mono8", "step": 0},
        {"encoding": "mono8", "step": 0},
        {"encoding": "nv12", "height": 1, "width": 1, "step": 1},
    ],
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


def test_odd_sizes_of_paired_chroma_never_end_in_another_error():
    for encoding in ("nv12", "nv21", "nv24", "yuv420", "yuyv", "uyvy"):
        for width, height in ((1, 1), (2, 1), (1, 2), (3, 2), (2, 3), (63, 47)):
            data = np.zeros(4 * width * height, np.uint8)
            message = image(encoding, data, step=width * 2, width=width, height=height)
            if encoding[:2] in ("nv", "yu") and encoding != "yuyv":
                message.step = width
            try:
                assert to_rgb(message).shape == (height, width, 3)
            except InputError as error:
                assert f"{width}x{height} {encoding!r}" in str(error)


@pytest.mark.parametrize("seed", range(20))
def test_no_message_ends_in_another_error(seed):
    rng = np.random.default_rng(seed)
    encodings = "rgb8 BGR8 bgra16 mono8 mono16 bayer_grbg16 yuyv nv12 nv24 YUV420 16UC1 32FC1 8UC1"
    for encoding in [*encodings.split(), "no\nname", ""]:
        for _ in range(20):
            width, height, step = (int(n) for n in rng.integers(0, [9, 9, 40]))
            if rng.random() < 0.2:
                width, step = int(rng.integers(2**32)), int(rng.integers(2**32))
            message = Image(encoding=encoding, width=width, height=height, step=step)
            message.is_bigendian = int(rng.integers(2))
            message.data.frombytes(rng.bytes(int(rng.integers(0, 400))))
            for read in (to_rgb, to_depth):
                try:
                    assert read(message).shape[:2] == (height, width)
                except InputError as error:
                    assert "\n" not in str(error)


RGB, BGR = scene(), scene()[..., ::-1]
GREY = cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY)
AS_GREY = np.stack([GREY] * 3, axis=-1)


@pytest.mark.parametrize(
    "format, data, expected",
    [
        # Alone, the file means what it says.
        ("jpeg", coded(".jpg", BGR), RGB),
        ("jpg", coded(".jpg", BGR), RGB),
        ("png", coded(".png", BGR), RGB),
        ("", coded(".png", BGR), RGB),
        ("png", coded(".png", GREY), AS_GREY),
        ("png", coded(".png", cv2.cvtColor(BGR, cv2.COLOR_BGR2BGRA)), RGB),
        # As image_transport writes them.
        ("rgb8; jpeg compressed bgr8", coded(".jpg", BGR), RGB),
        ("bgr8; jpeg compressed bgr8", coded(".jpg", BGR), RGB),
        ("bgra8; jpeg compressed bgr8", coded(".jpg", BGR), RGB),
        ("yuv422_yuy2; jpeg compressed bgr8", coded(".jpg", BGR), RGB),
        ("mono8; jpeg compressed mono8", coded(".jpg", GREY), AS_GREY),
        ("8UC1; jpeg compressed mono8", coded(".jpg", GREY), AS_GREY),
        ("bayer_rggb8; jpeg compressed mono8", coded(".jpg", GREY), AS_GREY),
        ("bayer_rggb8; jpeg compressed bgr8", coded(".jpg", BGR), RGB),
        ("rgb8; png compressed bgr8", coded(".png", BGR), RGB),
        ("bgr16; png compressed bgr16", coded(".png", BGR.astype(np.uint16) << 8), RGB),
        ("mono8; png compressed ", coded(".png", GREY), AS_GREY),
        ("mono16; png compressed ", coded(".png", GREY.astype(np.uint16) << 4), AS_GREY),
        # 12 of 16 bits, of which 8-bit JPEG keeps 4.
        ("mono16; jpeg compressed mono8", coded(".jpg", GREY >> 4), AS_GREY),
        # Without a target: the raw image's values as they were.
        ("rgb8; png compressed", coded(".png", RGB), RGB),
        ("rgb8; png compressed ", coded(".png", RGB), RGB),
        ("rgb8; jpeg compressed", coded(".jpg", RGB), RGB),
        ("bgr8; jpeg compressed", coded(".jpg", BGR), RGB),
        ("bgr8; tiff compressed ", coded(".tiff", BGR), RGB),
        ("rgb8; tiff compressed ", coded(".tiff", RGB), RGB),
        ("rgba8; png compressed ", coded(".png", cv2.cvtColor(RGB, cv2.COLOR_RGB2RGBA)), RGB),
        ("bgr8; png compressed rgb8", coded(".png", RGB), RGB),
    ],
)  # fmt: skip
def test_compressed_images_mean_what_their_format_says(format, data, expected):
    found = decompress(CompressedImage(format=format, data=data)).astype(int)
    tolerance = 9 if ">> 4" in format or format == "mono16; jpeg compressed mono8" else 4
    assert np.abs(found - expected).mean() < (tolerance if "j" in format else 0.001)


@pytest.mark.parametrize("pattern", ["bayer_rggb", "bayer_bggr", "bayer_gbrg", "bayer_grbg"])
@pytest.mark.parametrize("codec", ["jpeg compressed bgr8", "png compressed", "jpeg compressed "])
def test_compressed_mosaics_become_colours(pattern, codec):
    data = coded(".png" if "png" in codec else ".jpg", packed(f"{pattern}8"))
    if "png" in codec:  # 12 bits of 16 by another name
        deep = coded(".png", packed(f"{pattern}8").astype(np.uint16) << 4)
        found = decompress(CompressedImage(format=f"{pattern}16; {codec}", data=deep))
        assert np.abs(found.astype(int) - RGB)[2:-2, 2:-2].mean() < 4
    found = decompress(CompressedImage(format=f"{pattern}8; {codec}", data=data))
    assert np.abs(found.astype(int) - RGB)[2:-2, 2:-2].mean() < (4 if "png" in codec else 12)


@pytest.mark.parametrize(
    "format",
    ["16UC1; compressedDepth png", "32FC1; compressedDepth", "16UC1; compressedDepth rvl",
     "theora", "zstd", "h264", "rgb8; hevc", "16UC1; png compressed ", "32FC1; tiff compressed "],
)  # fmt: skip
def test_what_is_no_picture_gets_one_sentence(format):
    code = coded(".png", np.full((9, 9), 700, np.uint16))
    if "tiff" in format:
        code = coded(".tiff", np.full((9, 9), 0.7, np.float32))
    with pytest.raises(InputError, match="is no colour or grey image; publish JPEG") as error:
        decompress(CompressedImage(format=format, data=bytes(12 * ("Depth" in format)) + code))
    assert repr(format) in str(error.value) and "\n" not in str(error.value)


def test_compressed_images_too_long_for_a_warp_are_named():
    data = coded(".png", np.zeros((2, 40000), np.uint8))
    with pytest.raises(InputError, match="'png'.*cannot be decoded"):
        decompress(CompressedImage(format="png", data=data))


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
