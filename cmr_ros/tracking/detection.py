"""Finds palms in a square of a picture with MediaPipe's detector and turns them into hand regions.

Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking", arXiv 2006.10214.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.scaling import resize
from cmr_ros.model.sessions import open_session

#: Side of the square that the detector was trained for.
FULL_SIZE = 192
#: Pixels per cell and anchors per cell of the detector's two maps.
_MAPS = ((8, 2), (16, 6))
#: Boxes that overlap more than this show the same palm.
_SAME_PALM_IOU = 0.3
_WRIST, _MIDDLE_MCP = 0, 2
#: Side of the hand's region over the longer side of the palm's box, and the way from the box's
#: centre to the region's, in box heights towards the fingers.
_REGION_SCALE, _REGION_SHIFT = 2.6, 0.5


@dataclass(frozen=True)
class Window:
    """An upright square to look for hands in, in picture pixels; it may reach beyond the picture.

    The left edge of the picture's first pixel is 0.
    """

    left: float
    top: float
    side: float

    @classmethod
    def around(cls, width: int, height: int, border: float = 0.0) -> Window:
        """Return the square around a picture, with a border as a share of its longer side."""
        side = (1 + 2 * border) * max(height, width)
        return cls((width - side) / 2, (height - side) / 2, side)


@dataclass(frozen=True)
class Detection:
    """A palm in the image."""

    region: Region  # that holds its hand
    score: float  # probability in [0, 1] that it is one


class PalmDetector:
    """MediaPipe's palm detector (lite) in onnxruntime.

    path: palm_detection.onnx.  threads: of onnxruntime.  min_score: detections below it are
    dropped.  Raises InputError for a file that is not that network.
    """

    def __init__(self, path: Path | str, threads: int = 1, min_score: float = 0.35):
        self._session = open_session(path, threads)
        (image,), outputs = self._session.get_inputs(), self._session.get_outputs()
        names = [image.name, *(output.name for output in outputs)]
        if names != ["image", "boxes", "scores"] or isinstance(image.shape[1], int):
            raise InputError(
                f"{path}: not the palm detector for squares of any size; `cmr import-mediapipe` "
                "makes it"
            )
        self._min_score = min_score

    def __call__(
        self, picture: np.ndarray, window: Window | None = None, size_px: int = FULL_SIZE
    ) -> list[Detection]:
        """Return the palms in a window of an RGB picture (height, width, 3) uint8, the best first.

        window: by default the whole picture; it must share pixels with the picture.  size_px: side
        of the square that the window is scaled to, a multiple of 32; hands must fill 40 pixels.
        """
        window = window or Window.around(picture.shape[1], picture.shape[0])
        image, to_picture = letterbox(picture, window, size_px)
        boxes, scores = self._session.run(
            ["boxes", "scores"], {"image": image[None] / np.float32(255)}
        )
        scores = 1 / (1 + np.exp(-np.clip(scores[0, :, 0], -100, 100)))
        likely = scores >= self._min_score
        points = decode_palms(boxes[0, likely], anchor_centers(size_px)[likely])
        palms = suppress(points, scores[likely])
        scale, offset = to_picture
        return [Detection(hand_region(palm * scale + offset), score) for palm, score in palms]


@cache
def anchor_centers(size_px: int) -> np.ndarray:
    """Return the anchors (A, 2) of a square in its pixels: the centres of all cells, row by row."""
    anchors = []
    for cell, per_cell in _MAPS:
        centers = (np.arange(size_px // cell) + 0.5) * cell
        grid = np.stack(np.meshgrid(centers, centers), axis=-1).reshape(-1, 2)
        anchors.append(np.repeat(grid, per_cell, axis=0))
    return np.concatenate(anchors)


def letterbox(
    picture: np.ndarray, window: Window, size_px: int
) -> tuple[np.ndarray, tuple[float, np.ndarray]]:
    """Return the window as the detector's square, black beyond the picture, and the way back.

    The way back is a scale and an offset (2,) from the square's continuous coordinates, in which
    its left edge is 0, to picture pixels, whose centres lie at integers.
    """
    height, width = picture.shape[:2]
    scale = size_px / window.side
    corner = np.array([window.left, window.top])
    low = np.maximum(np.floor(corner), 0).astype(int)
    high = np.minimum(np.ceil(corner + window.side), [width, height]).astype(int)
    at = np.clip(np.rint((low - corner) * scale).astype(int), 0, size_px - 1)
    size = np.clip(np.rint((high - low) * scale).astype(int), 1, size_px - at)
    small = resize(picture[low[1] : high[1], low[0] : high[0]], *size.tolist())
    square = np.zeros((size_px, size_px, 3), np.uint8)
    square[at[1] : at[1] + size[1], at[0] : at[0] + size[0]] = small
    return square, (1 / scale, low - at / scale - 0.5)


def decode_palms(raw: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Return points (N, 9, 2) in input pixels: the box's two corners, then seven key points."""
    raw = raw.reshape(-1, 9, 2).astype(np.float64)
    center, half = raw[:, 0] + anchors, raw[:, 1] / 2
    keypoints = raw[:, 2:] + anchors[:, None]
    return np.concatenate([(center - half)[:, None], (center + half)[:, None], keypoints], axis=1)


def suppress(points: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Return one set of points (9, 2) per palm, best first: the mean of all that overlap the best.

    Weighted non-maximum suppression; points (N, 9, 2) as from `decode_palms`, scores (N,).
    """
    palms = []
    order = np.argsort(-scores, kind="stable")
    points, scores = points[order], scores[order]
    while len(scores):
        same = _iou(points[0], points) > _SAME_PALM_IOU
        same[0] = True  # even where its box is empty
        palms.append((np.average(points[same], axis=0, weights=scores[same]), float(scores[0])))
        points, scores = points[~same], scores[~same]
    return palms


def _iou(palm: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the overlap (N,) of a palm's box with the boxes of others (N, 9, 2)."""
    low = np.maximum(palm[0], others[:, 0])
    high = np.minimum(palm[1], others[:, 1])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = (others[:, 1] - others[:, 0]).prod(axis=1)
    return shared / np.maximum((palm[1] - palm[0]).prod() + areas - shared, 1e-9)


def hand_region(palm: np.ndarray) -> Region:
    """Return the region of the hand whose palm has these points (9, 2), fingers up."""
    low, high, *keypoints = palm
    x, y = keypoints[_MIDDLE_MCP] - keypoints[_WRIST]
    rotation = np.arctan2(x, -y)
    up = np.array([np.sin(rotation), -np.cos(rotation)])
    center = (low + high) / 2 + _REGION_SHIFT * (high - low)[1] * up
    return Region(
        center_px=(float(center[0]), float(center[1])),
        size_px=float(_REGION_SCALE * (high - low).max()),
        rotation_rad=float(rotation),
    )
