"""The mobile network's second encoder: maps and the trunk's deeper features -> latent vector."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmr_ros.network.aggregation import Aggregation
from cmr_ros.network.config import NetworkConfig
from cmr_ros.network.trunk import TrunkChannels, TrunkFeatures

_DROPOUT = 0.2


class MapEncoder(nn.Module):
    """Features and maps (N, C, S/4, S/4) and the trunk's features -> latent vector."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        widths, latent = config.mobile, config.decoder.latent
        channels = TrunkChannels.of(widths.trunk)
        inputs = [code + trunk for code, trunk in zip(widths.codes, channels[2:5], strict=True)]
        first = ContextConv(widths.maps[0], config, widths.codes[0])
        self.down = nn.ModuleList(
            [nn.Sequential(first, nn.BatchNorm2d(widths.codes[0]), nn.ReLU())]
        )
        for count, outputs in zip(inputs[:-1], widths.codes[1:], strict=True):
            self.down.append(conv(count, outputs, stride=2))
        self.last = nn.Sequential(
            nn.Conv2d(inputs[-1], widths.flattened, 1, bias=False),
            nn.BatchNorm2d(widths.flattened),
            nn.ReLU(),
            nn.Flatten(),  # not averaged: positions are what the maps are for
            nn.Dropout(_DROPOUT),
            nn.Linear(widths.flattened * (config.input_size // 32) ** 2, latent),
        )
        self.start = nn.Sequential(
            nn.BatchNorm1d(channels.pooled, affine=False),
            nn.Dropout(_DROPOUT),
            nn.Linear(channels.pooled, widths.hidden),
            nn.ReLU(),
            nn.Linear(widths.hidden, latent),
        )
        self.peaks = nn.Sequential(
            nn.Linear(3 * config.joint_count, widths.hidden),
            nn.ReLU(),
            nn.Linear(widths.hidden, latent),
        )

    def forward(
        self, x: Tensor, heatmaps: Tensor, silhouette: Tensor, features: TrunkFeatures
    ) -> Tensor:
        """Return the latent vectors (N, latent).

        Args:
            x: features (N, C, S/4, S/4) of the last stage.
            heatmaps: (N, J, S/4, S/4), probabilities.
            silhouette: (N, 1, S/4, S/4), probabilities.
            features: of the trunk.
        """
        context = torch.cat([x, heatmaps, silhouette], dim=1)
        x = self.down[0](filled(context, dim=1))
        x = self.down[1](torch.cat([x, features.x8], dim=1))
        x = self.down[2](torch.cat([x, features.x16], dim=1))
        latent = self.last(torch.cat([x, features.x32], dim=1))
        return latent + self.start(features.pooled) + self.peaks(peak_features(heatmaps))


class ContextConv(nn.Conv2d):
    """A 3x3 convolution, stride 2, of features, pose maps, their groups' sums and a silhouette.

    A convolved sum of maps is a sum of weights: no group's map need be made.
    """

    def __init__(self, features: int, config: NetworkConfig, outputs: int):
        maps = config.joint_count + len(config.groups)
        super().__init__(features + maps + 1, outputs, 3, stride=2, padding=1, bias=False)
        self.aggregation = Aggregation(config.joint_count, config.groups)
        self.parts = (features, maps, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (N, outputs, h / 2, w / 2) of `filled` maps without the groups' sums."""
        return F.conv2d(x, self._merged(), None, self.stride, self.padding)

    def fixed(self) -> nn.Module:
        """Return what does the same with weights that no longer change."""
        weight = self._merged().detach()
        fixed = nn.Conv2d(weight.shape[1], len(weight), 3, stride=2, padding=1, bias=False)
        fixed.weight = nn.Parameter(weight, requires_grad=False)
        return fixed

    def _merged(self) -> Tensor:
        of_features, of_maps, of_silhouette = self.weight.split(self.parts, dim=1)
        merged = self.aggregation.merged(of_maps)
        return filled(torch.cat([of_features, merged, of_silhouette], dim=1), dim=1)


def filled(channels: Tensor, dim: int) -> Tensor:
    """Append zeros: engines have blocked layouts for channels in fours."""
    missing = -channels.shape[dim] % 4
    return torch.cat([channels, torch.zeros_like(channels.narrow(dim, 0, missing))], dim)


def peak_features(heatmaps: Tensor) -> Tensor:
    """Return columns, rows and heights (N, 3 J) of the peaks of heatmaps (N, J, h, w).

    Columns and rows are means of the squared maps, -1 to 1.  No gradient: what a mesh would like
    best of its maps would spoil them.
    """
    with torch.autocast(heatmaps.device.type, enabled=False):
        maps = heatmaps.detach().float()
        share = maps * maps
        share = share / share.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)
        column, row = (
            (share.sum(dim=along) * torch.linspace(-1, 1, cells, device=maps.device)).sum(dim=2)
            for along, cells in ((2, maps.shape[3]), (3, maps.shape[2]))
        )
        return torch.cat([column, row, maps.amax(dim=(2, 3))], dim=1)


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Return a 3x3 convolution with normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
