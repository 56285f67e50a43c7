"""The pinhole camera with lens distortion, as sensor_msgs/CameraInfo describes it (REP-104)."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from cmr_ros.errors import InputError

#: Number of coefficients cv2 accepts for each of CameraInfo's distortion models.
_COEFFICIENTS = {"": (0,), "plumb_bob": (0, 4, 5), "rational_polynomial": (8,), "equidistant": (4,)}


@dataclass(frozen=True)
class Camera:
    """A calibrated camera; pixel centres lie at integers, the frame is optical (z forward).

    matrix: (3, 3) intrinsics K of the picture as it is delivered.  distortion: CameraInfo's D, or
    empty for a rectified picture.  Raises InputError for intrinsics no camera can have.
    """

    width: int
    height: int
    matrix: np.ndarray
    distortion: np.ndarray = field(default_factory=lambda: np.zeros(0))
    distortion_model: str = ""

    def __post_init__(self):
        matrix = np.array(self.matrix, dtype=np.float64)
        distortion = np.array(self.distortion, dtype=np.float64).ravel()
        if self.width <= 0 or self.height <= 0:
            raise InputError(f"camera size {self.width}x{self.height}: both sides must be positive")
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
            raise InputError("camera matrix K: expected 3x3 finite numbers; calibrate the camera")
        if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
            raise InputError(
                f"camera matrix K: focal lengths {matrix[0, 0]:g}, {matrix[1, 1]:g} must be "
                "positive; the camera is not calibrated"
            )
        if self.distortion_model not in _COEFFICIENTS:
            known = ", ".join(name for name in _COEFFICIENTS if name)
            raise InputError(
                f"distortion model {self.distortion_model!r}: known are {known}; "
                "rectify the picture instead"
            )
        if not distortion.any():
            distortion = np.zeros(0)
        elif distortion.size not in _COEFFICIENTS[self.distortion_model]:
            raise InputError(
                f"distortion model {self.distortion_model!r} does not take {distortion.size} "
                "coefficients; check CameraInfo.d"
            )
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "distortion", distortion)

    @classmethod
    def from_fov(cls, width: int, height: int, hfov_deg: float) -> Camera:
        """Return an ideal camera with square pixels and a horizontal field of view in degrees."""
        if not 0 < hfov_deg < 180:
            raise InputError(f"horizontal field of view {hfov_deg:g}: must lie in 0 to 180 degrees")
        focal = 0.5 * width / np.tan(0.5 * np.radians(hfov_deg))
        center = (width - 1) / 2, (height - 1) / 2
        return cls(
            width, height, np.array([[focal, 0, center[0]], [0, focal, center[1]], [0, 0, 1]])
        )

    @classmethod
    def from_calibration(
        cls,
        width: int,
        height: int,
        k,
        d=(),
        distortion_model: str = "",
        p=None,
        binning: tuple[int, int] = (1, 1),
        roi_offset: tuple[int, int] = (0, 0),
        roi_size: tuple[int, int] = (0, 0),
        rectified: bool = False,
    ) -> Camera:
        """Return the camera of the delivered picture from CameraInfo's fields (REP-104).

        `k` (9,), `d` and `p` (12,) belong to the full-resolution sensor of `width` x `height`;
        region of interest and binning (0 means 1) shift and scale them.  A rectified picture is
        described by `p` alone, a raw one by `k` and `d`.
        """
        if rectified:
            matrix = np.array(p, dtype=np.float64).reshape(3, 4)[:, :3]
            d, distortion_model = (), ""
        else:
            matrix = np.array(k, dtype=np.float64).reshape(3, 3)
        bins = np.maximum(np.asarray(binning, dtype=int), 1)
        size = np.where(np.asarray(roi_size) > 0, roi_size, (width, height)) // bins
        matrix = matrix.copy()
        matrix[:2, 2] -= roi_offset
        matrix[:2] /= bins[:, None]
        return cls(int(size[0]), int(size[1]), matrix, np.asarray(d), distortion_model)

    @property
    def focal_px(self) -> float:
        """The geometric mean of both focal lengths."""
        return float(np.sqrt(self.matrix[0, 0] * self.matrix[1, 1]))

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Return directions (..., 3) with z = 1 through picture pixels (..., 2)."""
        pixels = np.asarray(pixels, dtype=np.float64)
        if self.distortion.size:
            undistort = cv2.fisheye if self.distortion_model == "equidistant" else cv2
            flat = undistort.undistortPoints(
                pixels.reshape(-1, 1, 2), self.matrix, self.distortion
            ).reshape(pixels.shape)
        else:
            inverse = np.linalg.inv(self.matrix)
            flat = pixels @ inverse[:2, :2].T + inverse[:2, 2]
        return np.concatenate([flat, np.ones_like(flat[..., :1])], axis=-1)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return picture pixels (..., 2) of points (..., 3) in the camera's frame, any unit.

        Points behind the camera give pixels without meaning; check z first.
        """
        points = np.asarray(points, dtype=np.float64)
        if not self.distortion.size:
            pixels = points @ self.matrix.T
            return pixels[..., :2] / pixels[..., 2:]
        zero = np.zeros(3)
        flat = points.reshape(-1, 1, 3)
        if self.distortion_model == "equidistant":
            pixels, _ = cv2.fisheye.projectPoints(flat, zero, zero, self.matrix, self.distortion)
        else:
            pixels, _ = cv2.projectPoints(flat, zero, zero, self.matrix, self.distortion)
        return pixels.reshape(*points.shape[:-1], 2)
