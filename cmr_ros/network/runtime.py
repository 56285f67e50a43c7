"""A network as run time needs it: outputs by name, nothing that only training asks for."""

from __future__ import annotations

import torch
from torch import nn

from cmr_ros.model.card import OPTIONAL_OUTPUTS
from cmr_ros.network.recovery import Recovery


class RuntimeNetwork(nn.Module):
    """Pictures (N, 3, S, S) -> the outputs that a model folder names."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the outputs by name; the maps as (N, J, h, w) and (N, 1, h, w)."""
        recovery: Recovery = self.network(image)
        outputs = {
            "vertices": recovery.mesh,
            "heatmaps": recovery.heatmaps,
            "silhouette": recovery.silhouette,
        }
        optional = {name: getattr(recovery, name) for name in OPTIONAL_OUTPUTS}
        return outputs | {name: value for name, value in optional.items() if value is not None}
