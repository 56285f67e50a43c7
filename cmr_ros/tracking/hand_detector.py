"""Proposes where hands are, small ones above all, with the project's own network."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.regions import PALM_CENTER
from cmr_ros.geometry.scaling import resize
from cmr_ros.model.sessions import open_session
from cmr_ros.tracking.detection import Detection

#: Height and width must be multiples of it.
_MULTIPLE = 32
#: Pixels per cell of the map.
_STRIDE = 8
#: Sides of hands' regions that are believed, in cells.
_SIDES = (1.0, 100.0)
#: Most hands that a part of a picture is said to show.
_MOST = 12


class HandDetector:
    """The project's hand detector in onnxruntime.

    path: hand_detection.onnx.  threads: of onnxruntime.  min_score: hands below it are dropped.
    Raises InputError for a file that is not that network.
    """

    #: Of the pictures that the network sees; larger ones are scaled down.
    longer_side = 320

    def __init__(self, path: Path | str, threads: int = 1, min_score: float = 0.1):
        self._session = open_session(path, threads)
        (image,), outputs = self._session.get_inputs(), self._session.get_outputs()
        if image.name != "image" or [output.name for output in outputs] != ["map"]:
            raise InputError(f"{path}: not the hand detector; `cmr train-detector` makes it")
        self._min_score = min_score

    def __call__(
        self,
        picture: np.ndarray,
        part: tuple[int, int, int, int] | None = None,
        longer_side: int | None = None,
    ) -> list[Detection]:
        """Return the hands in an RGB picture (height, width, 3) uint8, the best first.

        part: left, top, width and height of the part to look at, all by default; as many pixels as
        fit into the network's input are kept, so a part shows smaller hands.  longer_side: of that
        input, `self.longer_side` by default.
        """
        left, top, width, height = part or (0, 0, picture.shape[1], picture.shape[0])
        scale = min((longer_side or self.longer_side) / max(width, height), 1.0)
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        image = resize(picture[top : top + height, left : left + width], *size)
        right, bottom = (-side % _MULTIPLE for side in size)
        image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        (cells,) = self._session.run(["map"], {"image": image[None]})
        return [
            Detection(hand.region.scaled(1 / scale, (left, top)), hand.score)
            for hand in decode(cells[0], self._min_score)
        ]


def decode(cells: np.ndarray, min_score: float) -> list[Detection]:
    """Return the hands of a map (7, h, w) in pixels of the network's input, the best first.

    Channels: score (logit); the palm's middle against the cell's and the logarithm of the region's
    side, in cells; the region's up in the picture; right hand (logit).
    """
    score = 1 / (1 + np.exp(-np.clip(cells[0], -30, 30)))
    # A hand is where no neighbour says more.
    peaks = (score >= cv2.dilate(score, np.ones((3, 3)))) & (score >= min_score)
    rows, columns = np.nonzero(peaks)
    best = np.argsort(-score[rows, columns], kind="stable")[:_MOST]
    rows, columns = rows[best], columns[best]
    _, x, y, log_side, right, down, _ = cells[:, rows, columns].astype(float)
    sides = _STRIDE * np.clip(np.exp(np.minimum(log_side, 9)), *_SIDES)
    rotations = np.arctan2(right, -down)
    palms = _STRIDE * (np.stack([columns + x, rows + y], axis=1) + 0.5) - 0.5
    upward = np.stack([np.sin(rotations), -np.cos(rotations)], axis=1)
    centers = palms + (PALM_CENTER[1] - 0.5) * sides[:, None] * upward
    return [
        Detection(Region((float(center[0]), float(center[1])), float(side), float(rotation)), found)
        for center, side, rotation, found in zip(
            centers, sides, rotations, score[rows, columns].tolist(), strict=True
        )
    ]
