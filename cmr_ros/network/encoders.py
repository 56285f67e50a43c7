"""The encoders that a configuration can name, behind one interface.

An encoder turns its input into a pyramid; `stem_channels` and `channels` say how many channels
the pyramid's first map and the four others have.  Later stages' encoders also give a `latent`.
"""

from __future__ import annotations

import torch
from torch import nn

from cmr_ros.network.resnet import ImageEncoder, MapEncoder, Pyramid, reduction
from cmr_ros.network.trunk import TRUNK_CHANNELS, MobileTrunk


class MobileImageEncoder(nn.Module):
    """The mobile trunk as first stage: pictures (N, 3, S, S), RGB in [0, 1].

    Parameters are named as the trunk's, so that its released weights can be their start.
    """

    stem_channels = TRUNK_CHANNELS.x2
    channels = list(TRUNK_CHANNELS[1:5])

    def __init__(self):
        super().__init__()
        trunk = MobileTrunk()
        self.stem, self.stages = trunk.stem, trunk.stages

    def forward(self, x: torch.Tensor) -> Pyramid:
        """Return the maps of stem and stages."""
        maps = [self.stem(x)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return tuple(maps)


class MobileMapEncoder(MobileImageEncoder):
    """The mobile trunk behind a reduction, for features and maps (N, C, S/2, S/2)."""

    def __init__(self, channels_in: int, latent: int):
        super().__init__()
        self.stem = reduction(channels_in, 2 * self.stem_channels, self.stem_channels)
        self.head = MobileTrunk().head
        self.fc = nn.Linear(TRUNK_CHANNELS.pooled, latent)

    def latent(self, pyramid: Pyramid) -> torch.Tensor:
        """Return the latent vector (N, latent)."""
        return self.fc(self.head(pyramid[-1]).mean(dim=(2, 3)))


def image_encoder(name: str) -> nn.Module:
    """Return the first stage's encoder of pictures (N, 3, S, S)."""
    return MobileImageEncoder() if name == "mobile" else ImageEncoder(name)


def map_encoder(name: str, channels_in: int, latent: int) -> nn.Module:
    """Return a later stage's encoder of features and maps (N, C, S/2, S/2)."""
    if name == "mobile":
        return MobileMapEncoder(channels_in, latent)
    return MapEncoder(name, channels_in, latent)
