"""A small fully convolutional network that finds hands in one pass over a picture.

Each cell of its one output map, `STRIDE` pixels wide, says whether the middle of a palm lies in it
(Zhou et al., "Objects as Points", arXiv 1904.07850) and, if so, where the hand's region is.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import interpolate

#: Pixels of the picture per cell of the map.
STRIDE = 8
#: Height and width of a picture must be multiples of this.
MULTIPLE = 32
#: Channels of the map: score (logit); the palm's middle against the cell's and the logarithm of
#: the region's side, in cells; the region's up in the picture; right hand (logit).
CHANNELS = ("score", "x", "y", "log_side", "up_x", "up_y", "right")


def _conv(inside: int, outside: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, size, stride, (size - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outside),
    )


class _Block(nn.Module):
    """A residual depthwise-separable convolution."""

    def __init__(self, width: int, size: int):
        super().__init__()
        self.spread = _conv(width, width, size, groups=width)
        self.mix = _conv(width, width, 1)

    def forward(self, x):
        return torch.relu(x + self.mix(self.spread(x)))


def _stage(inside: int, outside: int, depth: int, size: int) -> nn.Sequential:
    """Return `depth` blocks at half the resolution."""
    blocks = (_Block(outside, size) for _ in range(depth))
    return nn.Sequential(_conv(inside, outside, 3, 2), nn.ReLU(), *blocks)


class HandDetector(nn.Module):
    """(N, 3, H, W) RGB in [0, 1] to the map (N, len(CHANNELS), H / STRIDE, W / STRIDE).

    H, W: multiples of MULTIPLE.  widths: channels at strides 4, 8, 16 and 32.  depths: blocks at
    strides 8, 16 and 32.
    """

    def __init__(self, widths=(32, 64, 128, 192), depths=(3, 4, 4)):
        super().__init__()
        stem, fine, middle, coarse = widths
        # Wide strides at once: full-resolution layers would take most of the time.
        self.stem = nn.Sequential(_conv(3, stem, 6, 4), nn.ReLU())
        self.fine = _stage(stem, fine, depths[0], 3)
        self.middle = _stage(fine, middle, depths[1], 5)
        self.coarse = _stage(middle, coarse, depths[2], 5)
        self.from_coarse = _conv(coarse, middle, 1)
        self.join = _Block(middle, 3)
        self.from_middle = _conv(middle, fine, 1)
        self.head = nn.Sequential(_Block(fine, 3), _Block(fine, 3))
        self.tell = nn.Conv2d(fine, len(CHANNELS), 1)
        nn.init.normal_(self.tell.weight, std=0.01)
        with torch.no_grad():
            self.tell.bias.zero_()
            self.tell.bias[CHANNELS.index("score")] = -4.0  # hands are rare
            self.tell.bias[CHANNELS.index("log_side")] = 2.0

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the map of pictures."""
        fine = self.fine(self.stem(pictures - 0.5))
        middle = self.middle(fine)
        coarse = self.from_coarse(self.coarse(middle))
        middle = self.join(torch.relu(middle + interpolate(coarse, scale_factor=2.0)))
        middle = self.from_middle(middle)
        return self.tell(self.head(torch.relu(fine + interpolate(middle, scale_factor=2.0))))
