"""Stereo Tracking Benchmark (Zhang et al., 2016): a left hand in front of a stereo camera.

The left picture of the Bumblebee pair is read.  The set marks the palm's centre in place of the
wrist.  As Zimmermann and Brox's code has it, and Ge et al.'s, the centre is taken for half-way
between wrist and ring finger's base, so the wrist is only as good as that.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmr_ros.evaluation.datasets.files import Source, intrinsics, points
from cmr_ros.evaluation.sample import Sample
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.skeleton import Handedness

FOUND_BY = "labels/B1Counting_BB.mat"
_ORIGIN = "https://github.com/zhjwustc/icip17_stereo_hand_pose_dataset"
_CAMERA = Camera(640, 480, intrinsics(822.79041, 822.79041, 318.47345, 250.31296))
_PEOPLE = {"test": (1,), "train": (2, 3, 4, 5, 6)}
#: The set goes from the little finger to the thumb.
_ORDER = [0, *range(17, 21), *range(13, 17), *range(9, 13), *range(5, 9), *range(1, 5)]


def read(folder: Path, split: str) -> list[Sample]:
    """Return the samples of `test` (B1Counting, B1Random) or `train` (B2 to B6)."""
    source = Source(folder, f"STB's {split} sequences", _ORIGIN)
    samples = []
    for person in _PEOPLE[split]:
        for kind in ("Counting", "Random"):
            sequence = f"B{person}{kind}"
            label = f"labels/{sequence}_BB.mat"
            pictures = source.file("images", sequence)
            hands = source.mat(label, names=("handPara",))["handPara"]
            with source.entry(label):
                for index, hand in enumerate(np.moveaxis(hands, -1, 0)):
                    picture = pictures / f"BB_left_{index}.png"
                    samples.append(Sample(picture, _CAMERA, Handedness.LEFT, _joints(hand)))
    return samples


def _joints(hand: np.ndarray) -> np.ndarray:
    """Return the joints (21, 3) in metres of the set's (3, 21) in millimetres."""
    joints = points(hand.T, 21, unit_m=1e-3)[_ORDER]
    joints[0] = 2 * joints[0] - joints[13]
    return joints
