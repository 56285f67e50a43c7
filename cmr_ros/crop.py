"""Crops with a camera of their own: what the network sees, and how its answer gets back.

A crop is the picture of a `CropCamera`.  Off-centre principal points, fx != fy, lens distortion,
roll and mirrored left hands are all undone while the crop is cut out, so that network and
registration only ever meet a pinhole camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cmr_ros.camera import Camera

_MIRROR = np.diag([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Region:
    """A square of the picture, free to turn, that holds one hand.

    Coordinates are picture pixels with centres at integers.  `rotation_rad` turns the region
    clockwise as seen in the picture: at 0 the region's up is the picture's up, at pi/2 it is the
    picture's right.
    """

    center_px: tuple[float, float]
    size_px: float
    rotation_rad: float = 0.0

    def corners_px(self) -> np.ndarray:
        """Return the corners (4, 2): top left, top right, bottom right, bottom left."""
        c, s = np.cos(self.rotation_rad), np.sin(self.rotation_rad)
        unit = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        return np.asarray(self.center_px) + self.size_px * unit @ np.array([[c, s], [-s, c]])


@dataclass(frozen=True)
class CropCamera:
    """A pinhole camera without distortion whose picture is a square crop of another camera's.

    size_px: side of the crop.  matrix: (3, 3) intrinsics for points in the crop's frame.
    rotation: (3, 3) orthogonal; crop frame = rotation @ camera frame, determinant -1 when the crop
    is mirrored.  Both frames share their origin.  source: the camera the crop is cut from.
    """

    size_px: int
    matrix: np.ndarray
    rotation: np.ndarray
    source: Camera

    @classmethod
    def looking_at(cls, source: Camera, region: Region, size_px: int, mirrored=False) -> CropCamera:
        """Return the virtual camera whose axis meets the region's centre and whose up is its up."""
        center = np.asarray(region.center_px, dtype=np.float64)
        up_px = np.array([np.sin(region.rotation_rad), -np.cos(region.rotation_rad)])
        forward, above = source.rays(np.stack([center, center + 0.25 * region.size_px * up_px]))
        forward /= np.linalg.norm(forward)
        down = -(above - forward * (above @ forward))
        down /= np.linalg.norm(down)
        rotation = np.stack([np.cross(down, forward), down, forward])
        # A perspective picture magnifies areas by 1 / cos^3 of the angle from its axis.
        focal = source.focal_px / forward[2] ** 1.5 * size_px / region.size_px
        middle = (size_px - 1) / 2
        matrix = np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]])
        return cls(size_px, matrix, _MIRROR @ rotation if mirrored else rotation, source)

    @classmethod
    def affine(cls, source: Camera, region: Region, size_px: int, mirrored=False) -> CropCamera:
        """Return the camera A K of a crop cut by the affine map A, as the published method has it.

        The crop's frame is the source camera's, mirrored in x for a mirrored crop; any lens
        distortion is removed on the way.
        """
        scale = size_px / region.size_px
        c, s = scale * np.cos(region.rotation_rad), scale * np.sin(region.rotation_rad)
        linear = np.array([[c, s], [-s, c]])
        middle = np.full(2, (size_px - 1) / 2)
        a = np.eye(3)
        # The region's centre is a picture pixel; the affine map works on undistorted ones.
        center = source.matrix[:2] @ source.rays(np.asarray(region.center_px))
        a[:2, :2], a[:2, 2] = linear, middle - linear @ center
        if not mirrored:
            return cls(size_px, a @ source.matrix, np.eye(3), source)
        flip = np.array([[-1.0, 0, size_px - 1], [0, 1, 0], [0, 0, 1]])
        return cls(size_px, flip @ a @ source.matrix @ _MIRROR, _MIRROR, source)

    @property
    def mirrored(self) -> bool:
        """Whether the crop shows the mirror image of the picture."""
        return bool(np.linalg.det(self.rotation) < 0)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return crop pixels (..., 2) of points (..., 3) in the crop's frame."""
        pixels = np.asarray(points) @ self.matrix.T
        return pixels[..., :2] / pixels[..., 2:]

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Return points (..., 3) of the crop's frame in the source camera's frame."""
        return np.asarray(points) @ self.rotation

    def from_camera(self, points: np.ndarray) -> np.ndarray:
        """Return points (..., 3) of the source camera's frame in the crop's frame."""
        return np.asarray(points) @ self.rotation.T

    def to_picture(self, pixels: np.ndarray) -> np.ndarray:
        """Return picture pixels (..., 2) of crop pixels (..., 2)."""
        inverse = np.linalg.inv(self.matrix)
        rays = np.asarray(pixels) @ inverse[:, :2].T + inverse[:, 2]
        return self.source.project(self.to_camera(rays))

    def from_picture(self, pixels: np.ndarray) -> np.ndarray:
        """Return crop pixels (..., 2) of picture pixels (..., 2)."""
        return self.project(self.from_camera(self.source.rays(pixels)))

    def cut(self, picture: np.ndarray) -> np.ndarray:
        """Return the crop (size, size[, channels]) of the camera's picture, black outside it."""
        size = (self.size_px, self.size_px)
        if self.source.distortion.size:
            grid = np.stack(np.meshgrid(*map(np.arange, size)), axis=-1)
            x, y = np.moveaxis(self.to_picture(grid).astype(np.float32), -1, 0)
            return cv2.remap(picture, x, y, cv2.INTER_LINEAR)
        to_crop = self.matrix @ self.rotation @ np.linalg.inv(self.source.matrix)
        return cv2.warpPerspective(picture, to_crop, size, flags=cv2.INTER_LINEAR)
