"""Features of a frozen trunk, computed once and kept on disk in half precision."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset
from tqdm import tqdm

from cmr_ros.errors import InputError
from cmr_ros.network.trunk import TrunkFeatures
from cmr_ros.training.batches import Batch, RenderedSamples, in_order, loader

#: Samples in one folder of the cache.
_CHUNK = 1000
_TARGETS = ("vertices", "joints", "joints_px", "mask", "weights")
#: The stem's maps are as large as all others together, and the mobile network does not use them.
_MAPS = ("x4", "x8", "x16", "x32", "pooled")


class CachedSamples(Dataset):
    """The batches of `RenderedSamples` with features in place of images."""

    def __init__(self, folder: Path, count: int):
        self.count = count
        self.chunks = [_open(_chunk(folder, n)) for n in range(-(-count // _CHUNK))]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, indices: Sequence[int]) -> Batch:
        places = [divmod(int(i), _CHUNK) for i in indices]

        def rows(name: str) -> torch.Tensor:
            return torch.from_numpy(np.stack([self.chunks[n][name][i] for n, i in places]))

        maps = {name: rows(name) for name in _MAPS}
        # Kept channels last, which is how the convolutions like them.
        maps = {name: x.permute(0, 3, 1, 2) if x.ndim == 4 else x for name, x in maps.items()}
        features = TrunkFeatures(x2=maps["x4"][:, :0], **maps)
        return Batch(**{name: rows(name) for name in _TARGETS}, features=features)


def cached(
    trunk: nn.Module, samples: RenderedSamples, folder: Path, workers: int, show_progress: bool
) -> CachedSamples:
    """Return the samples' features from a folder, after computing those that are missing.

    Args:
        trunk: takes RGB in [0, 1].
        samples: to compute the features of.
        folder: of the cache; each trunk gets a folder of its own in it.
        workers: processes that read ahead.
        show_progress: whether to draw a progress bar.

    Raises:
        InputError: The folder's features belong to other renders, or are damaged.
    """
    folder = folder / _digest(trunk)
    count = len(samples)
    chunks = [range(i, min(i + _CHUNK, count)) for i in range(0, count, _CHUNK)]
    missing = [n for n, span in enumerate(chunks) if not _complete(_chunk(folder, n), len(span))]
    progress = tqdm(
        total=sum(len(chunks[n]) for n in missing), desc="features", disable=not show_progress
    )
    for n in missing:
        _compute(trunk, samples, chunks[n], _chunk(folder, n), workers, progress)
    progress.close()
    result = CachedSamples(folder, count)
    for i in {0, count - 1}:
        if not torch.equal(result[[i]].vertices, samples[[i]].vertices):
            raise InputError(f"{folder}: features of other renders; delete the folder")
    return result


def _compute(
    trunk: nn.Module,
    samples: RenderedSamples,
    span: range,
    target: Path,
    workers: int,
    progress: tqdm,
) -> None:
    """Write the features of the samples in a span to a folder, which appears once complete."""
    partial = target.with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    device = next(trunk.parameters()).device
    files: dict[str, np.ndarray] = {}
    done = 0
    batches = [[span[i] for i in batch] for batch in in_order(len(span), 50)]
    for batch in loader(samples, batches, workers):
        for name, values in _arrays(trunk, batch.to(device)).items():
            if name not in files:
                shape = (len(span), *values.shape[1:])
                files[name] = np.lib.format.open_memmap(
                    partial / f"{name}.npy", "w+", values.dtype, shape
                )
            files[name][done : done + len(values)] = values
        done += len(batch)
        progress.update(len(batch))
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


@torch.inference_mode()
def _arrays(trunk: nn.Module, batch: Batch) -> dict[str, np.ndarray]:
    images = batch.images.permute(0, 3, 1, 2).float() / 255  # channels last in memory
    features = trunk(images)
    arrays = {name: getattr(batch, name) for name in _TARGETS}
    for name in _MAPS:
        x = getattr(features, name).half()
        arrays[name] = x.permute(0, 2, 3, 1) if x.ndim == 4 else x
    return {name: x.cpu().numpy() for name, x in arrays.items()}


def _digest(trunk: nn.Module) -> str:
    """Return a short name of the trunk's weights."""
    digest = hashlib.sha256()
    for name, values in trunk.state_dict().items():
        digest.update(name.encode() + values.cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def _chunk(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}"


def _complete(chunk: Path, count: int) -> bool:
    """Return whether a chunk holds all its samples; renders may have been added to the last."""
    return chunk.is_dir() and len(_open(chunk)["joints"]) == count


def _open(chunk: Path) -> dict[str, np.ndarray]:
    try:
        return {
            name: np.load(chunk / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in (*_TARGETS, *_MAPS)
        }
    except (OSError, ValueError) as error:
        raise InputError(f"{chunk}: damaged features ({error}); delete the folder") from None
