"""Pictures in files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.output import write_bytes

#: OpenCV's warps address source pixels with 16 bits.
LONGEST_SIDE_PX = (1 << 15) - 2


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


def read_picture(path: Path | str) -> np.ndarray:
    """Return a picture as RGB (height, width, 3) uint8, turned upright as its EXIF data say.

    Pictures of 16 bits are scaled by the bits in use.
    Raises InputError for a file that is missing, no picture of 8 or 16 bits, or too large.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an image")
    try:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error:  # more pixels than OpenCV allows
        picture = None
    if picture is not None and picture.dtype == np.uint16:
        picture = BitsInUse().to_8_bits(picture)
    if picture is None or picture.dtype != np.uint8:
        raise InputError(f"{path}: not an image that OpenCV can read; give a JPEG or PNG")
    if max(picture.shape[:2]) > LONGEST_SIDE_PX:
        raise InputError(
            f"{path}: {picture.shape[1]}x{picture.shape[0]} is too large; "
            f"no side may be longer than {LONGEST_SIDE_PX} pixels"
        )
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


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
