"""A small scene as cameras send it: every encoding, and the files of image_transport."""

import struct
from array import array

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

WIDTH, HEIGHT = 64, 48


def scene() -> np.ndarray:
    """A smooth picture of many colours, RGB: chroma sampled in pairs loses little of it."""
    x, y = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    return (255 * np.stack([x, y, 0.5 + 0.4 * np.sin(4 * x)], axis=-1)).astype(np.uint8)


def image(encoding, data, step=None, width=WIDTH, height=HEIGHT, **fields) -> Image:
    """The message of data (rows, ...)."""
    data = np.ascontiguousarray(data)
    step = step or data.nbytes // data.shape[0]
    message = Image(encoding=encoding, width=width, height=height, step=step, **fields)
    message.data = array("B", data.tobytes())
    return message


def packed(encoding: str) -> np.ndarray:
    """The scene's values (rows, ...) uint8 as a camera sends them in an encoding of 8 bits."""
    rgb = scene()
    plain = {
        "rgb8": rgb,
        "bgr8": rgb[..., ::-1],
        "rgba8": np.dstack([rgb, np.full((HEIGHT, WIDTH), 7, np.uint8)]),
        "bgra8": np.dstack([rgb[..., ::-1], np.full((HEIGHT, WIDTH), 7, np.uint8)]),
        "mono8": cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY),
    }
    if encoding in plain:
        return plain[encoding]
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
    if encoding == "yuv420":
        return planes.reshape(-1, WIDTH)
    if encoding == "nv24":
        chroma = np.stack([u, v], axis=-1).repeat(2, axis=0).repeat(2, axis=1)
        return np.concatenate([luma, chroma.reshape(2 * HEIGHT, WIDTH)])
    if encoding in ("nv12", "nv21"):
        chroma = np.stack([u, v] if encoding == "nv12" else [v, u], axis=-1)
        return np.concatenate([luma, chroma.reshape(HEIGHT // 2, WIDTH)])
    u, v = u.repeat(2, axis=0), v.repeat(2, axis=0)
    pairs = [u, luma[:, ::2], v, luma[:, 1::2]]
    if encoding in ("yuyv", "yuv422_yuy2"):
        pairs = [luma[:, ::2], u, luma[:, 1::2], v]
    return np.stack(pairs, axis=-1).reshape(HEIGHT, WIDTH, 2)


def in_bits(values: np.ndarray, bits: int, is_bigendian: int) -> np.ndarray:
    """16-bit values of which the sensor uses so many bits, with noise in the lower ones."""
    noise = 99 >> (16 - bits)
    return ((values.astype(np.uint16) << (bits - 8)) + noise).astype(("<u2", ">u2")[is_bigendian])


def coded(suffix: str, data: np.ndarray) -> bytes:
    """A file of values in OpenCV's order."""
    return cv2.imencode(suffix, data)[1].tobytes()


def compressed_depth(depth: np.ndarray, codec: str = "; compressedDepth png") -> CompressedImage:
    """A depth image (height, width), uint16 in mm or float32 in m, as compressedDepth sends it."""
    factor = offset = 0.0
    encoding = "16UC1"
    if depth.dtype == np.float32:  # the plugin's default: steps of 1 cm at 1 m, 10 m at most
        encoding, steps, most_m = "32FC1", 100.0, 10.0
        factor = steps * (steps + 1)
        offset = 1 - factor / most_m
        with np.errstate(invalid="ignore"):
            inverse = np.where(depth < most_m, factor / depth + offset, 0)
        depth = inverse.astype(np.uint16)
    data = struct.pack("<iff", 0, factor, offset) + coded(".png", depth)
    return CompressedImage(format=encoding + codec, data=data)
