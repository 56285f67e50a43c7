"""The plain manifest: `{"images": [{image, width, height, K, handedness, joints_m, ...}]}`.

`image` and the optional `mask` (not 0 on the hand) are relative to the manifest; `vertices_m`
(V, 3) is optional.  Metres, in the camera's optical frame.  Images of one moment by two cameras
have the same `pair`, each its `camera` (a name) and `T` (4, 4), which takes points of a frame that
both share to the camera's own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.evaluation.datasets.files import MAX_JSON_MEMORY, points
from cmr_ros.evaluation.sample import Beside, Sample
from cmr_ros.files.untrusted import read_json
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.camera_view import check_pose
from cmr_ros.geometry.skeleton import JOINT_NAMES, Handedness

FOUND_BY = "manifest.json"


def read(path: Path, split: str = "all") -> list[Sample]:
    """Return the samples of a manifest.json, or of the folder that holds one."""
    path = path / FOUND_BY if path.is_dir() else path
    content = read_json(path, "expected a manifest.json", max_memory=MAX_JSON_MEMORY)
    entries = content.get("images") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise InputError(f'{path}: expected JSON of the form {{"images": [...]}}')
    samples = [_sample(path, index, entry) for index, entry in enumerate(entries)]
    pairs: dict[str, list[int]] = {}
    for index, entry in enumerate(entries):
        if "pair" in entry:
            pairs.setdefault(str(entry["pair"]), []).append(index)
    for name, members in pairs.items():
        if len(members) != 2 or len({str(entries[index].get("camera")) for index in members}) != 2:
            raise InputError(
                f"{path}: pair {name!r}: expected two images with this pair, of different cameras"
            )
        poses = [_pose(path, index, entries[index]) for index in members]
        for own, other in ((0, 1), (1, 0)):
            across = poses[other] @ np.linalg.inv(poses[own])
            image = samples[members[other]]
            beside = Beside(image.image, image.camera, across[:3, :3], across[:3, 3])
            samples[members[own]] = replace(samples[members[own]], beside=beside)
    return samples


def _pose(path: Path, index: int, entry: dict) -> np.ndarray:
    """Return an entry's T (4, 4)."""
    try:
        pose = np.array(entry["T"], np.float64)
        if pose.shape != (4, 4) or not np.allclose(pose[3], [0, 0, 0, 1]):
            raise ValueError("not a rigid transform")
        check_pose(pose[:3, :3], pose[:3, 3])
        return pose
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise InputError(
            f"{path}: images[{index}]: {error!r}; expected T, the rigid transform (4x4) to the "
            "camera's frame from the one that its pair shares, in metres"
        ) from error


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
