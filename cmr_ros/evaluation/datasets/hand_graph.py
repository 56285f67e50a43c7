"""The real-world test set of hand-graph-cnn (Ge et al., CVPR 2019): 256x256 crops of left hands."""

from __future__ import annotations

from pathlib import Path

from cmr_ros.evaluation.datasets.files import Source, intrinsics, points
from cmr_ros.evaluation.sample import Sample
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.skeleton import Handedness

FOUND_BY = "pose_gt.mat"
_ORIGIN = "https://github.com/3d-hand-shape/hand-graph-cnn (data/real_world_testset)"
_SIDE_PX = 256
_CENTIMETRE = 0.01


def read(folder: Path, split: str = "test") -> list[Sample]:
    """Return the samples; the crops' cameras are made as in the authors' code."""
    source = Source(folder, "hand-graph-cnn's real-world test set", _ORIGIN)
    names = ("image_path", "cam_param", "bbox")
    params = source.mat("params.mat", names=names)
    poses = source.mat("pose_gt.mat", names=("pose_gt",))["pose_gt"]
    if not len(poses) == len(params["cam_param"]) == len(params["bbox"]):
        raise source.error(folder, "params.mat and pose_gt.mat differ in length")
    samples = []
    for index, pose in enumerate(poses):
        with source.entry(f"params.mat[{index}]"):
            fx, fy, u, v = map(float, params["cam_param"][index])
            left, top, width, _ = map(float, params["bbox"][index])
            matrix = intrinsics(fx, fy, u - left, v - top)
            matrix[:2] *= _SIDE_PX / width
            samples.append(
                Sample(
                    image=folder / str(params["image_path"][index]).strip(),
                    camera=Camera(_SIDE_PX, _SIDE_PX, matrix),
                    handedness=Handedness.LEFT,
                    joints_m=points(pose, 21, unit_m=_CENTIMETRE),
                )
            )
    return samples
