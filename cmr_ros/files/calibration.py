"""Reads a camera's calibration from the files that people have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from cmr_ros.errors import InputError, reason
from cmr_ros.files.structured import read_structured
from cmr_ros.geometry.camera import Camera

_REMEDY = (
    "give a file of camera_calibration, OpenCV, Kalibr or RealSense, a dump of "
    "sensor_msgs/CameraInfo, or the matrix K"
)
#: What the files call their entries, in lower case without separators.
_K = "k cameramatrix intrinsicmatrix intrinsics intrinsic mtx".split()
_FOCAL = [("fx", "fy"), ("flx", "fly")]
_CENTER = [("cx", "cy"), ("ppx", "ppy")]
_D = "d distortioncoefficients distortioncoeffs distcoeffs coeffs distortion dist".split()
_POLYNOMIAL_D = "k1 k2 p1 p2 k3 k4 k5 k6".split()
_FISHEYE_D = "k1 k2 k3 k4".split()
_P = "p projectionmatrix projection".split()
_SIZE = [("imagewidth", "imageheight"), ("width", "height"), ("w", "h")]
_SIZES = "resolution imagesize".split()
#: A lens has at most 14 coefficients and K 9 numbers; whatever is longer is something else.
_MOST_NUMBERS = 64
_DEEPEST = 3


def read_calibration(
    path: Path | str, picture_size: tuple[int, int], rectified: bool = False
) -> Camera:
    """Return the camera of an image of (width, height) from a file.

    Known are camera_calibration (YAML, ost.txt), dumps of sensor_msgs/CameraInfo (`ros2 topic
    echo`), OpenCV's FileStorage (YAML, XML, JSON), Kalibr's camchain, librealsense's intrinsics,
    and K alone or with distortion coefficients (JSON, YAML, text, .npy, .npz).  Of several cameras
    in a file the one for images of this size counts.  `rectified` takes P instead of K and D.
    Raises InputError if there is no calibration or it is for images of another size.
    """
    path = Path(path)
    content = read_structured(path, _REMEDY)
    if isinstance(content, list) and not any(isinstance(one, dict) for one in content):
        content = {"K": content}
    try:
        camera = _camera(_chosen(content, picture_size), picture_size, rectified)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else reason(error)
        raise InputError(f"{path}: not a calibration ({what}); {_REMEDY}") from None
    if (camera.width, camera.height) != tuple(picture_size):
        raise InputError(
            f"{path}: calibrated for {camera.width}x{camera.height}, the image is "
            f"{picture_size[0]}x{picture_size[1]}; calibrate at the image's own size"
        )
    return camera


def _chosen(content: Any, picture_size: tuple[int, int]) -> dict:
    """Return the entries of the one camera, or the one for images of this size."""
    found = dict(_calibrations(content))
    if len(found) > 1:
        fitting = {n: one for n, one in found.items() if _size(one, ()) == tuple(picture_size)}
        found = fitting or found
    if len(found) != 1:
        what = f"several cameras, {', '.join(found)}" if found else "no camera matrix"
        raise InputError(f"holds {what}; {_REMEDY}")
    return next(iter(found.values()))


def _calibrations(content: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, dict]]:
    """Yield name and entries of each camera; the entries' names are in lower case, letters only."""
    entries = _plain(content) if isinstance(content, Mapping) else {}
    k = _first(entries, _K)
    if isinstance(k, Mapping) and "data" not in k:  # intrinsics: {fx: ...}
        entries = {one: value for one, value in entries.items() if value is not k} | _plain(k)
    if _first(entries, _K) is not None or _pair(entries, _FOCAL):
        yield name, entries
    elif depth < _DEEPEST:
        items = enumerate(content) if isinstance(content, list) else entries.items()
        for key, value in islice(items, _MOST_NUMBERS):
            yield from _calibrations(value, f"{name}/{key}" if name else str(key), depth + 1)


def _plain(entries: Mapping) -> dict[str, Any]:
    return {re.sub("[^a-z0-9]", "", str(key).lower()): one for key, one in entries.items()}


