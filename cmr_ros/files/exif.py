"""The field of view of a photograph, from what its camera wrote into it (package `Pillow`)."""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path

from cmr_ros.errors import InputError
from cmr_ros.files.untrusted import read_bytes

_EXIF_IFD, _FOCAL_LENGTH_IN_35MM_FILM = 0x8769, 0xA405
#: Millimetres: diagonal of 35 mm film, to which CIPA DCG-001 relates equivalent focal lengths.
_DIAGONAL_MM = math.hypot(36, 24)


def horizontal_fov_deg(path: Path | str, width: int, height: int) -> float | None:
    """Return a photograph's horizontal field of view, or None where it does not say its own.

    It is good to a few per cent, unless the photograph was cropped later, which it does not tell.

    Args:
        path: of the photograph.
        width: of the upright photograph in pixels.
        height: of the same.

    Raises:
        InputError: where Pillow is not installed.

    """
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path}: reading its focal length needs the Python package 'pillow' (pip install "
            "pillow); or give --hfov or --camera-info"
        ) from error
    data = read_bytes(path, "expected an image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                exif = image.getexif().get_ifd(_EXIF_IFD)
                focal_mm = float(exif.get(_FOCAL_LENGTH_IN_35MM_FILM, 0))
    except Exception:  # damaged data fail in every way there is, and then say nothing
        return None
    if not 1 <= focal_mm <= 5000:  # 0: unknown
        return None
    half_width_mm = _DIAGONAL_MM / 2 * width / math.hypot(width, height)
    return 2 * math.degrees(math.atan(half_width_mm / focal_mm))
