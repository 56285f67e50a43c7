"""Whole pictures of made-up hands with their truth, for `cmr evaluate`: never trained on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from cmr_ros.files.output import write_bytes
from cmr_ros.files.pictures import write_picture
from cmr_ros.synthesis.pairs import PAIR_PICTURES, PairGenerator
from cmr_ros.synthesis.rendering_jobs import Studio
from cmr_ros.synthesis.sample import Sample
from cmr_ros.synthesis.settings import PictureSettings

#: Full frames: the hand takes about half of the picture's side, anywhere, and at any roll.
FULL_FRAME = PictureSettings(
    size_px=512, palm_share=0.21, palm_center=(0.5, 0.56), center_jitter=0.07, scale_jitter=0.15,
    roll_jitter_deg=25, loose=0.0, borders=0.0,
)  # fmt: skip
#: Added to the seed, so that no hand is one that `cmr synth render` made for training.
_APART = 1 << 20
_JPEG_QUALITY = 95
_DIGITS = 6


def write_manifest(studio: Studio, folder: Path, count: int) -> None:
    """Write pictures, masks and manifest.json into a folder; every other hand is a left one."""
    studio = replace(studio, seed=studio.seed + _APART, settings=FULL_FRAME)
    entries = []
    for index, sample in enumerate(tqdm(_samples(studio, count), total=count, unit="image")):
        handedness = "left" if index % 2 else "right"
        entries.append(_write(folder, f"{index:05d}", sample, handedness))
    write_bytes(folder / "manifest.json", json.dumps({"images": entries}).encode())


def write_pairs(studio: Studio, folder: Path, count: int, baseline_m: float) -> None:
    """Write what two cameras side by side show of right hands, and manifest.json, into a folder.

    Args:
        studio: what renders.
        folder: to write to.
        count: of pairs.
        baseline_m: between the cameras.
    """
    model = studio.hand()
    generator = PairGenerator(
        model, studio.seed + _APART, PAIR_PICTURES, studio.skins, studio.panoramas
    )
    entries = []
    for index in tqdm(range(count), unit="pair"):
        pair = generator.pair(index, baseline_m)
        for camera, sample, pose in (
            ("left", pair.first, np.eye(4)), ("right", pair.second, pair.transform),
        ):  # fmt: skip
            entry = _write(folder, f"{index:05d}_{camera}", sample, "right")
            entries.append(entry | {"pair": index, "camera": camera, "T": pose.tolist()})
    write_bytes(folder / "manifest.json", json.dumps({"images": entries}).encode())


def _samples(studio: Studio, count: int) -> Iterator[Sample]:
    generator = studio.generator()
    for index in range(count):
        sample = generator.sample(index)
        yield mirrored(sample) if index % 2 else sample


def mirrored(sample: Sample) -> Sample:
    """Return the mirror image: the other hand before a camera with a mirrored principal point."""
    flip = np.array([-1, 1, 1], np.float32)
    matrix = sample.matrix.copy()
    matrix[0, 2] = sample.picture.shape[1] - 1 - matrix[0, 2]
    return replace(
        sample,
        picture=np.ascontiguousarray(sample.picture[:, ::-1]),
        vertices=sample.vertices * flip,
        joints=sample.joints * flip,
        matrix=matrix,
        mask=np.ascontiguousarray(sample.mask[:, ::-1]),
    )


def _write(folder: Path, name: str, sample: Sample, handedness: str) -> dict:
    """Write a sample's pictures and return its entry of the manifest."""
    height, width = sample.mask.shape
    jpeg = cv2.imencode(
        ".jpg", sample.picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )[1]
    write_bytes(folder / f"images/{name}.jpg", jpeg.tobytes())
    write_picture(folder / f"masks/{name}.png", sample.mask.astype(np.uint8) * 255)
    return {
        "image": f"images/{name}.jpg",
        "mask": f"masks/{name}.png",
        "width": width,
        "height": height,
        "K": sample.matrix.tolist(),
        "handedness": handedness,
        "joints_m": np.round(sample.joints.astype(float), _DIGITS).tolist(),
        "vertices_m": np.round(sample.vertices.astype(float), _DIGITS).tolist(),
    }
