"""Depth by matching the images of two calibrated cameras around a hand, as stereo cameras do."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cmr_ros.geometry.camera_view import CameraView
from cmr_ros.geometry.crop import CropCamera

#: What is matched: a square of that side at the hand, as large as in the image, within limits.
_EXTENT_M, _SIZES_PX = 0.24, (64, 160)
#: By how much the hand may lie before or behind where its middle is expected.
_REACH_M = 0.08
#: Cameras that are farther apart, by the distance of the hand, see too different sides of it.
_WIDEST = 0.4
_STEPS_PX, _BLOCK_PX = 16, 7
#: OpenCV's own proportions of the penalties for small and for large steps in disparity.
_SMALL_STEP, _LARGE_STEP = 8 * _BLOCK_PX**2, 32 * _BLOCK_PX**2


@dataclass(frozen=True, eq=False)
class MatchedDepth:
    """Depths in a crop."""

    depth_m: np.ndarray  # (size, size) z in the crop's frame, 0 where unknown
    step_m: float  # by how much depth changes with a pixel of disparity


def matching_scale(
    focal_px: float, distance_m: float, apart_m: float
) -> tuple[int, float, float] | None:
    """Return how finely a hand is matched: side and focal length of what is cut, and a step.

    Args:
        focal_px: of the camera.
        distance_m: of the hand along the rectified axis.
        apart_m: distance between the cameras.

    Returns:
        Side and focal length in pixels, and by how much depth changes with a pixel of disparity in
        metres; None where the views are too different to be matched.
    """
    if not distance_m > max(apart_m / _WIDEST, 2 * _REACH_M):
        return None
    size_px = int(np.clip(round(_EXTENT_M * focal_px / distance_m), *_SIZES_PX))
    cut_focal_px = size_px * distance_m / _EXTENT_M
    return size_px, cut_focal_px, distance_m**2 / (cut_focal_px * apart_m)


def match_depth(
    crop: CropCamera, first: CameraView, other: CameraView, middle_m: np.ndarray
) -> MatchedDepth | None:
    """Return the depths in a crop by semi-global matching (Hirschmueller, 2008).

    Both images are cut so that the hand's middle has no disparity.

    Args:
        crop: of the first view.
        first: a view of a hand.
        other: a view of the same moment.
        middle_m: (3,) about where the middle of the hand is, in the first view's own frame.

    Returns:
        None where the views are too different to be matched.
    """
    turn, shift_m = other.transform_from(first)
    baseline_m = -turn.T @ shift_m  # where the other camera stands
    apart_m = float(np.linalg.norm(baseline_m))
    rectified = _facing(baseline_m / apart_m, middle_m)
    ahead_m = rectified @ middle_m
    scale = matching_scale(first.camera.focal_px, float(ahead_m[2]), apart_m)
    if scale is None:
        return None
    size_px, focal_px, step_m = scale
    range_px = focal_px * apart_m * 2 * _REACH_M / (ahead_m[2] ** 2 - _REACH_M**2)
    steps = _STEPS_PX * int(np.ceil(range_px / _STEPS_PX))
    matrix = np.array([[focal_px, 0, 0], [0, focal_px, 0], [0, 0, 1]])
    matrix[:2, 2] = (size_px - 1) / 2 - focal_px * ahead_m[:2] / ahead_m[2]
    shift_px = focal_px * apart_m / ahead_m[2]
    beside = matrix + [[0, 0, shift_px], [0, 0, 0], [0, 0, 0]]
    camera = CropCamera(size_px, matrix, rectified, first.camera)
    other_camera = CropCamera(size_px, beside, rectified @ turn.T, other.camera)
    greys = [
        cv2.cvtColor(one.cut(view.picture), cv2.COLOR_RGB2GRAY)
        for one, view in ((camera, first), (other_camera, other))
    ]
    # What leaves the image on the left has no disparity: a border is added there and cut off again.
    padded = [cv2.copyMakeBorder(grey, 0, 0, steps, steps, cv2.BORDER_REPLICATE) for grey in greys]
    matcher = cv2.StereoSGBM.create(
        minDisparity=-steps // 2, numDisparities=steps, blockSize=_BLOCK_PX, P1=_SMALL_STEP,
        P2=_LARGE_STEP, disp12MaxDiff=1, uniquenessRatio=5, preFilterCap=31,
        mode=cv2.StereoSGBM_MODE_SGBM_3WAY,
    )  # fmt: skip
    disparity_px = matcher.compute(*padded)[:, steps:-steps].astype(np.float32) / 16
    known = disparity_px >= -steps // 2
    depth_m = np.where(known, focal_px * apart_m / (disparity_px + shift_px), 0)
    return MatchedDepth(_cut_like(crop, camera, depth_m), step_m)


def _facing(right: np.ndarray, middle_m: np.ndarray) -> np.ndarray:
    """Return the rotation (3, 3) into the frame whose x is `right`, and which looks at a point."""
    down = np.cross(middle_m, right)
    down /= np.linalg.norm(down)
    return np.stack([right, down, np.cross(right, down)])


def _cut_like(crop: CropCamera, camera: CropCamera, depth_m: np.ndarray) -> np.ndarray:
    """Return the z of one crop's frame at each pixel of another crop of the same camera."""
    turn = camera.rotation @ crop.rotation.T  # the depths' frame <- crop's
    to_depths = camera.matrix @ turn @ np.linalg.inv(crop.matrix)
    side = (crop.size_px, crop.size_px)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    cut = cv2.warpPerspective(depth_m.astype(np.float32), to_depths, side, flags=flags)
    x, y = np.meshgrid(np.arange(crop.size_px), np.arange(crop.size_px))
    row = (turn @ np.linalg.inv(crop.matrix))[2]
    return cut / (row[0] * x + row[1] * y + row[2])
