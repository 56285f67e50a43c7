"""Reads an image's size from its first bytes, so that what decoding takes is known before it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cmr_ros.errors import InputError

#: Of an image; those of phones and industrial cameras have up to 60 million, of 3 bytes each.
MAX_PIXELS, _MAX_BYTES = 64_000_000, 200_000_000
#: Each scan of a progressive JPEG goes over all of the image; encoders write 10 to 20.
_MAX_SCANS, _MAX_SCANNED_PIXELS = 64, 640_000_000
_FORMATS = "give a JPEG, PNG, WebP, BMP or TIFF"


@dataclass(frozen=True)
class ImageHeader:
    """What an image claims to be."""

    width: int
    height: int
    #: Bytes of a pixel when decoded.
    pixel_bytes: int
    #: How often decoding goes over the image.
    scans: int = 1


def check_header(data: bytes) -> None:
    """Raise InputError for data that are no image of a known format, or take too much to decode."""
    try:
        header = next(read for start, read in _READERS.items() if data.startswith(start))(data)
    except (StopIteration, struct.error, ValueError, LookupError):
        raise InputError(f"not an image that can be read; {_FORMATS}") from None
    pixels = header.width * header.height
    size = f"{header.width}x{header.height}"
    if pixels == 0:
        raise InputError(f"an image of {size} pixels; {_FORMATS}")
    if pixels > MAX_PIXELS or pixels * header.pixel_bytes > _MAX_BYTES:
        raise InputError(
            f"{size} pixels of {header.pixel_bytes} bytes are too many; scale the image down to "
            f"{MAX_PIXELS // 1_000_000} megapixels of 3 bytes or fewer"
        )
    if header.scans > _MAX_SCANS or pixels * header.scans > _MAX_SCANNED_PIXELS:
        raise InputError(
            f"a progressive JPEG of {size} pixels in {header.scans} scans takes too long; "
            "save it as a baseline JPEG"
        )


def _png(data: bytes) -> ImageHeader:
    chunk, width, height, depth, kind = struct.unpack_from(">12x4sIIBB", data)[:5]
    if chunk != b"IHDR":
        raise ValueError("a PNG starts with its header")
    channels = {0: 1, 2: 3, 3: 3, 4: 4, 6: 4}[kind]
    return ImageHeader(width, height, channels * (2 if depth == 16 else 1))


def _jpeg(data: bytes) -> ImageHeader:
    place = 2
    while True:
        # Between segments decoders skip whatever is no marker, and any number of 0xFF before one.
        place = data.index(b"\xff", place)
        while data[place] == 0xFF:
            place += 1
        marker = data[place]
        place += 1
        if marker in (0x00, 0x01, *range(0xD0, 0xD8)):
            continue
        (length,) = struct.unpack_from(">H", data, place)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            _, height, width, channels = struct.unpack_from(">BHHB", data, place + 2)
            # In compressed data 0xFF is followed by 0, so this counts the starts of scans.
            return ImageHeader(width, height, max(channels, 3), data.count(b"\xff\xda", place))
        if marker in (0xD8, 0xD9, 0xDA):
            raise ValueError("a JPEG without a size")
        place += max(length, 2)


def _webp(data: bytes) -> ImageHeader:
    if data[8:12] != b"WEBP":
        raise ValueError("another RIFF")
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise ValueError("an unknown WebP")
    return ImageHeader(width, height, 4)


def _bmp(data: bytes) -> ImageHeader:
    if struct.unpack_from("<I", data, 14)[0] == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return ImageHeader(abs(width), abs(height), 4)


def _tiff(data: bytes) -> ImageHeader:
    order = "<" if data[:2] == b"II" else ">"
    (place,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, place)
    tags = {}
    for entry in range(count):
        at = place + 2 + 12 * entry
        tag, kind, number = struct.unpack_from(f"{order}HHI", data, at)
        if kind in (3, 4) and number:
            size = 2 if kind == 3 else 4
            if number * size > 4:
                (at,) = struct.unpack_from(f"{order}I", data, at + 8)
                at -= 8
            tags[tag] = struct.unpack_from(order + "HI"[kind == 4], data, at + 8)[0]
    bits, samples = tags.get(258, 1), tags.get(277, 1)
    # Decoders unpack strips and tiles whole, however little of them lies in the image.
    width = max(tags[256], tags.get(322, 0))
    height = max(tags[257], tags.get(323, 0))
    return ImageHeader(width, height, max(3, samples) * max(1, -(-bits // 8)))


_READERS = {
    b"\x89PNG\r\n\x1a\n": _png,
    b"\xff\xd8\xff": _jpeg,
    b"RIFF": _webp,
    b"BM": _bmp,
    b"II*\0": _tiff,
    b"MM\0*": _tiff,
}
