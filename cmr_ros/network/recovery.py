"""What every network of this package predicts."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class Recovery:
    """A prediction for pictures; maps are probabilities and span the whole picture.

    meshes: (N, V_i, 3) fine to coarse, root-relative, in units of the scale.  heatmaps:
    (N, J, h, w).  silhouette: (N, 1, h, w).  prior_heatmaps, prior_silhouettes: the same from
    earlier stages, in their order, for training.  nudged: (N, V_0, 3) the first mesh, moved by
    `mobile.Nudge` where there is one.  Where the encoder knows them: landmarks
    (N, J, 2), the joints in crop pixels (centres at integers) / crop size; presence (N, 1),
    probability of a hand; handedness (N, 1), probability of a right hand in the picture as shown.
    """

    meshes: tuple[torch.Tensor, ...]
    heatmaps: torch.Tensor
    silhouette: torch.Tensor
    prior_heatmaps: tuple[torch.Tensor, ...] = ()
    prior_silhouettes: tuple[torch.Tensor, ...] = ()
    nudged: torch.Tensor | None = None
    landmarks: torch.Tensor | None = None
    presence: torch.Tensor | None = None
    handedness: torch.Tensor | None = None

    @property
    def mesh(self) -> torch.Tensor:
        """The network's answer (N, V_0, 3)."""
        return self.meshes[0] if self.nudged is None else self.nudged
