"""Batches of training samples, from renders or from features kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cmr_ros.network.trunk import TrunkFeatures
from cmr_ros.synthesis.shards import Shards


@dataclass(frozen=True, eq=False)
class Batch:
    """N samples: either `images` or what a frozen trunk makes of them, `features`."""

    vertices: Tensor  # (N, V, 3) metres in the crop camera's frame
    joints: Tensor  # (N, J, 3) metres in the crop camera's frame
    joints_px: Tensor  # (N, J, 2) crop pixels
    mask: Tensor  # (N, S/2, S/2) uint8, share of each cell that shows the hand, 255 for all
    weights: Tensor  # (N, J) in [0, 1], how much each joint counts
    matrices: Tensor | None = None  # (N, 3, 3) of the crop cameras
    images: Tensor | None = None  # (N, S, S, 3) uint8 RGB
    features: TrunkFeatures | None = None
    #: (N, J, 2) crop pixels and (N, J, 3), centre and size apart: what the heads' teacher says
    taught_px: Tensor | None = None
    taught: Tensor | None = None
    presence: Tensor | None = None  # (N,) in [0, 1], of a hand; NaN where it is not known
    shows: Tensor | None = None  # (N,) bool, whether `joints_px` are of a hand that the crop shows

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """Return the batch in memory that a GPU reads by itself; loaders of torch ask for it."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in values.items():
            if isinstance(value, Tensor):
                values[name] = change(value)
            elif value is not None:
                values[name] = TrunkFeatures(*map(change, value))
        return replace(self, **values)

    def __len__(self) -> int:
        return len(self.vertices)

    def rows(self, chosen: Tensor) -> Batch:
        """Return the samples that a mask (N,) chooses."""
        return self._each(lambda tensor: tensor[chosen])

    def with_rows(self, chosen: Tensor, other: Batch) -> Batch:
        """Return the batch with another one's samples in place of those that a mask chooses."""
        replacements = iter([v for f in fields(other) if (v := getattr(other, f.name)) is not None])
        return self._each(lambda own: own.index_put((chosen,), next(replacements)))

    @property
    def are_photographs(self) -> Tensor:
        """Which samples are not renders, (N,) bool: their joints weigh less than 1."""
        return (self.weights < 1).any(dim=1)


class RenderedSamples(Dataset):
    """Batches of renders, or of labelled photographs: an item is a list of indices.

    It gives a Batch with images.
    """

    def __init__(self, shards: Shards, limit: int | None = None):
        self.shards = shards
        self.count = min(len(shards), limit or len(shards))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, indices: Sequence[int]) -> Batch:
        samples = [self.shards[int(i)] for i in indices]
        return Batch(
            vertices=torch.from_numpy(np.stack([s.vertices for s in samples])),
            joints=torch.from_numpy(np.stack([s.joints for s in samples])),
            joints_px=torch.from_numpy(np.stack([s.joints_px for s in samples])),
            matrices=torch.from_numpy(np.stack([s.matrix for s in samples]).astype(np.float32)),
            mask=torch.from_numpy(np.stack([_halved(s.mask) for s in samples])),
            weights=torch.from_numpy(np.stack([s.weights for s in samples])),
            images=torch.from_numpy(np.stack([s.picture for s in samples])),
            shows=torch.tensor([bool(s.visible.any()) for s in samples]),
            presence=torch.tensor([np.nan if s.presence is None else s.presence for s in samples]),
        )


def _halved(mask: np.ndarray) -> np.ndarray:
    """Return the share (s/2, s/2) of four pixels each that a mask (s, s) covers, 255 for all."""
    cells = mask.reshape(mask.shape[0] // 2, 2, mask.shape[1] // 2, 2)
    return (cells.sum(axis=(1, 3)) * 63.75).astype(np.uint8)


def shuffled(
    count: int, size: int, seed: int, epoch: int, rank: int, ranks: int
) -> list[list[int]]:
    """Return the batches of indices of one process in one epoch; all processes get as many.

    Every index is drawn at most once; those that fill no batch wait for another epoch.

    Args:
        count: indices to draw from.
        size: of a batch.
        seed: of the run.
        epoch: whose order it is.
        rank: of this process.
        ranks: how many processes there are.
    """
    order = np.random.default_rng([seed, epoch]).permutation(count)[rank::ranks]
    return [order[i * size : (i + 1) * size].tolist() for i in range(count // ranks // size)]


def in_order(count: int, size: int) -> list[list[int]]:
    """Return batches of all indices, the last one possibly smaller."""
    return [list(range(i, min(i + size, count))) for i in range(0, count, size)]


def loader(samples: Dataset, batches: list[list[int]], workers: int) -> DataLoader:
    """Return an iterable of the batches, read ahead by worker processes."""
    return DataLoader(
        samples,
        batch_size=None,
        sampler=batches,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=torch.cuda.is_available(),
    )
