"""Images between ROS messages and arrays, converted by cv2, which is the same everywhere.

cv_bridge has the last word on encodings that are unknown here.  Not the first: it insists on
complete padding, and cannot be imported where it was built for another numpy.
"""

from __future__ import annotations

import re
import struct
from array import array
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cmr_ros.errors import InputError, reason
from cmr_ros.files.pictures import LONGEST_SIDE_PX, BitsInUse, decode


class _Encoding(NamedTuple):
    """How an image lies in memory, and the conversion of 8-bit values to RGB."""

    channels: int  # values per pixel
    to_rgb: int | None
    rows: float = 1.0  # of bytes per image row, chroma included
    value_bytes: int = 1
    chroma_step: float = 1.0  # of a row of chroma, padding included, over that of an image row


#: Those that come with 8 or 16 bits.  ROS names Bayer patterns by their first row, OpenCV by the
#: second.
_DEEP = {
    "rgb": _Encoding(3, None),
    "bgr": _Encoding(3, cv2.COLOR_BGR2RGB),
    "rgba": _Encoding(4, cv2.COLOR_RGBA2RGB),
    "bgra": _Encoding(4, cv2.COLOR_BGRA2RGB),
    "mono": _Encoding(1, cv2.COLOR_GRAY2RGB),
    "bayer_rggb": _Encoding(1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr": _Encoding(1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg": _Encoding(1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg": _Encoding(1, cv2.COLOR_BayerGB2RGB),
}
_MOSAICS = [name for name in _DEEP if name.startswith("bayer")]
#: sensor_msgs/image_encodings.hpp, in lower case, and what drivers add: nv12 and YUV420.
_ENCODINGS = {
    **{f"{name}8": encoding for name, encoding in _DEEP.items()},
    **{f"{name}16": encoding._replace(value_bytes=2) for name, encoding in _DEEP.items()},
    "8uc1": _Encoding(1, cv2.COLOR_GRAY2RGB),
    "8uc3": _Encoding(3, cv2.COLOR_BGR2RGB),
    "8uc4": _Encoding(4, cv2.COLOR_BGRA2RGB),
    "yuv422": _Encoding(2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": _Encoding(2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": _Encoding(2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": _Encoding(2, cv2.COLOR_YUV2RGB_YUY2),
    "nv12": _Encoding(1, cv2.COLOR_YUV2RGB_NV12, 1.5),
    "nv21": _Encoding(1, cv2.COLOR_YUV2RGB_NV21, 1.5),
    "nv24": _Encoding(1, cv2.COLOR_YUV2RGB_NV12, 3, chroma_step=2),
    "yuv420": _Encoding(1, cv2.COLOR_YUV2RGB_I420, 1.5, chroma_step=0.5),
}
#: REP 118: the type of a pixel, and its unit in metres.  Some drivers call millimetres mono16.
_DEPTH_ENCODINGS = {"16UC1": ("u2", 0.001), "mono16": ("u2", 0.001), "32FC1": ("f4", 1.0)}
#: What compressedDepth's formats end with where they mean PNG; old versions name nothing.
_DEPTH_CODECS = ("", "compressedDepth", "compressedDepth png")
#: Before the PNG: a kind of compression, factor and offset of z = factor / (value - offset).
_DEPTH_HEADER = struct.Struct("<iff")


def to_rgb(message: Image, bits: BitsInUse | None = None) -> np.ndarray:
    """Return the image (height, width, 3) uint8 RGB of an Image message; rows may be padded.

    bits: the topic's, kept from image to image; without it each image is scaled by its own bits.
    Raises InputError for encodings that are no colour or grey image, and for data that do not fill
    the size the message claims.
    """
    encoding = _ENCODINGS.get(message.encoding.lower())
    if encoding is None:
        return _by_cv_bridge(message)
    width, height = message.width, message.height
    if encoding.rows != 1 and (width % 2 or height % 2):
        raise InputError(
            f"{_what(message)}: chroma in pairs needs even sizes; publish rgb8 or bgr8"
        )
    rows = int(height * encoding.rows)
    packed = _unpadded(message, rows, width * encoding.channels * encoding.value_bytes)
    if encoding.chroma_step != 1:
        packed = _with_chroma(packed, encoding, message)
    packed = np.ascontiguousarray(packed)
    if encoding.value_bytes > 1:
        deep = packed.view(">u2" if message.is_bigendian else "<u2")
        packed = (bits or BitsInUse()).to_8_bits(deep.astype(np.uint16, copy=False))
    if encoding.channels > 1:
        packed = packed.reshape(rows, width, encoding.channels)
    if encoding.rows == 3:  # half the chroma will do, as in nv12
        chroma = packed[height:].reshape(height, width, 2)[::2, ::2]
        packed = np.concatenate([packed[:height], chroma.reshape(-1, width)])
    return _converted(packed, encoding.to_rgb, message)


def _by_cv_bridge(message: Image) -> np.ndarray:
    """Return an image in an encoding that the distribution's cv_bridge may know."""
    bridge, why_not = load_cv_bridge()
    if bridge is not None:
        try:
            return np.asarray(bridge.imgmsg_to_cv2(message, "rgb8"), np.uint8)
        except Exception as error:  # whatever a message makes it raise
            why_not = f" (cv_bridge: {reason(error)})"
    raise InputError(
        f"image encoding {message.encoding!r} is not supported{why_not}; publish one of "
        f"{', '.join(_ENCODINGS)}, or a compressed image"
    )


@cache
def load_cv_bridge() -> tuple[Any, str]:
    """Return cv_bridge's converter, or None and why it cannot be used."""
    try:
        from cv_bridge import CvBridge

        return CvBridge(), ""
    except ModuleNotFoundError:
        return None, ""
    except Exception as error:  # built for another numpy, say
        return None, f" (cv_bridge is broken: {reason(error)})"


def _what(message: Image | CompressedImage) -> str:
    if isinstance(message, Image):
        return f"image of {message.width}x{message.height} {message.encoding!r}"
    return f"compressed image of format {message.format!r}, {len(message.data)} bytes,"


def _converted(
    packed: np.ndarray, to_rgb: int | None, message: Image | CompressedImage
) -> np.ndarray:
    if to_rgb is None:
        return packed
    try:
        return cv2.cvtColor(packed, to_rgb)
    except cv2.error as error:  # such as chroma in pairs of an odd width
        raise InputError(f"{_what(message)} cannot be converted; publish rgb8 or bgr8") from error


def to_depth(message: Image | CompressedImage) -> np.ndarray:
    """Return z (height, width) float32 in metres of a depth image (REP 118); rows may be padded.

    0 or NaN where unknown.  Compressed ones are those of image_transport's plugin compressedDepth,
    in PNG.  Raises InputError for encodings that are no depth image, and for data that are damaged
    or do not fill the size the message claims.
    """
    if isinstance(message, CompressedImage):
        return _decompress_depth(message)
    kind, unit_m = _depth_encoding(message.encoding)
    pixel = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    packed = _unpadded(message, message.height, message.width * pixel.itemsize)
    depth = np.ascontiguousarray(packed).view(pixel).astype(np.float32)
    return depth if unit_m == 1 else depth * np.float32(unit_m)


def _depth_encoding(name: str) -> tuple[str, float]:
    if name not in _DEPTH_ENCODINGS:
        raise InputError(
            f"encoding {name!r} is not a depth encoding; publish 16UC1 (millimetres) or 32FC1 "
            "(metres)"
        )
    return _DEPTH_ENCODINGS[name]


def _decompress_depth(message: CompressedImage) -> np.ndarray:
    """Return z as `to_depth` does; metres come as 16-bit steps of the inverse depth, 0: unknown."""
    name, _, codec = (part.strip() for part in message.format.partition(";"))
    kind, unit_m = _depth_encoding(name)
    remedy = "let the camera driver's plugin compressedDepth write PNG (parameter format: png)"
    if codec not in _DEPTH_CODECS:
        raise InputError(f"{_what(message)} is no depth image in PNG; {remedy}")
    data = bytes(message.data)
    try:
        coded = decode(data[_DEPTH_HEADER.size :], cv2.IMREAD_UNCHANGED)
    except InputError as error:
        raise InputError(f"{_what(message)} cannot be decoded: {error}; {remedy}") from None
    if coded.dtype != np.uint16 or coded.ndim != 2:
        raise InputError(f"{_what(message)} is no depth image of 16 bits; {remedy}")
    depth = coded.astype(np.float32)
    if kind == "u2":
        return depth * np.float32(unit_m)
    _, factor, offset = _DEPTH_HEADER.unpack_from(data)
    with np.errstate(all="ignore"):  # a damaged header makes depths that are none
        return np.where(coded, np.float32(factor) / (depth - np.float32(offset)), np.nan)


def _unpadded(message: Image, rows: int, row_bytes: int) -> np.ndarray:
    """Return the bytes (rows, row_bytes) of an image, without a copy; InputError if it has others.

    The step may be left out where all rows are equally long, and the last row's padding, too.
    """
    step, data = message.step, np.frombuffer(message.data, np.uint8)
    if max(message.width, message.height) > LONGEST_SIDE_PX:
        raise InputError(
            f"{_what(message)} is too large; no side may exceed {LONGEST_SIDE_PX} pixels"
        )
    if not step and rows and data.size % rows == 0 and data.size < 2 * rows * row_bytes:
        step = data.size // rows
    if not rows or not row_bytes or step < row_bytes or data.size < (rows - 1) * step + row_bytes:
        raise _wrong_size(message)
    return np.ndarray((rows, row_bytes), np.uint8, data, strides=(step, 1))


def _with_chroma(packed: np.ndarray, encoding: _Encoding, message: Image) -> np.ndarray:
    """Return brightness and chroma (rows, width), given as rows of one step each.

    Rows of chroma that are longer or shorter than the image's are padded in proportion.
    """
    step, width, height = packed.strides[0], message.width, message.height
    data, stride = np.frombuffer(message.data, np.uint8), step * encoding.chroma_step
    rows = round((encoding.rows - 1) * height / encoding.chroma_step)
    row_bytes = round(width * encoding.chroma_step)
    if stride % 1 or data.size < height * step + (rows - 1) * stride + row_bytes:
        raise _wrong_size(message)
    chroma = np.ndarray((rows, row_bytes), np.uint8, data, height * step, (int(stride), 1))
    return np.concatenate([packed[:height], chroma.reshape(-1, width)])


def _wrong_size(message: Image) -> InputError:
    return InputError(
        f"{_what(message)} with step {message.step} cannot have {len(message.data)} bytes; the "
        "camera driver fills in the message wrongly"
    )


#: What image_transport's other plugins write, and video codecs: data that no image decoder reads.
_NO_PICTURE = re.compile("compresseddepth|theora|zstd|h26[45]|hevc|av1|vp[89]", re.IGNORECASE)
_REMEDY = "publish JPEG or PNG, as image_transport's plugin `compressed` does"


def decompress(message: CompressedImage, bits: BitsInUse | None = None) -> np.ndarray:
    """Return the image (height, width, 3) uint8 RGB of a JPEG, PNG or TIFF; InputError otherwise.

    image_transport writes `ENCODING; jpeg compressed TARGET`: the raw image's encoding, and the one
    it was converted to first.  Without a target the values are the raw image's as they were, Bayer
    mosaics and rgb8 in their own order, although files hold BGR by OpenCV's convention.  Drivers
    and old versions write `jpeg` or `png` alone: then the file means what it says.
    bits: as in `to_rgb`.
    """
    if _NO_PICTURE.search(message.format):
        raise InputError(f"{_what(message)} is no colour or grey image; {_REMEDY}")
    name, _, codec = (part.strip() for part in message.format.lower().partition(";"))
    target = codec.rpartition("compressed")[2].strip()
    # A camera's image is as its calibration says, whatever an orientation tag claims.
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = decode(message.data, flags)
    except InputError as error:
        raise InputError(f"{_what(message)} cannot be decoded: {error}; {_REMEDY}") from None
    if image.dtype not in (np.uint8, np.uint16) or name in ("16uc1", "32fc1"):
        raise InputError(f"{_what(message)} is no colour or grey image; {_REMEDY}")
    if image.dtype == np.uint8 and name.endswith("16"):
        image = image.astype(np.uint16) * 257  # JPEG kept the highest 8 bits, in use or not
    if image.dtype == np.uint16:
        image = (bits or BitsInUse()).to_8_bits(image)
    if image.ndim == 2:
        layout = "mono" if target.startswith("mono") else name.rstrip("0123456789")
        encoding = _DEEP[layout if layout in _MOSAICS else "mono"]
    else:
        layout = "rgb" if (target or name).startswith("rgb") else "bgr"
        encoding = _DEEP[layout + "a" * (image.shape[2] == 4)]
    return _converted(image, encoding.to_rgb, message)


def to_image(picture: np.ndarray, header: Header) -> Image:
    """Return the Image of a uint8 picture: (height, width, 3) is rgb8, (height, width) is mono8."""
    height, width = picture.shape[:2]
    encoding, channels = ("rgb8", 3) if picture.ndim == 3 else ("mono8", 1)
    message = Image(
        header=header, height=height, width=width, encoding=encoding, step=width * channels
    )
    # Assigning an array of bytes takes 1/30 of the time of assigning a list or a numpy array.
    message.data = array("B", np.ascontiguousarray(picture, dtype=np.uint8).tobytes())
    return message
