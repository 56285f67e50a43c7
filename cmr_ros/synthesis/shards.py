"""Training sets on disk: shards of a thousand samples, written once, read at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.output import NPZ_START, PendingFile
from cmr_ros.files.untrusted import read_npz
from cmr_ros.synthesis.sample import Sample

#: High enough that only the camera's own JPEG, which the generator applies, can be seen.
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY, 97,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]  # fmt: skip
_REMEDY = "delete the file and render again"
_ARRAYS = ("pictures", "offsets", "vertices", "joints", "matrices", "masks", "visible", "seed")


def shard_path(folder: str | Path, number: int) -> Path:
    """Return where shard `number` of a set lies."""
    return Path(folder) / f"shard_{number:05d}.npz"


def encode_picture(picture: np.ndarray) -> np.ndarray:
    """Return the JPEG code, uint8, of a picture (s, s, 3) uint8 RGB."""
    return cv2.imencode(".jpg", picture[..., ::-1], _JPEG)[1].ravel()


def packed(sample: Sample) -> tuple[Sample, np.ndarray]:
    """Return a sample without its picture, and the JPEG code in which that travels."""
    return replace(sample, picture=np.zeros(0, np.uint8)), encode_picture(sample.picture)


def write_shard(
    path: Path, samples: Sequence[Sample], codes: Sequence[np.ndarray], seed: int
) -> None:
    """Write a shard; the file appears only once complete.

    Args:
        path: of the file; its folder is made where it is missing.
        samples: with or without their pictures.
        codes: JPEG of each sample's picture, (bytes,) uint8.
        seed: the samples were drawn with.
    """
    target = PendingFile(path, NPZ_START)
    with target.writing(), open(target.partial, "wb") as file:
        np.savez(
            file,
            pictures=np.concatenate(codes),
            offsets=np.cumsum([0, *map(len, codes)]),
            vertices=np.stack([s.vertices for s in samples]).astype(np.float32),
            joints=np.stack([s.joints for s in samples]).astype(np.float32),
            matrices=np.stack([s.matrix for s in samples]),
            masks=np.packbits(np.stack([s.mask for s in samples]).reshape(len(samples), -1), 1),
            visible=np.stack([s.visible for s in samples]),
            weights=np.stack([_weights(s) for s in samples]),
            joints_px=np.stack([_joints_px(s) for s in samples]),
            presence=np.array([_presence(s) for s in samples], np.float32),
            seed=np.int64(seed),
        )
    target.finish()


def _weights(sample: Sample) -> np.ndarray:
    if sample.weights is None:
        return np.ones(len(sample.joints), np.float32)
    return sample.weights.astype(np.float32)


def _joints_px(sample: Sample) -> np.ndarray:
    if sample.joints_px is None:
        return _projected(sample.joints, sample.matrix)
    return sample.joints_px.astype(np.float32)


def _presence(sample: Sample) -> float:
    return np.nan if sample.presence is None else sample.presence


def _projected(joints: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return pixels (..., J, 2) of joints (..., J, 3) in cameras (..., 3, 3)."""
    pixels = joints @ matrix.astype(np.float32).swapaxes(-1, -2)
    return pixels[..., :2] / pixels[..., 2:]


class Shards:
    """Sets, one after the other, as a sequence of `Sample`, each decoded when asked for.

    Shards are read on first use and kept in memory, about 55 kB a sample.  Raises InputError for
    an empty folder at once, and for a damaged shard when it is read.
    """

    def __init__(self, *folders: str | Path):
        self._paths: list[Path] = []
        for folder in folders:
            paths = sorted(Path(folder).glob("shard_*.npz"))
            if not paths:
                raise InputError(f"{folder}: no shard_*.npz here; `cmr synth render -o {folder}`")
            self._paths += paths
        self._shards: list[dict[str, np.ndarray] | None] = [None] * len(self._paths)
        self._ends = np.cumsum([count_and_seed(path)[0] for path in self._paths])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        number = int(np.searchsorted(self._ends, index, side="right"))
        shard = self._shard(number)
        i = index - int(self._ends[number]) + len(shard["joints"])
        start, end = shard["offsets"][i : i + 2]
        code = cv2.imdecode(shard["pictures"][start:end], cv2.IMREAD_COLOR)
        if code is None:
            raise InputError(f"{self._paths[number]}: image {i} cannot be decoded; render again")
        picture = np.ascontiguousarray(code[..., ::-1])
        size = picture.shape[0]
        mask = np.unpackbits(shard["masks"][i], count=size * size).reshape(size, size) > 0
        return Sample(
            picture,
            shard["vertices"][i],
            shard["joints"][i],
            shard["matrices"][i],
            mask,
            shard["visible"][i],
            shard["weights"][i],
            shard["joints_px"][i],
            None if np.isnan(shard["presence"][i]) else float(shard["presence"][i]),
        )

    def _shard(self, number: int) -> dict[str, np.ndarray]:
        if self._shards[number] is None:
            self._shards[number] = _read(self._paths[number])
        return self._shards[number]


def count_and_seed(path: Path) -> tuple[int, int]:
    """Return the number of a shard's samples and their seed, without reading its pictures."""
    shard = read_npz(path, _REMEDY, ("offsets", "seed"))
    return len(shard["offsets"]) - 1, int(shard["seed"])


def _read(path: Path) -> dict[str, np.ndarray]:
    shard = read_npz(path, _REMEDY)
    for name in _ARRAYS:
        if name not in shard:
            raise InputError(f"{path}: the array {name!r} is missing; {_REMEDY}")
    count = len(shard["offsets"]) - 1
    # Shards of earlier versions hold renders alone.
    shard.setdefault("weights", np.ones(shard["joints"].shape[:2], np.float32))
    shard.setdefault("joints_px", _projected(shard["joints"], shard["matrices"]))
    shard.setdefault("presence", np.full(count, np.nan, np.float32))
    for name in shard.keys() - {"pictures", "offsets", "seed"}:
        if len(shard[name]) != count:
            raise InputError(f"{path}: {len(shard[name])} {name} for {count} images; not a shard")
    if shard["offsets"][-1] != len(shard["pictures"]):
        raise InputError(f"{path}: images are truncated; delete the file and render again")
    return shard
