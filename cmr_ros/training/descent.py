"""Trains a small head on what a frozen trunk has made of all samples."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from tqdm import tqdm

from cmr_ros.errors import InputError

_BATCH = 64
_LEARNING_RATE, _WEIGHT_DECAY = 2e-3, 0.05


def descend(
    head: nn.Module, count: int, epochs: int, loss_of: Callable[[Tensor], Tensor], name: str
) -> None:
    """Train a head, and freeze it then.

    Args:
        head: to train.
        count: of samples.
        epochs: times to see all of them.
        loss_of: returns the loss of samples by their numbers (64,).
        name: what the progress says.

    Raises:
        InputError: The samples do not fill a batch.
    """
    head.requires_grad_(True).train()
    steps = epochs * (count // _BATCH)
    if not steps:
        raise InputError(f"{count} samples do not fill a batch of {_BATCH}; give more")
    optimizer = torch.optim.AdamW(head.parameters(), weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps)
    order = torch.cat([torch.randperm(count)[: count // _BATCH * _BATCH] for _ in range(epochs)])
    for rows in tqdm(order.view(-1, _BATCH), desc=name, unit="step"):
        optimizer.zero_grad()
        loss_of(rows).backward()
        optimizer.step()
        schedule.step()
    head.requires_grad_(False).eval()
