"""The pinhole camera with lens distortion, as sensor_msgs/CameraInfo describes it (REP-104)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import ArrayLike

from cmr_ros.errors import InputError
from cmr_ros.geometry.lens import lens

#: Rays are looked up within this angle of the optical axis.
_WIDEST_RAD = 1.5
#: What real lenses have across the shorter side of an image, as a multiple of the focal length.
#: Perspective lenses end at 140 degrees; 170 leaves room for simulated ones and for fisheyes that
#: are calibrated as polynomials.  Fisheyes (r = f theta) end at 280 degrees, in a circle that may
#: be somewhat smaller than the image.
_WIDEST_FOV_DEG = 170.0
_WIDEST_SPAN = 2 * np.tan(np.radians(_WIDEST_FOV_DEG / 2))
_WIDEST_FISHEYE_SPAN = 2 * np.pi
#: A telescope of 2 m behind the smallest sensors has 0.1 degrees across the longer side.
_NARROWEST_SPAN = np.radians(0.1)
#: Undistorted points are exact to that, in focal lengths; a pixel has some thousandths of one.
_CONVERGED = 1e-12
#: A distortion polynomial may fold back in the corners of an image, beyond the points that it was
#: fitted to, but not within this part of the shorter side around the middle; nor do lenses move
#: the points there by so large a factor.
_LEAST_REACH, _MOST_BENT = 0.1, 20.0
#: Pixels of real sensors are square; binning and half-frames stretch them up to 1:4.
_MOST_STRETCHED = 4.0
_ZERO, _IDENTITY = np.zeros(3), np.eye(3)


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibrated camera; pixel centres lie at integers, the frame is optical (z forward).

    Raises InputError for intrinsics no camera can have.
    """

    width: int  # of the image as it is delivered, in pixels
    height: int
    matrix: np.ndarray  # (3, 3) intrinsics K of the image as it is delivered, in pixels
    #: CameraInfo's D, or empty for a rectified image
    distortion: np.ndarray = field(default_factory=lambda: np.zeros(0))
    distortion_model: str = ""  # as CameraInfo names it

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        distortion = np.array(self.distortion, dtype=np.float64).ravel()
        if self.width <= 0 or self.height <= 0:
            raise InputError(f"camera size {self.width}x{self.height}: both sides must be positive")
        if not np.isfinite(distortion).all():
            raise InputError("distortion coefficients: not all finite; check D")
        model, distortion = lens(self.distortion_model, distortion)
        _check_intrinsics(matrix, (self.width, self.height), model)
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "distortion", distortion)
        object.__setattr__(self, "distortion_model", model)
        if distortion.size:
            self._check_distortion()

    @classmethod
    def from_fov(cls, width: int, height: int, hfov_deg: float) -> Camera:
        """Return an ideal camera with square pixels and a horizontal field of view in degrees."""
        if not 0 < hfov_deg <= _WIDEST_FOV_DEG:
            raise InputError(
                f"horizontal field of view {hfov_deg:g}: must lie in 0 to {_WIDEST_FOV_DEG:g} "
                "degrees"
            )
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
        k: ArrayLike,
        d: ArrayLike = (),
        distortion_model: str = "",
        p: ArrayLike | None = None,
        binning: tuple[int, int] = (1, 1),
        roi_offset: tuple[int, int] = (0, 0),
        roi_size: tuple[int, int] = (0, 0),
        rectified: bool = False,
    ) -> Camera:
        """Return the camera of the delivered image from CameraInfo's fields (REP-104).

        Region of interest and binning shift and scale the intrinsics as image_geometry does it.
        The frame is this camera's own: the stereo baseline in p's last column is left out.

        Args:
            width: of the full-resolution sensor, in pixels.
            height: of the full-resolution sensor, in pixels.
            k: (9,) or (3, 3) intrinsics at full resolution; a raw image is described by k and d.
            d: distortion coefficients.
            distortion_model: plumb_bob, rational_polynomial or equidistant.
            p: (12,) or (3, 4) projection at full resolution; describes a rectified image alone.
            binning: pixels per delivered pixel in x and y; 0 means 1.
            roi_offset: x and y of the region of interest on the sensor.
            roi_size: width and height of the region of interest; 0 means all.
            rectified: whether the delivered image is rectified.

        Raises:
            InputError: The fields describe no camera, or are not filled in.
        """
        name, values, shape = ("p", p, (3, 4)) if rectified else ("k", k, (3, 3))
        matrix = np.array([] if values is None else values, dtype=np.float64)
        if matrix.size != shape[0] * shape[1]:
            raise InputError(
                f"CameraInfo.{name}: expected {shape[0] * shape[1]} numbers, got {matrix.size}"
            )
        matrix = matrix.reshape(shape)[:, :3].copy()
        if rectified:
            d, distortion_model = (), ""
        bins = np.maximum(np.asarray(binning, dtype=int), 1)
        offset, full = np.asarray(roi_offset), np.array([width, height])
        size = np.where(np.asarray(roi_size) > 0, roi_size, full)
        # Drivers whose message has the region's size leave out how large the sensor is.
        sensor = offset + size if (size == full).all() else full
        if (offset < 0).any() or (offset + size > sensor).any():
            raise InputError(
                f"region of interest {size[0]}x{size[1]} at {offset[0]}, {offset[1]} leaves the "
                f"{width}x{height} sensor; check CameraInfo.roi"
            )
        size = size // bins
        matrix[:2, 2] -= offset
        matrix[:2] /= bins[:, None]
        width, height = size.tolist()
        if rectified:
            _check_intrinsics(matrix, (width, height), "", "projection matrix P")
        return cls(width, height, matrix, np.asarray(d), distortion_model)

    @cached_property
    def inverse(self) -> np.ndarray:
        """The inverse (3, 3) of the matrix."""
        return np.linalg.inv(self.matrix)

    @property
    def focal_px(self) -> float:
        """The geometric mean of both focal lengths."""
        return float(np.sqrt(self.matrix[0, 0] * self.matrix[1, 1]))

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Return directions (..., 3) with z = 1 through image pixels (..., 2).

        A pixel that no ray reaches (outside the lens's image) gets the nearest ray that the
        lens model describes.
        """
        inverse = self.inverse
        flat = np.asarray(pixels, dtype=np.float64) @ inverse[:2, :2].T + inverse[:2, 2]
        if self.distortion.size:
            flat = self._undistort(flat)
        return np.concatenate([flat, np.ones_like(flat[..., :1])], axis=-1)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return image pixels (..., 2) of points (..., 3) in the camera's frame, any unit.

        Points that the camera does not see (`sees`) give pixels without meaning.
        """
        points = np.asarray(points, dtype=np.float64)
        if self.distortion.size:
            flat = self._distort(points, self.distortion)
        else:
            flat = points[..., :2] / points[..., 2:]
        return flat @ self.matrix[:2, :2].T + self.matrix[:2, 2]

    def sees(self, points: np.ndarray) -> np.ndarray:
        """Return whether points (..., 3) lie in front, where the lens model holds; (...) bool.

        Beyond some angle a distortion polynomial folds back: it would show a ghost there.
        """
        points = np.asarray(points, dtype=np.float64)
        front = points[..., 2] > 0
        if not self.distortion.size:
            return front
        return front & (
            np.hypot(points[..., 0], points[..., 1]) < self._radii[0][-1] * points[..., 2]
        )

    def _check_distortion(self) -> None:
        """Raise InputError for coefficients that no lens has."""
        size = np.array([self.width, self.height])
        off_center_px = np.linalg.norm(self.matrix[:2, 2] - (size - 1) / 2)
        radius = (off_center_px + _LEAST_REACH * size.min()) / self.focal_px
        ideal = np.interp(radius, *self._radii[::-1], right=0.0)
        if not radius / _MOST_BENT < ideal < radius * _MOST_BENT:
            raise InputError(
                f"distortion coefficients {self.distortion.tolist()} leave nothing of the image "
                "but its middle, as no lens does; check D"
            )

    def _distort(self, points: np.ndarray, distortion: np.ndarray) -> np.ndarray:
        """Return distorted normalised coordinates (..., 2) of points (..., 3)."""
        module = cv2.fisheye if self.distortion_model == "equidistant" else cv2
        column = points.reshape(-1, 1, 3)
        flat, _ = module.projectPoints(column, _ZERO, _ZERO, _IDENTITY, distortion)
        return flat.reshape(*points.shape[:-1], 2)

    @cached_property
    def _radii(self) -> tuple[np.ndarray, np.ndarray]:
        """Radii before and after radial distortion, as far out as they grow together."""
        radial = self.distortion.copy()
        if self.distortion_model != "equidistant":
            radial[2:4] = 0
            radial[8:] = 0
        ideal = np.tan(np.linspace(0, _WIDEST_RAD, 1024))
        axis = np.stack([ideal, np.zeros_like(ideal), np.ones_like(ideal)], axis=-1)
        distorted = self._distort(axis, radial)[:, 0]
        folds = np.flatnonzero(~(np.diff(distorted) > 0))  # as do numbers that are none
        end = folds[0] + 1 if folds.size else ideal.size
        return ideal[:end], distorted[:end]

    def _undistort(self, distorted: np.ndarray) -> np.ndarray:
        """Return normalised coordinates (..., 2) of distorted ones.

        Starts from the radial part, then Newton's method: cv2's fixed-point iteration stops at
        errors of pixels under strong distortion, and its versions differ in how to ask for more.
        """

        def forward(xy: np.ndarray) -> np.ndarray:
            ray = np.concatenate([xy, np.ones_like(xy[..., :1])], axis=-1)
            return self._distort(ray, self.distortion)

        radius = np.linalg.norm(distorted, axis=-1, keepdims=True)
        flat = distorted * (np.interp(radius, *self._radii[::-1]) / np.maximum(radius, 1e-12))
        error = forward(flat) - distorted
        for _ in range(6):
            if not (np.abs(error) > _CONVERGED).any():
                break
            step = 1e-6
            # Both in one call: a lens takes as long for one point as for many.
            beside = forward(np.stack([flat + [step, 0], flat + [0, step]]))
            dx, dy = (beside - error - distorted) / step
            determinant = dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]
            determinant = np.where(np.abs(determinant) < 1e-9, np.inf, determinant)
            x = (error[..., 0] * dy[..., 1] - error[..., 1] * dy[..., 0]) / determinant
            y = (error[..., 1] * dx[..., 0] - error[..., 0] * dx[..., 1]) / determinant
            moved = flat - np.stack([x, y], axis=-1)
            moved_error = forward(moved) - distorted
            better = (moved_error**2).sum(-1, keepdims=True) < (error**2).sum(-1, keepdims=True)
            flat, error = np.where(better, moved, flat), np.where(better, moved_error, error)
        return flat


