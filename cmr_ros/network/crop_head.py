"""Says whether a crop shows a hand, which one, and where, from what the trunk sees where."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_GROUPS, _DROPOUT, _REGION_DROPOUT = 8, 0.4, 0.1


class CropHead(nn.Module):
    """Maps (N, inputs, S/16, S/16) -> probabilities (N, 1) of a hand, and of a right hand.

    The released heads see the trunk's maps only as their means, refuse many hands that hold
    something, and take one hand for the other; this one sees where things are.
    """

    def __init__(self, inputs: int, channels: int):
        """Make the layers.

        Args:
            inputs: channels of the trunk's maps.
            channels: of its own maps, a multiple of 8.
        """
        super().__init__()
        self.layers = nn.Sequential(
            *_layer(inputs, channels),
            *_layer(channels, channels, 5, 2, _GROUPS),
            *_layer(channels, channels, 3, 1, _GROUPS),
        )
        self.last = nn.Sequential(nn.Dropout(_DROPOUT), nn.Linear(channels, 2))

    def train(self, mode: bool = True) -> CropHead:
        """Train, if its weights are to: else the norms' statistics stay, too."""
        return super().train(mode and any(p.requires_grad for p in self.parameters()))

    def logits(self, maps: Tensor) -> Tensor:
        """Return the logarithms of the odds (N, 2) of a hand and of a right hand."""
        return self.last(self.layers(maps).mean(dim=(2, 3)))

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return presence and handedness, (N, 1) each."""
        presence, handedness = self.logits(maps).float().sigmoid().split(1, dim=1)
        return presence, handedness


class RegionHead(nn.Module):
    """Maps (N, inputs, h, w) -> (N, 6): whether a crop shows some of a hand, and its region.

    Detections are often badly placed: half a hand, or a whole arm with one.  What they show of it
    says where to look again.  The values are a probability, the region's centre and side as shares
    of the crop, and the direction of its up.  Each place of the maps makes a guess, and their mean
    counts, weighted by how sure each is.
    """

    def __init__(self, inputs: int, channels: int):
        """Make the layers; arguments are those of `CropHead`."""
        super().__init__()
        self.layers = nn.Sequential(
            *_layer(inputs, channels),
            *_layer(channels, channels, 5, 2, _GROUPS),
            *_layer(channels, channels),
            *_layer(channels, channels, 5, 1, _GROUPS),
            *_layer(channels, channels),
        )
        self.last = nn.Sequential(nn.Dropout2d(_REGION_DROPOUT), nn.Conv2d(channels, 6, 1))

    def train(self, mode: bool = True) -> RegionHead:
        """Train, if its weights are to: else the norms' statistics stay, too."""
        return super().train(mode and any(p.requires_grad for p in self.parameters()))

    def guess(self, maps: Tensor) -> Tensor:
        """Return (N, 6) as above, but the logarithms of the odds and of the side."""
        guesses = self.last(self.layers(maps))
        height, width = guesses.shape[2:]
        places = torch.meshgrid(_centers(width), _centers(height), indexing="xy")
        sure, guesses = guesses.flatten(2).split((1, 5), dim=1)
        here = torch.stack(places).flatten(1)
        guesses = guesses + F.pad(here, (0, 0, 0, 3)).to(guesses)
        mean = (guesses * sure.softmax(dim=2)).sum(dim=2)
        odds = sure.logsumexp(dim=2) - math.log(height * width)
        return torch.cat([odds, mean], dim=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the values (N, 6)."""
        odds, center, side, up = self.guess(maps).float().split((1, 2, 1, 2), dim=1)
        return torch.cat([odds.sigmoid(), center, side.exp(), up], dim=1)


def _layer(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()


def _centers(count: int) -> Tensor:
    """Return the middles of so many cells, as shares of the crop."""
    return (torch.arange(count) + 0.5) / count
