"""Residual encoders and the top-down decoders of the 2D stages (paper, sections 3.1 and 3.2).

Attribute names are those of the released checkpoints.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

#: Maps of one encoder: stem, layer 1 to layer 4; each half as wide as the one before but layer 1,
#: which is half the stem.
Pyramid = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]

_STEM = 64


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(channels_in, width, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return maps (N, width, h / stride, w / stride)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1 ones, around a shortcut."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int):
        super().__init__()
        channels_out = width * self.expansion
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.downsample = _shortcut(channels_in, channels_out, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return maps (N, 4 width, h / stride, w / stride)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    if channels_in == channels_out and stride == 1:
        return nn.Identity()
    convolution = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out))


#: Encoder name -> block and number of blocks of each layer.
_DEPTHS = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
}


class ConvNorm(nn.Module):
    """A convolution that keeps the size, batch norm, and ReLU unless switched off."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, relu: bool = True):
        """Make the layers.

        Args:
            channels_in: of the maps that go in.
            channels_out: of the maps that come out.
            kernel: side in cells, odd.
            relu: end with a ReLU.
        """
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm2d(channels_out)
        self.relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return maps (N, channels_out, h, w)."""
        y = self.norm(self.conv(x))
        return torch.relu(y) if self.relu else y


def reduction(channels_in: int, width: int, channels_out: int) -> nn.Sequential:
    """Return what makes a stem of features and maps: (N, C, h, w) -> (N, channels_out, h, w)."""
    return nn.Sequential(
        ConvNorm(channels_in, channels_in, 3),
        ConvNorm(channels_in, width, 3),
        ConvNorm(width, channels_out, 1, relu=False),
    )


class ResNet(nn.Module, ABC):
    """A residual encoder but for its stem; channels: those of the layers."""

    stem_channels = _STEM

    def __init__(self, name: str):
        super().__init__()
        block, depths = _DEPTHS[name]
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = _STEM
        self.channels = []
        for level, depth in enumerate(depths):
            width, stride = _STEM << level, 1 if level == 0 else 2
            blocks = []
            for i in range(depth):
                blocks.append(block(channels, width, stride if i == 0 else 1))
                channels = width * block.expansion
            self.add_module(f"layer{level + 1}", nn.Sequential(*blocks))
            self.channels.append(channels)

    @abstractmethod
    def stem(self, x: torch.Tensor) -> torch.Tensor:
        """Return the stem's maps (N, 64, S/2, S/2)."""

    def forward(self, x: torch.Tensor) -> Pyramid:
        """Return the maps of stem and layers."""
        x0 = self.stem(x)
        c1 = self.layer1(self.maxpool(x0))
        c2 = self.layer2(c1)
        c3 = self.layer3(c2)
        return x0, c1, c2, c3, self.layer4(c3)


class ImageEncoder(ResNet):
    """The first stage's encoder, of pictures (N, 3, S, S)."""

    def __init__(self, name: str):
        super().__init__(name)
        self.conv1 = nn.Conv2d(3, _STEM, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM)

    def stem(self, x: torch.Tensor) -> torch.Tensor:
        """Return the stem's maps (N, 64, S/2, S/2) of pictures."""
        return torch.relu(self.bn1(self.conv1(x)))


class MapEncoder(ResNet):
    """A later stage's encoder, of features and maps (N, C, S/2, S/2)."""

    def __init__(self, name: str, channels_in: int, latent: int):
        super().__init__(name)
        self.reduce = reduction(channels_in, 128, _STEM)
        self.fc = nn.Linear(self.channels[-1], latent)

    def stem(self, x: torch.Tensor) -> torch.Tensor:
        """Return the reduced maps (N, 64, S/2, S/2)."""
        return self.reduce(x)

    def latent(self, pyramid: Pyramid) -> torch.Tensor:
        """Return the latent vector (N, latent)."""
        return self.fc(pyramid[-1].mean(dim=(2, 3)))


class TopDown(nn.ModuleList):
    """Fuse a pyramid from coarse to fine: maps (N, channels of layer 1, S/2, S/2)."""

    def __init__(self, channels: list[int]):
        c1, c2, c3, c4 = channels
        super().__init__(
            [
                ConvNorm(c4 + c3, c3, 3),
                ConvNorm(c3 + c2, c2, 3),
                ConvNorm(c2 + c1, c1, 3),
                ConvNorm(c1, c1, 3),
            ]
        )

    def forward(self, pyramid: Pyramid) -> torch.Tensor:
        """Return maps as wide as the stem's."""
        _, c1, c2, c3, x = pyramid
        for convolution, skip in zip(self, (c3, c2, c1, None), strict=True):
            x = nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = convolution(x if skip is None else torch.cat([x, skip], dim=1))
        return x


class MapHead(nn.Module):
    """Probability maps (N, count, h, w) of features (N, C, h, w)."""

    def __init__(self, channels_in: int, count: int):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, count, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return probabilities in [0, 1]."""
        return torch.sigmoid(self.conv(x))
