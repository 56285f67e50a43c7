"""Rendering whole training sets, side by side, and contact sheets to look at them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from cmr_ros.errors import InputError
from cmr_ros.hand_model.model import HandModel
from cmr_ros.model import weights
from cmr_ros.synthesis.generator import Generator
from cmr_ros.synthesis.placement import project
from cmr_ros.synthesis.sample import Sample
from cmr_ros.synthesis.settings import PictureSettings
from cmr_ros.synthesis.shards import count_and_seed, packed, shard_path, write_shard
from cmr_ros.workers import Workers

_CHUNK = 20
_COLUMNS = 8


@dataclass(frozen=True)
class Studio:
    """What a process needs to make a `Generator` of its own."""

    hand_model: Path | None  # hand_model.npz; None: the package's own, wherever the process is
    seed: int
    skins: Path | None = None  # folder of skin textures
    panoramas: Path | None = None  # folder of .exr panoramas
    settings: PictureSettings = PictureSettings()

    def generator(self) -> Generator:
        """Return a generator of this studio; its OpenGL context belongs to the calling process."""
        return Generator(self.hand(), self.seed, self.settings, self.skins, self.panoramas)

    def hand(self) -> HandModel:
        """Return the parametric hand; InputError if its file cannot be used."""
        return HandModel.load(self.hand_model or weights.find("hand_model.npz"))


def render_set(studio: Studio, folder: Path, count: int, shard_size: int, workers: Workers) -> int:
    """Render samples into shards; whole ones that are there stay.

    Samples depend on the studio and their index alone, not on who renders or on interruptions.

    Args:
        studio: what renders.
        folder: of the shards.
        count: of samples, from number 0 on.
        shard_size: samples in a shard.
        workers: who renders; the shards are written here.

    Returns:
        How many samples were new.

    Raises:
        InputError: the folder holds another set, or more.
    """
    starts = range(0, count, shard_size)
    spans = [range(start, min(start + shard_size, count)) for start in starts]
    missing = [
        (number, span)
        for number, span in enumerate(spans)
        if not _is_whole(shard_path(folder, number), len(span), studio.seed)
    ]
    if (further := shard_path(folder, len(spans))).exists():
        raise InputError(f"{further}: belongs to a larger set; name another folder")
    tasks = [
        (studio, span[i : i + _CHUNK]) for _, span in missing for i in range(0, len(span), _CHUNK)
    ]
    total = sum(len(span) for _, span in missing)
    with (
        closing(workers.map(_render, tasks)) as rendered,
        tqdm(total=total, unit="image", desc=str(folder)) as progress,
    ):
        for number, span in missing:
            pairs = []
            while len(pairs) < len(span):
                chunk = next(rendered)
                pairs += chunk
                progress.update(len(chunk))
            samples, codes = zip(*pairs, strict=True)
            write_shard(shard_path(folder, number), samples, codes, studio.seed)
    return total


def _is_whole(path: Path, count: int, seed: int) -> bool:
    """Return whether a shard is there with all its samples; InputError for one of another set."""
    if not path.exists():
        return False
    found, own_seed = count_and_seed(path)
    if own_seed != seed or found > count:
        raise InputError(
            f"{path}: {found} samples of seed {own_seed}, where {count} of seed {seed} are asked "
            "for; name another folder"
        )
    return found == count


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


def _render(task: tuple[Studio, range]) -> list[tuple[Sample, np.ndarray]]:
    studio, indices = task
    generator = _generator(studio)
    return [packed(generator.sample(index)) for index in indices]


@lru_cache(maxsize=1)
def _generator(studio: Studio) -> Generator:
    return studio.generator()
