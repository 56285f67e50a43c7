"""Pictures with true hands, read from the layouts that data sets of the field use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cmr_ros.camera import Camera
from cmr_ros.errors import InputError
from cmr_ros.hand import JOINT_NAMES, Handedness


@dataclass(frozen=True)
class Sample:
    """One picture with one true hand, in the camera's optical frame, metres.

    joints_m: (21, 3) in the order of JOINT_NAMES.  vertices_m: (V, 3) or None.  mask: path of a
    picture that is non-zero on the hand, or None.
    """

    image: Path
    camera: Camera
    handedness: Handedness
    joints_m: np.ndarray
    vertices_m: np.ndarray | None = None
    mask: Path | None = None

    def picture(self) -> np.ndarray:
        """Return the picture, RGB (height, width, 3) uint8; InputError when it cannot be used."""
        picture = cv2.imread(str(self.image), cv2.IMREAD_COLOR)
        if picture is None:
            raise InputError(f"{self.image}: not a readable picture; is the data set complete?")
        if picture.shape[:2] != (self.camera.height, self.camera.width):
            raise InputError(
                f"{self.image}: {picture.shape[1]}x{picture.shape[0]} pixels, but its camera has "
                f"{self.camera.width}x{self.camera.height}"
            )
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def read_manifest(path: str | Path) -> list[Sample]:
    """Read a JSON manifest `{"images": [{image, width, height, K, handedness, joints_m, ...}]}`.

    `image` and the optional `mask` are relative to the manifest; `vertices_m` is optional.
    """
    path = Path(path)
    try:
        entries = json.loads(path.read_text())["images"]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected a manifest.json") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path}: expected JSON of the form {{"images": [...]}}') from error
    return [_manifest_sample(path, index, entry) for index, entry in enumerate(entries)]


def _manifest_sample(path: Path, index: int, entry: dict) -> Sample:
    try:
        joints = np.array(entry["joints_m"], dtype=np.float64)
        if joints.shape != (len(JOINT_NAMES), 3) or not np.isfinite(joints).all():
            raise InputError(f"{path}: images[{index}].joints_m: expected 21 finite points")
        vertices = entry.get("vertices_m")
        mask = entry.get("mask")
        return Sample(
            image=path.parent / entry["image"],
            camera=Camera(entry["width"], entry["height"], np.array(entry["K"])),
            handedness=Handedness[entry["handedness"].upper()],
            joints_m=joints,
            vertices_m=None if vertices is None else np.array(vertices, dtype=np.float64),
            mask=None if mask is None else path.parent / mask,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{path}: images[{index}]: {error!r}; expected image, width, height, K (3x3), "
            "handedness (left, right or unknown) and joints_m (21x3)"
        ) from error
