"""Pictures in files."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import RLock

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.image_header import check_header
from cmr_ros.files.output import write_bytes
from cmr_ros.files.untrusted import read_bytes

# What it says of damaged images, errors here say with the image's name.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

#: OpenCV's warps address source pixels with 16 bits.
LONGEST_SIDE_PX = (1 << 15) - 2
#: Beginnings of what libpng, libjpeg and FFmpeg say of damaged images and videos.
_CODEC_LINE = re.compile(
    rb"\[[\w,]+ @ 0x|libpng |Corrupt JPEG|Premature end of JPEG|Inconsistent progression"
    rb"|Invalid (component|SOS)|Unsupported (marker|JPEG)|Warning: unknown (Adobe|JFIF)"
)
_stderr_lock = RLock()


class BitsInUse:
    """How many bits the 16-bit images of one camera use, which neither files nor messages say.

    Cameras with 10 or 12 bits would look black at full scale.  The number only grows, or brightness
    would flicker.
    """

    def __init__(self) -> None:
        self._bits = 8

    def to_8_bits(self, image: np.ndarray) -> np.ndarray:
        """Return the highest 8 of the bits in use as uint8 of an image of uint16, any shape."""
        self._bits = max(self._bits, int(image.max(initial=0)).bit_length())
        return (image >> (self._bits - 8)).astype(np.uint8)


@contextmanager
def quiet() -> Iterator[None]:
    """Drop the lines that codecs write to the standard error output, which name no file.

    That output is the whole process's: what other threads write to it meanwhile is passed on.
    """
    with _stderr_lock, ExitStack() as opened:
        try:
            written = opened.enter_context(tempfile.TemporaryFile())
            kept = os.dup(2)
        except OSError:  # no such output, or nowhere to keep its lines
            yield
            return
        opened.callback(os.close, kept)
        try:
            os.dup2(written.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            written.seek(0)
            os.write(2, b"".join(line for line in written if not _CODEC_LINE.match(line)))


def decode(data: bytes | np.ndarray, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Return what OpenCV's imdecode makes of an image's bytes, with its size checked before.

    Raises InputError, without the name of the image, for data that are none or that are too large.
    """
    data = bytes(data)
    check_header(data)
    try:
        with quiet():
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None:
        raise InputError("not an image that can be read; give a JPEG or PNG")
    height, width = picture.shape[:2]
    if max(height, width) > LONGEST_SIDE_PX:
        raise InputError(
            f"{width}x{height} is too large; no side may be longer than {LONGEST_SIDE_PX} pixels"
        )
    return picture


def read_picture(path: Path | str, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Return a picture as RGB (height, width, 3) uint8, turned upright as its EXIF data say.

    Pictures of 16 bits are scaled by the bits in use.  With cv2.IMREAD_GRAYSCALE (height, width).
    Raises InputError for a file that is missing, no picture of 8 or 16 bits, or too large.
    """
    return to_picture(read_bytes(path, "expected an image"), path, flags)


def to_picture(data: bytes, name: Path | str, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Return the picture that a file of this name and content holds, as `read_picture` does."""
    try:
        picture = decode(data, flags | cv2.IMREAD_ANYDEPTH)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    if picture.dtype == np.uint16:
        picture = BitsInUse().to_8_bits(picture)
    if picture.dtype != np.uint8:
        raise InputError(f"{name}: not an image of 8 or 16 bits; give a JPEG or PNG")
    return picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def write_picture(path: Path | str, picture: np.ndarray) -> None:
    """Write an RGB or mono picture in the format of the name's ending, making its folder."""
    path = Path(path)
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    try:
        coded, data = cv2.imencode(path.suffix, picture)
    except cv2.error:
        coded = False
    if not coded:
        raise InputError(f"{path}: OpenCV writes no {path.suffix!r}; name a .png or .jpg")
    write_bytes(path, data.tobytes())
