"""The plain manifest: `{"images": [{image, width, height, K, handedness, joints_m, ...}]}`.

`image` and the optional `mask` (not 0 on the hand) are relative to the manifest; `vertices_m`
(V, 3) is optional.  Metres, in the camera's optical frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.evaluation.datasets.files import MAX_JSON_MEMORY, points
from cmr_ros.evaluation.sample import Sample
from cmr_ros.files.untrusted import read_json
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.skeleton import JOINT_NAMES, Handedness

FOUND_BY = "manifest.json"


def read(path: Path, split: str = "all") -> list[Sample]:
    """Return the samples of a manifest.json, or of the folder that holds one."""
    path = path / FOUND_BY if path.is_dir() else path
    content = read_json(path, "expected a manifest.json", max_memory=MAX_JSON_MEMORY)
    entries = content.get("images") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise InputError(f'{path}: expected JSON of the form {{"images": [...]}}')
    return [_sample(path, index, entry) for index, entry in enumerate(entries)]


def _sample(path: Path, index: int, entry: dict) -> Sample:
    try:
        vertices, mask = entry.get("vertices_m"), entry.get("mask")
        return Sample(
            image=path.parent / entry["image"],
            camera=Camera(entry["width"], entry["height"], np.array(entry["K"])),
            handedness=Handedness[entry["handedness"].upper()],
            joints_m=points(entry["joints_m"], len(JOINT_NAMES)),
            vertices_m=None if vertices is None else points(vertices),
            mask=None if mask is None else path.parent / mask,
        )
    except (KeyError, TypeError, AttributeError, ValueError, InputError) as error:
        raise InputError(
            f"{path}: images[{index}]: {error!r}; expected image, width, height, K (3x3), "
            "handedness (left, right or unknown) and joints_m (21x3)"
        ) from error
