"""InterHand2.6M (Moon et al., ECCV 2020): its pictures of single hands.

Joints come as right hand then left hand, each fingers from tip to base, thumb first, then the
wrist; millimetres in the studio's frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmr_ros.evaluation.datasets.files import Source, intrinsics, points
from cmr_ros.evaluation.sample import Sample
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.skeleton import Handedness

FOUND_BY = "annotations/test/InterHand2.6M_test_data.json"
_ORIGIN = "https://mks0601.github.io/InterHand2.6M"
_ORDER = [20, *(first + step for first in range(0, 20, 4) for step in (3, 2, 1, 0))]
_FIRST = {"right": 0, "left": 21}


def read(folder: Path, split: str) -> list[Sample]:
    """Return the samples of `test`, `val` or `train`: one hand, all joints known."""
    source = Source(folder, f"InterHand2.6M's {split} annotations", _ORIGIN)
    data, cameras, truths = (
        source.json("annotations", split, f"InterHand2.6M_{split}_{name}.json")
        for name in ("data", "camera", "joint_3d")
    )
    samples = []
    with source.entry(f"annotations/{split}/InterHand2.6M_{split}_data.json"):
        images = {image["id"]: image for image in data["images"]}
        for annotation in data["annotations"]:
            image = images[annotation["image_id"]]
            capture = str(image["capture"])
            truth = truths[capture][str(image["frame_idx"])]
            sample = _sample(
                folder / "images" / split / image["file_name"],
                image,
                annotation["hand_type"],
                truth,
                _view(cameras[capture], str(image["camera"])),
            )
            samples += [sample] if sample else []
    return samples


def _view(camera: dict, name: str) -> dict[str, np.ndarray]:
    """Return position (3,) mm, rotation (3, 3), focal lengths and principal point of a camera."""
    keys = ("campos", "camrot", "focal", "princpt")
    return {key: np.array(camera[key][name], np.float64) for key in keys}


def _sample(path: Path, image: dict, hand_type: str, truth: dict, view: dict) -> Sample | None:
    if hand_type not in _FIRST:
        return None
    hand = slice(_FIRST[hand_type], _FIRST[hand_type] + 21)
    if not np.ravel(truth["joint_valid"])[hand].all():
        return None
    world = points(truth["world_coord"], 42)[hand][_ORDER]
    return Sample(
        image=path,
        camera=Camera(
            image["width"], image["height"], intrinsics(*view["focal"], *view["princpt"])
        ),
        handedness=Handedness[hand_type.upper()],
        joints_m=(world - view["campos"]) @ view["camrot"].T * 1e-3,
    )