def _camera(entries: dict, picture_size: tuple[int, int], rectified: bool) -> Camera:
    width, height = _size(entries, picture_size)
    model, coefficients = _lens(entries)
    roi = dict(entries.get("roi") or {})
    p = _first(entries, _P)
    if rectified and p is None:
        raise KeyError("P")
    return Camera.from_calibration(
        width,
        height,
        _matrix(entries),
        coefficients,
        model,
        p=_numbers(p) if rectified else None,
        binning=(_whole(entries.get("binningx", 0)), _whole(entries.get("binningy", 0))),
        roi_offset=(_whole(roi.get("x_offset", 0)), _whole(roi.get("y_offset", 0))),
        roi_size=(_whole(roi.get("width", 0)), _whole(roi.get("height", 0))),
        rectified=rectified,
    )


def _matrix(entries: dict) -> list[float]:
    """Return K (9,), row by row."""
    k = _first(entries, _K)
    if k is None:
        k = [*(_pair(entries, _FOCAL) or ()), *(_pair(entries, _CENTER) or ())]
    numbers = _numbers(k)
    if len(numbers) == 4:
        fx, fy, cx, cy = numbers
        return [fx, 0, cx, 0, fy, cy, 0, 0, 1]
    if len(numbers) == 9 and any(numbers[6:8]) and not (numbers[2] or numbers[5]):
        return [*numbers[0::3], *numbers[1::3], *numbers[2::3]]  # Open3D: column by column
    return numbers


def _lens(entries: dict) -> tuple[str, list[float]]:
    """Return model and coefficients."""
    camera_model = str(entries.get("cameramodel", ""))
    model = str(entries.get("distortionmodel") or entries.get("model", "")) or camera_model
    if model != camera_model and camera_model.lower() not in ("", "pinhole"):
        raise InputError(f"camera model {camera_model!r}: only pinhole is known; rectify the image")
    if str(entries.get("fisheyemodel", entries.get("fisheye"))).lower() in ("1", "true"):
        model = "fisheye"  # OpenCV's sample `calibration`
    given = _first(entries, _D)
    if given is not None and not (isinstance(given, Mapping) and "data" not in given):
        return model, _numbers(given)
    named = _plain(given or entries)
    if "k1" not in named:
        if given:
            raise KeyError("k1")
        return model, []
    names = _FISHEYE_D if "fisheye" in model.lower() else _POLYNOMIAL_D
    return model, [_number(named.get(name, 0)) for name in names]


def _size(entries: dict, otherwise: Sequence[int]) -> tuple[int, ...]:
    """Return the (width, height) that a camera is calibrated for, or else the given one."""
    size = _pair(entries, _SIZE) or _first(entries, _SIZES)
    return tuple(otherwise) if size is None else tuple(map(_whole, _numbers(list(size))))


def _first(entries: Mapping, names: Sequence[str]) -> Any:
    return next((entries[name] for name in names if entries.get(name) is not None), None)


def _pair(entries: Mapping, names: Sequence[tuple[str, str]]) -> tuple[Any, Any] | None:
    return next(((entries[a], entries[b]) for a, b in names if a in entries and b in entries), None)


def _numbers(value: Any) -> list[float]:
    """Return the numbers of an OpenCV matrix, or of a list of lists, as many as a camera has."""
    if isinstance(value, Mapping):
        value = value["data"]
    waiting, found = [value], []
    for _ in range(4 * _MOST_NUMBERS):  # a few characters of YAML can stand for any number of lists
        if not waiting:
            return found
        one = waiting.pop(0)
        if hasattr(one, "tolist"):
            one = one.tolist()
        if isinstance(one, list | tuple):
            waiting[:0] = one[:_MOST_NUMBERS]
        else:
            found.append(_number(one))
    raise ValueError("far more numbers than a camera has")


def _number(value: Any) -> float:
    """Return a number; YAML writes .nan and .inf."""
    text = str(value).strip().lower()
    return float(text.replace(".", "") if text.endswith((".nan", ".inf")) else text)


def _whole(value: Any) -> int:
    return int(_number(value))
