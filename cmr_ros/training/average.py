"""Averaged weights: what a training run validates and exports."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """An exponential moving average of a network's parameters and running statistics.

    decay: share that the average keeps at each step; the first steps keep less, so that the
    random start is forgotten.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the network after its step, counted from 0."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        own, new = self.network.state_dict().values(), network.state_dict().values()
        pairs = list(zip(own, new, strict=True))
        # All at once: one by one, hundreds of small arrays would keep a GPU waiting.
        floats = [(a, b) for a, b in pairs if a.is_floating_point()]
        torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], share)
        for a, b in pairs:
            if not a.is_floating_point():
                a.copy_(b)