def _check_intrinsics(
    matrix: np.ndarray, size: tuple[int, int], model: str, what: str = "camera matrix K"
) -> None:
    """Raise InputError for a K that no camera with images of this (width, height) has."""
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise InputError(f"{what}: expected 3x3 finite numbers")
    focal = matrix[[0, 1], [0, 1]]
    if (focal <= 0).any():
        raise InputError(
            f"{what}: focal lengths {focal[0]:g}, {focal[1]:g} must be positive; "
            "the camera is not calibrated"
        )
    if np.any(np.tril(matrix, -1)) or matrix[2, 2] != 1:
        raise InputError(f"{what}: its rows must be [fx s cx], [0 fy cy], [0 0 1]")
    if focal.max() > _MOST_STRETCHED * focal.min() or abs(matrix[0, 1]) > focal[0]:
        raise InputError(
            f"{what}: fx {focal[0]:g}, fy {focal[1]:g} and skew {matrix[0, 1]:g} mean "
            "pixels that are far from square, as in no camera"
        )
    fisheye = model == "equidistant"
    widest = _WIDEST_FISHEYE_SPAN if fisheye else _WIDEST_SPAN
    span = np.array(size) / focal
    if span.min() > widest * (1 + 1e-9) or span.max() < _NARROWEST_SPAN:
        fov_deg = np.degrees(span if fisheye else 2 * np.arctan(span / 2))
        raise InputError(
            f"{what}: focal lengths {focal[0]:g}, {focal[1]:g} in images of "
            f"{size[0]}x{size[1]} pixels mean a field of view of {fov_deg[0]:.4g} x "
            f"{fov_deg[1]:.4g} degrees, which no lens has; the camera is not calibrated"
        )
    if (np.abs(matrix[:2, 2] - (np.array(size) - 1) / 2) > widest / 2 * focal).any():
        raise InputError(
            f"{what}: principal point {matrix[0, 2]:g}, {matrix[1, 2]:g} lies farther "
            f"from images of {size[0]}x{size[1]} pixels than any lens reaches"
        )
