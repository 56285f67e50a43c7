"""Says whether a crop shows a hand, and which one, from what the trunk sees where."""

from __future__ import annotations

from torch import Tensor, nn

_GROUPS, _DROPOUT = 8, 0.4


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
            nn.Conv2d(inputs, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 5, 2, 2, groups=_GROUPS, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, groups=_GROUPS, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
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
