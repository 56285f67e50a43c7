"""Human3.6M bodies (Ionescu et al., 2014), in the annotation files that Moon et al. distribute.

Protocol 2: persons 9 and 11, every 64th picture, 17 joints, the pelvis is the root.  The same
layout serves other body sets: annotations/Human36M_subject{S}_{data,camera,joint_3d}.json and
images/.  COCO has no truth in space, so there is nothing to measure in millimetres.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmr_ros.evaluation.datasets.files import Source, intrinsics, points
from cmr_ros.evaluation.sample import Sample
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.skeleton import Handedness

FOUND_BY = "annotations/Human36M_subject9_data.json"
_ORIGIN = "http://vision.imar.ro/human3.6m and https://github.com/mks0601/I2L-MeshNet_RELEASE"
_PERSONS = {"test": (9, 11), "train": (1, 5, 6, 7, 8)}
_EVERY = {"test": 64, "train": 5}
_JOINTS = 17


def read(folder: Path, split: str) -> list[Sample]:
    """Return the samples of `test` or `train`."""
    source = Source(folder, f"Human3.6M's {split} persons", _ORIGIN)
    samples = []
    for person in _PERSONS[split]:
        data, cameras, truths = (
            source.json("annotations", f"Human36M_subject{person}_{name}.json")
            for name in ("data", "camera", "joint_3d")
        )
        with source.entry(f"annotations/Human36M_subject{person}_data.json"):
            samples += [
                _sample(folder, image, cameras[str(image["cam_idx"])], truths)
                for image in data["images"]
                if image["frame_idx"] % _EVERY[split] == 0
            ]
    return samples


def _sample(folder: Path, image: dict, view: dict, truths: dict) -> Sample:
    world = truths[str(image["action_idx"])][str(image["subaction_idx"])][str(image["frame_idx"])]
    camera_mm = points(world, _JOINTS) @ np.array(view["R"]).T + np.ravel(view["t"])
    return Sample(
        image=folder / "images" / image["file_name"],
        camera=Camera(image["width"], image["height"], intrinsics(*view["f"], *view["c"])),
        handedness=Handedness.UNKNOWN,
        joints_m=camera_mm * 1e-3,
    )
