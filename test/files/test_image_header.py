"""What an image takes is known, and refused, before it is decoded."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.files.image_header import check_header
from cmr_ros.files.pictures import decode


def coded(ending: str, picture: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(ending, picture, options)[1].tobytes()


def png(width: int, height: int, kind: int = 2, depth: int = 8) -> bytes:
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))]
    chunks += [(b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def claimed(data: bytes, width: int, height: int) -> bytes:
    """A JPEG that claims another size."""
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def tiff(width: int, height: int, tile: int) -> bytes:
    tags = [(256, width), (257, height), (258, 8), (277, 3), (322, tile), (323, tile)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0\0\0\0"


PICTURE = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
JPEG = coded(".jpg", PICTURE)
PROGRESSIVE = coded(".jpg", PICTURE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".bmp", ".tif"])
@pytest.mark.parametrize("grey", [True, False])
def test_images_of_the_known_formats(ending, grey):
    picture = PICTURE[..., 0] if grey else PICTURE
    assert decode(coded(ending, picture)).shape == PICTURE.shape
    if ending in (".png", ".tif"):
        deep = picture.astype(np.uint16) << 8
        found = decode(coded(ending, deep), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(found, deep)
    if ending == ".jpg":
        assert decode(PROGRESSIVE).shape == PICTURE.shape


def test_images_of_64_megapixels_are_let_pass():
    check_header(png(8000, 8000))
    check_header(claimed(JPEG, 8000, 8000))
    check_header(claimed(PROGRESSIVE, 8000, 8000))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png(32766, 32766), "32766x32766 pixels.*too many"),
        (png(8000, 8001), "too many"),
        (png(8000, 8000, kind=6, depth=16), "of 8 bytes are too many"),
        (png(0, 10), "0x10 pixels"),
        (claimed(JPEG, 32000, 32000), "32000x32000"),
        (claimed(PROGRESSIVE, 32000, 32000), "32000x32000"),
        (PROGRESSIVE[:-2] + b"\xff\xda" * 5000, "in 50.. scans"),
        (claimed(PROGRESSIVE, 8000, 8000) + b"\xff\xda" * 20, "scans"),
        (b"BM" + bytes(12) + struct.pack("<Iii", 40, 30000, -30000), "30000x30000"),
        (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\xff\xff\0\xff\xff\0", "65536x65536"),
        (tiff(100, 100, 1 << 20), "1048576x1048576"),
        (tiff(1 << 30, 1 << 30, 16), "too many"),
        (b"GIF89a" + b"\xff" * 40, "not an image that can be read"),
        (b"\xff\xd8\xff\xe0", "not an image"),
        (b"\xff\xd8" + b"\xff" * 99, "not an image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "not an image"),
        (b"II*\0\xff\xff\xff\xff", "not an image"),
        (b"", "not an image"),
    ],
)
def test_images_that_take_too_much_or_are_none(data, message):
    with pytest.raises(InputError, match=message):
        decode(data)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".bmp", ".tif"])
def test_damaged_images_are_an_image_or_one_error(ending):
    whole, rng = coded(ending, PICTURE), np.random.default_rng(1)
    for _ in range(100):
        data = bytearray(whole)
        for place in rng.integers(0, min(len(data), 200), 3):
            data[place] = rng.integers(256)
        try:
            decode(bytes(data[: rng.integers(1, len(data) + 1)]))
        except InputError:
            pass
