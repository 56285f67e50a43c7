"""Pictures between ROS messages and arrays.

What cameras deliver is converted by cv2, which is the same in every environment.  cv_bridge, where
ROS has brought it, takes care of rarer encodings; it does not know nv12, nor does it come as a
Python wheel.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cmr_ros.errors import InputError

try:
    from cv_bridge import CvBridge, CvBridgeError
except ImportError:
    CvBridge = None


class _Encoding(NamedTuple):
    """Bytes per pixel, the conversion to RGB, and rows in memory per row of the picture."""

    pixel_bytes: int
    to_rgb: int | None
    rows: float = 1.0


#: sensor_msgs/image_encodings.hpp.  ROS names Bayer patterns by their first row, OpenCV by the
#: second.
_ENCODINGS = {
    "rgb8": _Encoding(3, None),
    "bgr8": _Encoding(3, cv2.COLOR_BGR2RGB),
    "8UC3": _Encoding(3, cv2.COLOR_BGR2RGB),
    "rgba8": _Encoding(4, cv2.COLOR_RGBA2RGB),
    "bgra8": _Encoding(4, cv2.COLOR_BGRA2RGB),
    "8UC4": _Encoding(4, cv2.COLOR_BGRA2RGB),
    "mono8": _Encoding(1, cv2.COLOR_GRAY2RGB),
    "8UC1": _Encoding(1, cv2.COLOR_GRAY2RGB),
    "mono16": _Encoding(2, cv2.COLOR_GRAY2RGB),
    "yuv422": _Encoding(2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": _Encoding(2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": _Encoding(2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": _Encoding(2, cv2.COLOR_YUV2RGB_YUY2),
    "nv12": _Encoding(1, cv2.COLOR_YUV2RGB_NV12, 1.5),
    "nv21": _Encoding(1, cv2.COLOR_YUV2RGB_NV21, 1.5),
    "bayer_rggb8": _Encoding(1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": _Encoding(1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": _Encoding(1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": _Encoding(1, cv2.COLOR_BayerGB2RGB),
}
#: REP 118: the type of a pixel, and its unit in metres.
_DEPTH_ENCODINGS = {"16UC1": ("u2", 0.001), "32FC1": ("f4", 1.0)}


def to_rgb(message: Image) -> np.ndarray:
    """Return the picture (height, width, 3) uint8 RGB of an Image; rows may be padded.

    16-bit pictures keep their upper byte.  Raises InputError for encodings that are no colour or
    grey picture, and for data that do not fill the size the message claims.
    """
    encoding = _ENCODINGS.get(message.encoding)
    if encoding is None:
        return _rare_to_rgb(message)
    width, height = message.width, message.height
    rows = int(height * encoding.rows)
    packed = _unpadded(message, rows, width * encoding.pixel_bytes)
    if message.encoding == "mono16":
        packed = packed[:, 0 if message.is_bigendian else 1 :: 2]
    elif encoding.pixel_bytes > 1:
        packed = packed.reshape(rows, width, encoding.pixel_bytes)
    packed = np.ascontiguousarray(packed)
    if encoding.to_rgb is None:
        return packed
    try:
        return cv2.cvtColor(packed, encoding.to_rgb)
    except cv2.error as error:  # such as an odd width, which chroma in pairs cannot have
        raise InputError(
            f"image of {width}x{height} {message.encoding!r} cannot be converted: {error.err}"
        ) from error


def to_depth(message: Image) -> np.ndarray:
    """Return z (height, width) float32 in metres of a depth Image (REP 118); rows may be padded.

    0 or NaN where unknown.  Raises InputError for encodings that are no depth picture, and for data
    that do not fill the size the message claims.
    """
    if message.encoding not in _DEPTH_ENCODINGS:
        raise InputError(
            f"encoding {message.encoding!r} is not a depth encoding; publish 16UC1 (millimetres) "
            "or 32FC1 (metres)"
        )
    kind, unit_m = _DEPTH_ENCODINGS[message.encoding]
    pixel = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    packed = _unpadded(message, message.height, message.width * pixel.itemsize)
    return np.ascontiguousarray(packed).view(pixel).astype(np.float32) * np.float32(unit_m)


def _unpadded(message: Image, rows: int, row_bytes: int) -> np.ndarray:
    """Return the bytes (rows, row_bytes) of a picture; InputError if it does not have them."""
    step, data = message.step, np.frombuffer(message.data, np.uint8)
    if not rows or not row_bytes or step < row_bytes or data.size < rows * step:
        raise InputError(
            f"image of {message.width}x{message.height} {message.encoding!r} with step {step} "
            f"cannot have {data.size} bytes; the camera driver fills in the message wrongly"
        )
    return data[: rows * step].reshape(rows, step)[:, :row_bytes]


def _rare_to_rgb(message: Image) -> np.ndarray:
    if CvBridge is not None:
        try:
            return CvBridge().imgmsg_to_cv2(message, "rgb8")
        except CvBridgeError:
            pass  # no colour picture for cv_bridge either
    raise InputError(
        f"image encoding {message.encoding!r} is not supported; publish one of "
        f"{', '.join(_ENCODINGS)}, or a compressed image"
    )


def decompress(message: CompressedImage) -> np.ndarray:
    """Return the picture (height, width, 3) uint8 RGB of a JPEG or PNG; InputError otherwise."""
    data = np.frombuffer(message.data, np.uint8)
    # A camera's picture is as its calibration says, whatever an orientation tag claims.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        picture = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:  # a header that claims more pixels than OpenCV allows
        picture = None
    if picture is None:
        raise InputError(
            f"compressed image of format {message.format!r}, {data.size} bytes, "
            "cannot be decoded; publish JPEG or PNG"
        )
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


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
