"""Rendering whole training sets with several processes, and contact sheets to look at them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from cmr_ros.hand_model.model import HandModel
from cmr_ros.synthesis.generator import Generator
from cmr_ros.synthesis.placement import project
from cmr_ros.synthesis.sample import Sample
from cmr_ros.synthesis.settings import PictureSettings
from cmr_ros.synthesis.shards import encode_picture, shard_path, write_shard

#: Threads of Mesa's rasteriser and of numpy's BLAS would only compete with the other processes.
_ONE_THREAD = {"LP_NUM_THREADS": "0", "OMP_NUM_THREADS": "1"}
_CHUNK = 20
_COLUMNS = 8
_worker: Generator | None = None


@dataclass(frozen=True)
class Studio:
    """What a process needs to make a `Generator` of its own."""

    hand_model: Path  # hand_model.npz
    seed: int
    skins: Path | None = None  # folder of skin textures
    panoramas: Path | None = None  # folder of .exr panoramas
    settings: PictureSettings = PictureSettings()

    def generator(self) -> Generator:
        """Return a generator of this studio; its OpenGL context belongs to the calling process."""
        model = HandModel.load(self.hand_model)
        return Generator(model, self.seed, self.settings, self.skins, self.panoramas)


def render_set(studio: Studio, folder: Path, count: int, shard_size: int, jobs: int) -> int:
    """Render samples into shards; those already there stay.

    Samples depend on the studio and their index alone, not on `jobs` or on interruptions.

    Args:
        studio: what renders.
        folder: of the shards.
        count: of samples, from number 0 on.
        shard_size: samples in a shard.
        jobs: processes that render side by side.

    Returns:
        How many samples were new.
    """
    missing = [
        (number, range(start, min(start + shard_size, count)))
        for number, start in enumerate(range(0, count, shard_size))
        if not shard_path(folder, number).exists()
    ]
    chunks = [span[i : i + _CHUNK] for _, span in missing for i in range(0, len(span), _CHUNK)]
    total = sum(len(span) for _, span in missing)
    rendered = _render_all(studio, chunks, jobs)
    with tqdm(total=total, unit="image", desc=str(folder)) as progress:
        for number, span in missing:
            pairs = []
            while len(pairs) < len(span):
                chunk = next(rendered)
                pairs += chunk
                progress.update(len(chunk))
            samples, codes = zip(*pairs, strict=True)
            write_shard(shard_path(folder, number), samples, codes, studio.seed)
    return total


def contact_sheet(studio: Studio, count: int) -> np.ndarray:
    """Return one picture (h, w, 3) uint8 RGB of many samples; every eighth shows its truth too."""
    generator = studio.generator()
    tiles = []
    for index in tqdm(range(count), unit="image", desc="preview"):
        sample = generator.sample(index)
        tiles.append(with_truth(sample) if index % _COLUMNS == _COLUMNS - 1 else sample.picture)
    return sheet(tiles)


def sheet(tiles: Sequence[np.ndarray]) -> np.ndarray:
    """Return tiles (s, s, 3), at least one, as one picture of eight columns."""
    tiles = [*tiles, *[np.zeros_like(tiles[0])] * (-len(tiles) % _COLUMNS)]
    rows = [np.hstack(tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)]
    return np.vstack(rows)


def with_truth(sample: Sample) -> np.ndarray:
    """Return the picture with its mask in green, mesh vertices and joints (hidden ones red)."""
    picture = sample.picture.copy()
    picture[sample.mask] = picture[sample.mask] // 2 + np.array([0, 90, 0], np.uint8)
    for x, y in np.rint(project(sample.vertices, sample.matrix)).astype(int):
        cv2.circle(picture, (int(x), int(y)), 0, (120, 160, 255))
    joints = np.rint(project(sample.joints, sample.matrix)).astype(int)
    for (x, y), seen in zip(joints, sample.visible, strict=True):
        cv2.circle(picture, (int(x), int(y)), 2, (255, 255, 0) if seen else (255, 0, 0), -1)
    return picture


def _render_all(studio: Studio, chunks: list[range], jobs: int) -> Iterator[list]:
    """Yield (sample, picture code) pairs of each chunk, in order."""
    if not chunks:
        return
    # A forked process would share its parent's OpenGL context and threads.
    context = multiprocessing.get_context("spawn")
    os.environ.update(_ONE_THREAD)
    with context.Pool(jobs, _start_worker, (studio,)) as pool:
        yield from pool.imap(_render_chunk, chunks)


def _start_worker(studio: Studio) -> None:
    global _worker
    cv2.setNumThreads(1)
    _worker = studio.generator()


def _render_chunk(indices: range) -> list[tuple[Sample, np.ndarray]]:
    samples = [_worker.sample(index) for index in indices]
    return [(_without_picture(s), encode_picture(s.picture)) for s in samples]


def _without_picture(sample: Sample) -> Sample:
    """Return the sample without its picture, which travels between processes as JPEG."""
    return replace(sample, picture=np.zeros(0, np.uint8))
