"""Reads a camera's calibration from the files that people have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from cmr_ros.errors import InputError, reason
from cmr_ros.geometry.camera import Camera

_LARGEST_FILE = 1 << 20


def read_calibration(
    path: Path | str, picture_size: tuple[int, int], rectified: bool = False
) -> Camera:
    """Return the camera of a picture of (width, height) from a YAML or JSON file.

    Known are the files of camera_calibration (`camera_matrix`, ...), a dump of
    sensor_msgs/CameraInfo (`ros2 topic echo --once`) and any file with a `K` of 3x3 or 9 numbers
    and, optionally, `width`, `height`, `D` and `distortion_model`.  `rectified` takes P instead of
    K and D.  Raises InputError if there is no calibration or it is for pictures of another size.
    """
    entries = _read_mapping(Path(path))
    try:
        camera = _camera(entries, picture_size, rectified)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else reason(error)
        raise InputError(
            f"{path}: not a calibration ({what}); expected a file of camera_calibration, a dump "
            "of sensor_msgs/CameraInfo, or K"
        ) from None
    if (camera.width, camera.height) != tuple(picture_size):
        raise InputError(
            f"{path}: calibrated for {camera.width}x{camera.height}, the image is "
            f"{picture_size[0]}x{picture_size[1]}; calibrate at the image's own size"
        )
    return camera


def _read_mapping(path: Path) -> dict:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{path}: over 1 MB is no calibration; give the camera's YAML or JSON")
        # A dump of a topic ends in '---' and may hold several messages; the first one counts.
        entries = next(yaml.safe_load_all(path.read_text(encoding="utf-8")), None)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the camera's YAML or JSON") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: neither YAML nor JSON ({reason(error)})") from None
    if not isinstance(entries, dict):
        raise InputError(f"{path}: holds no entries; give the camera's YAML or JSON")
    return entries


def _camera(entries: dict, picture_size: tuple[int, int], rectified: bool) -> Camera:
    if "camera_matrix" in entries:
        return Camera.from_calibration(
            int(entries["image_width"]),
            int(entries["image_height"]),
            entries["camera_matrix"]["data"],
            entries["distortion_coefficients"]["data"],
            entries["distortion_model"],
            p=entries["projection_matrix"]["data"] if rectified else None,
            rectified=rectified,
        )
    entries = {str(name).lower(): value for name, value in entries.items()}
    roi = entries.get("roi") or {}
    return Camera.from_calibration(
        int(entries.get("width", picture_size[0])),
        int(entries.get("height", picture_size[1])),
        np.ravel(entries["k"]),
        np.ravel(entries.get("d", ())),
        entries.get("distortion_model", "plumb_bob"),
        p=entries["p"] if rectified else None,
        binning=(int(entries.get("binning_x", 0)), int(entries.get("binning_y", 0))),
        roi_offset=(int(roi.get("x_offset", 0)), int(roi.get("y_offset", 0))),
        roi_size=(int(roi.get("width", 0)), int(roi.get("height", 0))),
        rectified=rectified,
    )
