"""FreiHAND (Zimmermann et al., ICCV 2019): 224x224 crops of right hands with MANO meshes.

Joints and their order are this package's; metres, camera frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmr_ros.evaluation.datasets.files import Source, points
from cmr_ros.evaluation.sample import Sample
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.skeleton import Handedness

FOUND_BY = "evaluation_K.json"
_ORIGIN = "https://lmb.informatik.uni-freiburg.de/projects/freihand (FreiHAND_pub_v2)"
_SIDE_PX = 224
MANO_VERTICES = 778


def read(folder: Path, split: str) -> list[Sample]:
    """Return the samples of `evaluation` or `training`.

    The training pictures come in versions of other backgrounds: all that lie there, which then
    follow each other as the files' numbers do.  Only training pictures have masks.
    """
    source = Source(folder, f"FreiHAND's {split} layout", _ORIGIN)
    matrices, joints, vertices = (
        source.json(f"{split}_{name}.json") for name in ("K", "xyz", "verts")
    )
    if not all(isinstance(part, list) for part in (matrices, joints, vertices)):
        raise source.error(folder, f"{split}_K, _xyz and _verts are not all lists")
    if not len(matrices) == len(joints) == len(vertices):
        raise source.error(folder, f"{split}_K, _xyz and _verts differ in length")
    count = len(matrices)
    if not count:
        raise source.error(folder, f"{split}_K.json has no entries")
    pictures = source.file(split, "rgb")
    versions = 1
    while split == "training" and (pictures / f"{versions * count:08d}.jpg").exists():
        versions += 1
    truths = []
    for index in range(count):
        with source.entry(f"{split}_*.json[{index}]"):
            camera = Camera(_SIDE_PX, _SIDE_PX, np.array(matrices[index]))
            truths.append(
                (camera, points(joints[index], 21), points(vertices[index], MANO_VERTICES))
            )
    masks = folder / split / "mask"
    return [
        Sample(
            pictures / f"{version * count + index:08d}.jpg", camera, Handedness.RIGHT, xyz, mesh,
            mask=masks / f"{index:08d}.jpg" if masks.is_dir() else None, mask_values=(128, 255),
        )
        for version in range(versions)
        for index, (camera, xyz, mesh) in enumerate(truths)
    ]  # fmt: skip
