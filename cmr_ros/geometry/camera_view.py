"""A camera's image, and where the camera stands beside others that look at the same scene."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from cmr_ros.errors import InputError
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import Region

#: No two cameras that look at one hand stand farther apart, or so near that it makes no difference.
_BASELINES_M = 0.005, 3.0
#: Rotations are written with some digits: their rows may be off by so much.
_MOST_OFF = 1e-3


@dataclass(frozen=True, eq=False)
class CameraView:
    """What one camera shows; points of the first camera's frame are at R X + t in its own.

    Raises InputError for an image that is not the camera's, and for a pose that is none.
    """

    picture: np.ndarray  # RGB (height, width, 3) uint8
    camera: Camera
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))  # (3, 3)
    translation_m: np.ndarray = field(default_factory=lambda: np.zeros(3))  # (3,)

    def __post_init__(self) -> None:
        shape = self.picture.shape
        if self.picture.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3:
            raise InputError(
                f"image: {self.picture.dtype} array of shape {shape}; expected RGB uint8 "
                "(height, width, 3)"
            )
        check_size("image", self.picture, self.camera)
        check_pose(self.rotation, self.translation_m)

    @property
    def is_first(self) -> bool:
        """Whether it is the first camera's."""
        return not self.translation_m.any()

    def from_first(self, points: np.ndarray) -> np.ndarray:
        """Return points (..., 3) of the first camera's frame in this one's."""
        return points @ self.rotation.T + self.translation_m

    def to_first(self, points: np.ndarray) -> np.ndarray:
        """Return points (..., 3) of this camera's frame in the first one's."""
        return (points - self.translation_m) @ self.rotation

    def transform_from(self, other: CameraView) -> tuple[np.ndarray, np.ndarray]:
        """Return R (3, 3) and t (3,): R X + t is here what X is in another camera's frame."""
        rotation = self.rotation @ other.rotation.T
        return rotation, self.translation_m - rotation @ other.translation_m


def seen_alike(
    region: Region, depth_m: float, first: CameraView, other: CameraView
) -> Region | None:
    """Return the region of another view that shows what one of the first view does, in its way.

    What a network misjudges in one such crop it misjudges in the other, too, so that it hardly
    changes where the views' rays meet.

    Args:
        region: of the first view's image.
        depth_m: of what it shows, in the first camera's frame.
        first: the view of the region.
        other: the view of the answer.

    Returns:
        None where the other view cannot show it.
    """
    c, s = np.cos(region.rotation_rad), np.sin(region.rotation_rad)
    half = region.size_px / 2
    pixels = np.array([[0, 0], [s, -c], [c, s]]) * half + region.center_px
    rays = first.camera.rays(pixels)
    points = other.from_first(first.to_first(rays / rays[:, 2:] * depth_m))
    if not other.camera.sees(points).all():
        return None
    center, above, beside = other.camera.project(points)
    up, right = above - center, beside - center
    size_px = 2 * np.sqrt(abs(up[0] * right[1] - up[1] * right[0]))
    return Region(tuple(center.tolist()), float(size_px), float(np.arctan2(up[0], -up[1])))


def check_size(name: str, array: np.ndarray, camera: Camera) -> None:
    """Raise InputError for an image (height, width, ...) that is not as large as its camera's."""
    if array.shape[:2] != (camera.height, camera.width):
        raise InputError(
            f"{name} {'x'.join(map(str, array.shape[1::-1]))}: its camera is "
            f"{camera.width}x{camera.height}; give the matching CameraInfo"
        )


def check_pose(rotation: np.ndarray, translation_m: np.ndarray) -> None:
    """Raise InputError for what does not take points from one camera's frame to another's."""
    if np.shape(rotation) != (3, 3) or np.shape(translation_m) != (3,):
        raise InputError("pose of the second camera: expected a rotation (3, 3) and a shift (3,)")
    off = np.abs(rotation @ np.transpose(rotation) - np.eye(3)).max()
    if not off < _MOST_OFF or np.linalg.det(rotation) < 0 or not np.isfinite(translation_m).all():
        raise InputError("pose of the second camera: its rotation is none, or it is not finite")


def pose_from_calibration(
    first: tuple[ArrayLike, ArrayLike], second: tuple[ArrayLike, ArrayLike], *, rectified: bool
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the second camera's R (3, 3) and t (3,) as `CameraView` has them, from REP 104.

    Args:
        first: R (9,) and P (12,) of the first camera's CameraInfo.
        second: the same of the second camera's.
        rectified: whether the images are rectified, so that R is already applied.

    Returns:
        None where P is not filled in, or both have the same fourth column: then the cameras were
        not calibrated together.

    Raises:
        InputError: R or P is no such matrix, or the baseline cannot be one.

    """
    turns, shifts = [], []
    for r, p in (first, second):
        turn, projection = np.asarray(r, np.float64), np.asarray(p, np.float64)
        if turn.size != 9 or projection.size != 12:
            raise InputError("CameraInfo: R needs 9 numbers and P 12")
        projection = projection.reshape(3, 4)
        focal = projection[[0, 1], [0, 1]]
        if not (focal > 0).all():
            return None  # P is not filled in
        turns.append(np.eye(3) if rectified else turn.reshape(3, 3))
        shifts.append(np.append(projection[:2, 3] / focal, 0.0))
    shift_m = shifts[1] - shifts[0]
    if not shift_m.any():
        return None
    rotation, translation_m = turns[1].T @ turns[0], turns[1].T @ shift_m
    check_pose(rotation, translation_m)
    check_baseline(float(np.linalg.norm(translation_m)))
    return rotation, translation_m


def check_baseline(baseline_m: float) -> None:
    """Raise InputError for a distance between two cameras that cannot be one in metres."""
    nearest_m, farthest_m = _BASELINES_M
    if not nearest_m <= baseline_m <= farthest_m:
        unit = "; is it in millimetres?" if farthest_m < baseline_m <= 1e3 * farthest_m else ""
        raise InputError(
            f"the cameras are {baseline_m:.4g} m apart: expected {nearest_m:g} to "
            f"{farthest_m:g} m{unit}"
        )
