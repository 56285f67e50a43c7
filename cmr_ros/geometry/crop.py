"""Crops with a camera of their own: what the network sees, and how its answer gets back.

A crop is the image of a `CropCamera`.  Off-centre principal points, fx != fy, lens distortion,
roll and mirrored left hands are all undone while the crop is cut out, so that network and
registration only ever meet a pinhole camera.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.vectors import cross

_MIRROR = np.diag([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Region:
    """A square of the image, free to turn, that holds one hand."""

    center_px: tuple[float, float]  # x and y in image pixels, whose centres lie at integers
    size_px: float  # side
    #: clockwise as seen in the image: at 0 the region's up is the image's up, at pi/2 its right
    rotation_rad: float = 0.0

    def __post_init__(self) -> None:
        values = (*self.center_px, self.size_px, self.rotation_rad)
        if not all(map(math.isfinite, values)) or self.size_px <= 0:
            raise InputError(f"region {values}: needs finite numbers and a positive size")

    def scaled(self, scale: float, corner_px: tuple[float, float] = (0, 0)) -> Region:
        """Return the same region in the image that is enlarged so much, with its corner there."""
        x, y = (
            (at + 0.5) * scale - 0.5 + low
            for at, low in zip(self.center_px, corner_px, strict=True)
        )
        return Region((x, y), self.size_px * scale, self.rotation_rad)

    def corners_px(self) -> np.ndarray:
        """Return the corners (4, 2): top left, top right, bottom right, bottom left."""
        c, s = np.cos(self.rotation_rad), np.sin(self.rotation_rad)
        unit = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        return np.asarray(self.center_px) + self.size_px * unit @ np.array([[c, s], [-s, c]])


@dataclass(frozen=True, eq=False)
class CropCamera:
    """A pinhole camera without distortion whose image is a square crop of another camera's.

    The crop's frame and the other camera's share their origin.
    """

    size_px: int  # side of the crop
    matrix: np.ndarray  # (3, 3) intrinsics for points in the crop's frame
    #: (3, 3) orthogonal: crop frame = rotation @ camera frame; determinant -1 for a mirrored crop
    rotation: np.ndarray
    source: Camera  # the camera the crop is cut from

    @classmethod
    def looking_at(
        cls, source: Camera, region: Region, size_px: int, mirrored: bool = False
    ) -> CropCamera:
        """Return the virtual camera whose axis meets the region's centre and whose up is its up.

        Args:
            source: the camera the crop is cut from.
            region: square of its image.
            size_px: side of the crop.
            mirrored: whether the crop shows the mirror image.
        """
        return cls.all_looking_at(source, [region], size_px, [mirrored])[0]

    @classmethod
    def all_looking_at(
        cls, source: Camera, regions: Sequence[Region], size_px: int, mirrored: Sequence[bool]
    ) -> list[CropCamera]:
        """Return the virtual cameras of several regions: a lens takes as long for one as for many.

        Args:
            source: the camera the crops are cut from.
            regions: squares of its image.
            size_px: side of each crop.
            mirrored: for each region whether its crop shows the mirror image.
        """
        turn = np.array([region.rotation_rad for region in regions])
        c, s, zero = np.cos(turn), np.sin(turn), np.zeros(len(turn))
        steps_px = np.moveaxis(np.array([[zero, zero], [c, s], [-s, c]]), -1, 0)
        centers_px = np.array([region.center_px for region in regions])
        rays = source.rays(centers_px[:, None] + steps_px)
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        middle, right, below = np.moveaxis(rays, 1, 0)
        down = below - middle * (below * middle).sum(-1, keepdims=True)
        down /= np.linalg.norm(down, axis=-1, keepdims=True)
        rotations = np.stack([cross(down, middle), down, middle], axis=1)
        # The lens's own scale there, in image pixels per radian, keeps the region's area.
        areas = np.linalg.norm(cross(right - middle, below - middle), axis=-1)
        focal = size_px / (np.sqrt(areas) * [region.size_px for region in regions])
        center = (size_px - 1) / 2
        return [
            cls(
                size_px,
                np.array([[f, 0, center], [0, f, center], [0, 0, 1]]),
                _MIRROR @ rotation if flipped else rotation,
                source,
            )
            for f, rotation, flipped in zip(focal, rotations, mirrored, strict=True)
        ]

    @classmethod
    def affine(
        cls, source: Camera, region: Region, size_px: int, mirrored: bool = False
    ) -> CropCamera:
        """Return the camera A K of a crop cut by the affine map A, as the published method has it.

        The crop's frame is the source camera's, turned about its axis as the region is, since a
        network's answer turns with its image, and mirrored in x for a mirrored crop; any lens
        distortion is removed on the way.

        Args:
            source: the camera the crop is cut from.
            region: square of its image.
            size_px: side of the crop.
            mirrored: whether the crop shows the mirror image.
        """
        scale = size_px / region.size_px
        c, s = np.cos(region.rotation_rad), np.sin(region.rotation_rad)
        linear = scale * np.array([[c, s], [-s, c]])
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        middle = np.full(2, (size_px - 1) / 2)
        a = np.eye(3)
        # The region's centre is an image pixel; the affine map works on undistorted ones.
        center = source.matrix[:2] @ source.rays(np.asarray(region.center_px))
        a[:2, :2], a[:2, 2] = linear, middle - linear @ center
        if not mirrored:
            return cls(size_px, a @ source.matrix @ turn.T, turn, source)
        flip = np.array([[-1.0, 0, size_px - 1], [0, 1, 0], [0, 0, 1]])
        matrix = flip @ a @ source.matrix @ turn.T @ _MIRROR
        return cls(size_px, matrix, _MIRROR @ turn, source)

    @cached_property
    def mirrored(self) -> bool:
        """Whether the crop shows the mirror image of what the camera shows."""
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
        """Return image pixels (..., 2) of crop pixels (..., 2)."""
        return self.source.project(self._rays(pixels))

    def from_picture(self, pixels: np.ndarray) -> np.ndarray:
        """Return crop pixels (..., 2) of image pixels (..., 2)."""
        return self.project(self.from_camera(self.source.rays(pixels)))

    def _rays(self, pixels: np.ndarray) -> np.ndarray:
        """Return directions (..., 3) in the source camera's frame through crop pixels."""
        inverse = self._inverse
        return self.to_camera(np.asarray(pixels) @ inverse[:, :2].T + inverse[:, 2])

    @cached_property
    def _inverse(self) -> np.ndarray:
        return np.linalg.inv(self.matrix)

    def _lens_maps(
        self, matrix: np.ndarray, side: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the image's x and y (h, w) for each pixel of a crop with this matrix."""
        source = self.source
        lens = cv2.fisheye if source.distortion_model == "equidistant" else cv2
        x, y = lens.initUndistortRectifyMap(
            source.matrix, source.distortion, self.rotation, matrix, side, cv2.CV_32FC1
        )
        if skew := source.matrix[0, 1]:  # which OpenCV leaves out
            x += skew / source.matrix[1, 1] * (y - source.matrix[1, 2])
        # What the lens sees is a cone, so a crop whose corners it sees lies inside.
        last = self.size_px - 0.5
        corners = np.array([[-0.5, -0.5], [last, -0.5], [last, last], [-0.5, last]])
        if not source.sees(self._rays(corners)).all():
            step = np.linspace(-0.5, last, side[0] + 1)[:-1] + 0.5 * self.size_px / side[0]
            hidden = ~source.sees(self._rays(np.stack(np.meshgrid(step, step), axis=-1)))
            x[hidden] = y[hidden] = -9
        return x, y

    def cut_depth(self, depth_m: np.ndarray) -> np.ndarray:
        """Return the crop (size, size) of an aligned depth image, as z in the crop's frame.

        depth_m: (height, width) z in the camera's frame, 0 or NaN where unknown; 0 outside.
        Depths are not mixed: each pixel is that of the nearest depth pixel.
        """
        grid = np.stack(np.meshgrid(np.arange(self.size_px), np.arange(self.size_px)), axis=-1)
        rays = self._rays(grid)
        column, row = np.moveaxis(np.round(self.source.project(rays)).astype(int), -1, 0)
        height, width = depth_m.shape
        shown = self.source.sees(rays)
        shown &= (column >= 0) & (column < width) & (row >= 0) & (row < height)
        z = np.where(shown, depth_m[row.clip(0, height - 1), column.clip(0, width - 1)], 0.0)
        # The ray's z in the crop's frame is 1: the same point lies 1 / (its z in the camera's).
        return np.divide(z, rays[..., 2], out=np.zeros_like(z), where=shown)

    def cut(self, picture: np.ndarray) -> np.ndarray:
        """Return the crop (size, size[, channels]) of the camera's image, black outside it."""
        if picture.shape[:2] != (self.source.height, self.source.width):
            raise InputError(
                f"image {picture.shape[1]}x{picture.shape[0]}: its camera is "
                f"{self.source.width}x{self.source.height}; give the matching CameraInfo"
            )
        # A crop much smaller than its region is cut finer and averaged, or it would alias.
        shrink = self.source.focal_px / np.sqrt(np.linalg.det(self.matrix[:2, :2]))
        finer = int(np.clip(round(shrink), 1, 8))
        side = (self.size_px * finer, self.size_px * finer)
        to_finer = np.array([[finer, 0, (finer - 1) / 2], [0, finer, (finer - 1) / 2], [0, 0, 1]])
        matrix = to_finer @ self.matrix
        if self.source.distortion.size:
            x, y = self._lens_maps(matrix, side)
            crop = cv2.remap(picture, x, y, cv2.INTER_LINEAR)
        else:
            warp = matrix @ self.rotation @ self.source.inverse
            crop = cv2.warpPerspective(picture, warp, side, flags=cv2.INTER_LINEAR)
        if finer == 1:
            return crop
        return cv2.resize(crop, (self.size_px, self.size_px), interpolation=cv2.INTER_AREA)


def picture_edges(crops: Sequence[CropCamera]) -> np.ndarray:
    """Return the four sides of each crop's image as lines (B, 4, 3), a x + b y + c >= 0 inside.

    They are in the crops' pixels.  A lens bends them: each line touches its side where that comes
    nearest to the crop.
    """
    lines = np.empty((len(crops), 4, 3))
    for source in {crop.source for crop in crops}:
        own = [index for index, crop in enumerate(crops) if crop.source is source]
        lines[own] = _edges(source, [crops[index] for index in own])
    return lines


def _edges(source: Camera, crops: Sequence[CropCamera]) -> np.ndarray:
    """Return `picture_edges` of crops of one camera."""
    matrices, rotations = (
        np.stack(parts)[:, None]
        for parts in ([crop.matrix for crop in crops], [crop.rotation for crop in crops])
    )
    middles = np.array([[(crop.size_px - 1) / 2] * 2 + [1] for crop in crops])[:, None, None]
    rays = middles @ np.linalg.inv(matrices).swapaxes(-1, -2) @ rotations
    last = np.array([source.width, source.height]) - 0.5
    centers = np.clip(source.project(rays[:, 0]), 1, last - 1)
    feet = np.tile(centers, (1, 4, 1))
    feet[:, :2, 0], feet[:, 2:, 1] = (-0.5, last[0]), (-0.5, last[1])
    along = np.array([[0.0, 1], [0, 1], [1, 0], [1, 0]])
    # All in one call, as above.
    points = np.stack([feet - along, feet + along, np.tile(centers, (1, 4, 1))], axis=1)
    pixels = source.rays(points) @ (matrices @ rotations).swapaxes(-1, -2)
    start, end, inner = np.moveaxis(pixels[..., :2] / pixels[..., 2:], 1, 0)
    normals = np.stack([start[..., 1] - end[..., 1], end[..., 0] - start[..., 0]], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    outwards = (normals * (inner - start)).sum(axis=-1) < 0
    normals[outwards] *= -1
    return np.concatenate([normals, -(normals * start).sum(axis=-1, keepdims=True)], axis=-1)
