"""Crops of photographs and of renders, cut alike: what the network sees of hands it is sure of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.pictures import read_picture
from cmr_ros.geometry.camera import Camera
from cmr_ros.labelling.folders import LabellingPlan
from cmr_ros.pipeline import HandPipeline
from cmr_ros.synthesis.generator import Generator

#: Hands that are less sure do not count, on either side.
_LEAST_SCORE = 0.9
#: How many times the finder is asked, as in `folders`.
_SEARCHES = 3


@dataclass(frozen=True, eq=False)
class Crop:
    """What the network sees of a hand, and where it sees it."""

    picture: np.ndarray  # (S, S, 3) uint8 RGB; right hands, left ones mirrored
    hand: np.ndarray  # (S, S) bool, the silhouette that the network predicts


def crops_of_folder(folder: Path, count: int, pipeline: HandPipeline) -> list[Crop]:
    """Return crops of at most `count` photographs, spread evenly, with one hand of each."""
    paths = LabellingPlan(folder, folder).pictures()
    # Some show no hand that is sure: others take their place.
    order = sorted(range(len(paths)), key=lambda k: (k * 0.618034) % 1)
    found = (_crop(folder / paths[k], pipeline) for k in order)
    return list(islice((crop for crop in found if crop is not None), count))


def crops_of_renders(generator: Generator, count: int, pipeline: HandPipeline) -> list[Crop]:
    """Return the first `count` renders whose hand the network is sure of."""
    return list(islice(_sure(generator, pipeline), count))


def _sure(generator: Generator, pipeline: HandPipeline) -> Iterator[Crop]:
    index = 0
    while True:
        picture = generator.sample(index).picture
        prediction = pipeline.network(picture[None])
        if prediction.presence is None or prediction.presence[0] >= _LEAST_SCORE:
            yield Crop(picture, _enlarged(prediction.silhouettes[0], len(picture)))
        index += 1


def _crop(path: Path, pipeline: HandPipeline) -> Crop | None:
    try:
        picture = read_picture(path)
    except InputError:
        return None
    camera = Camera.from_fov(picture.shape[1], picture.shape[0], 60.0)
    pipeline.reset()
    for _ in range(_SEARCHES):
        for hand in pipeline(picture, camera):
            if hand.score >= _LEAST_SCORE:
                cut = hand.silhouette_camera.cut(picture)
                return Crop(cut, _enlarged(hand.silhouette, len(cut)))
    return None


def _enlarged(silhouette: np.ndarray, size_px: int) -> np.ndarray:
    """Return a silhouette (h, w) as the crop's pixels (S, S), bool."""
    side = (size_px, size_px)
    return cv2.resize(np.ascontiguousarray(silhouette, np.float32), side) > 0.5
