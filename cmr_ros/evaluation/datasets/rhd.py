"""Rendered Hand Pose (Zimmermann and Brox, ICCV 2017): 320x320 renders of two-handed people.

Each picture counts with the hand of which more joints are seen, as the set's protocol asks for the
dominant one.  Joints come as left hand then right hand, each wrist, then fingers from tip to base.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmr_ros.evaluation.datasets.files import Source, points
from cmr_ros.evaluation.sample import Sample
from cmr_ros.files.pickles import read_pickle
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.skeleton import Handedness

FOUND_BY = "evaluation/anno_evaluation.pickle"
_ORIGIN = "https://lmb.informatik.uni-freiburg.de/resources/datasets/RenderedHandposeDataset"
_SIDE_PX = 320
#: Of the training set's pickle, which has 3.2 million.
_MAX_INSTRUCTIONS = 4_000_000
#: Wrist, then each finger turned round to run from base to tip.
_ORDER = [0, *(first + step for first in range(1, 21, 4) for step in (3, 2, 1, 0))]
#: Values of the segmentation mask: 2 to 17 are the left hand's, 18 to 33 the right hand's.
_MASK_VALUES = {Handedness.LEFT: (2, 17), Handedness.RIGHT: (18, 33)}


def read(folder: Path, split: str) -> list[Sample]:
    """Return the samples of `evaluation` or `training`, a hand each."""
    source = Source(folder, f"RHD's {split} set", _ORIGIN)
    path = source.file(split, f"anno_{split}.pickle")
    annotations = read_pickle(path, f"fetch it from {_ORIGIN}", _MAX_INSTRUCTIONS)
    samples = []
    for index in sorted(annotations):
        with source.entry(f"{split}/anno_{split}.pickle[{index}]"):
            samples.append(_sample(folder / split, index, annotations[index]))
    return samples


def _sample(folder: Path, index: int, entry: dict[str, np.ndarray]) -> Sample:
    joints = points(entry["xyz"], 42)
    seen = np.array(entry["uv_vis"])[:, 2].astype(bool)
    left = seen[:21].sum() >= seen[21:].sum()
    side = Handedness.LEFT if left else Handedness.RIGHT
    return Sample(
        image=folder / "color" / f"{index:05d}.png",
        camera=Camera(_SIDE_PX, _SIDE_PX, np.array(entry["K"])),
        handedness=side,
        joints_m=(joints[:21] if left else joints[21:])[_ORDER],
        mask=folder / "mask" / f"{index:05d}.png",
        mask_values=_MASK_VALUES[side],
    )
