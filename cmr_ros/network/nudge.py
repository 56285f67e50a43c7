"""What the trunk's released head, which has seen photographs, tells of the coarse mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from cmr_ros.network.config import NetworkConfig

if TYPE_CHECKING:
    from cmr_ros.model.template import HandTemplate

#: The nudge's inputs and outputs are about a tenth of a mesh's size; this brings them near one.
_DISTANCE_UNIT = 0.1


class Nudge(nn.Module):
    """How far the released head would move a mesh (N, V_0, 3); not at all as long as untrained.

    The head has seen photographs, which the rest of the network has not, so its errors are others.
    The latent is no input: from it the layers could learn how wrong the head is on renders.  Nor is
    the size that the head predicts: it is the same for hands large and small.
    """

    def __init__(self, config: NetworkConfig, template: HandTemplate):
        super().__init__()
        regressor = torch.from_numpy(np.asarray(template.joint_regressor, np.float32))
        self.register_buffer("regressor", regressor, persistent=False)
        joint_count, vertex_count = regressor.shape
        self.layers = nn.Sequential(
            nn.Linear(7 * joint_count, config.nudge),
            nn.GELU(),
            nn.Linear(config.nudge, 3 * vertex_count),
        )
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, released: Tensor, mesh: Tensor, heatmaps: Tensor) -> Tensor:
        """Return the move for released joints (N, J, 3), a mesh (N, V_0, 3) and heatmaps."""
        with torch.autocast(mesh.device.type, enabled=False):
            joints = _centered(self.regressor @ mesh.float())
            released = _centered(released.float())
            apart = (released * (_size(joints) / _size(released)) - joints) / _DISTANCE_UNIT
            heights = heatmaps.float().amax(dim=(2, 3))
            inputs = torch.cat([apart.flatten(1), joints.flatten(1), heights], dim=1).detach()
            return _DISTANCE_UNIT * self.layers(inputs).unflatten(1, (-1, 3))


def _centered(points: Tensor) -> Tensor:
    return points - points.mean(dim=1, keepdim=True)


def _size(centered: Tensor) -> Tensor:
    return centered.norm(dim=(1, 2), keepdim=True).clamp_min(1e-6)
