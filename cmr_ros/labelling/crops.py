"""Crops of photographs and of renders, cut alike: what the network sees of hands it is sure of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.pictures import read_picture
from cmr_ros.geometry.camera import Camera
from cmr_ros.labelling.folders import LabellingPlan
from cmr_ros.model.heatmap import decode
from cmr_ros.model.inference import HandNetwork
from cmr_ros.pipeline import HandPipeline
from cmr_ros.synthesis.generator import Generator

#: Hands that are less sure do not count, on either side.
_LEAST_SCORE = 0.9
#: How many times the finder is asked, as in `folders`.
_SEARCHES = 3


@dataclass(frozen=True, eq=False)
class Crop:
    """A crop and what the network finds in it."""

    picture: np.ndarray  # (S, S, 3) uint8 RGB; right hands, left ones mirrored
    hand: np.ndarray  # (S, S) bool, the silhouette
    joints_px: np.ndarray  # (21, 2)
    presence: float  # probability of a hand; 1 where the network predicts none

    @classmethod
    def seen(cls, picture: np.ndarray, network: HandNetwork) -> Crop:
        """Return a crop (S, S, 3) of a right hand with what the network finds in it."""
        found, size_px = network(picture[None]), len(picture)
        silhouette = cv2.resize(found.silhouettes[0].astype(np.float32), (size_px, size_px))
        joints_px, _, _ = decode(found.heatmaps, size_px, found.heatmap_sigma_px)
        presence = 1.0 if found.presence is None else float(found.presence[0])
        return cls(picture, silhouette > 0.5, joints_px[0], presence)


def crops_of_folder(folder: Path, most: int, pipeline: HandPipeline) -> list[Crop]:
    """Return crops of at most so many photographs, spread evenly, with one hand of each."""
    paths = LabellingPlan(folder, folder).pictures()
    # Some show no hand that is sure: others take their place.
    order = sorted(range(len(paths)), key=lambda k: (k * 0.618034) % 1)
    found = (_crop(folder / paths[k], pipeline) for k in order)
    return list(islice((crop for crop in found if crop is not None), most))


def crops_of_renders(generator: Generator, number: int, network: HandNetwork) -> list[Crop]:
    """Return the first renders, so many, whose hand the network is sure of."""
    return list(islice(_sure(generator, network), number))


def _sure(generator: Generator, network: HandNetwork) -> Iterator[Crop]:
    for index in count():
        crop = Crop.seen(generator.sample(index).picture, network)
        if crop.presence >= _LEAST_SCORE:
            yield crop


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
                return Crop.seen(hand.silhouette_camera.cut(picture), pipeline.network)
    return None
