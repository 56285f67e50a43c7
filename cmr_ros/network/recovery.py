"""What every network of this package predicts."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class Recovery:
    """A prediction for N crops; maps are probabilities and span the whole crop.

    Landmarks, presence, handedness and region are there where the encoder knows them.
    """

    #: (N, V_i, 3) fine to coarse, root-relative, in units of the scale
    meshes: tuple[torch.Tensor, ...]
    heatmaps: torch.Tensor  # (N, J, h, w)
    silhouette: torch.Tensor  # (N, 1, h, w)
    prior_heatmaps: tuple[torch.Tensor, ...] = ()  # of earlier stages, in order, for training
    prior_silhouettes: tuple[torch.Tensor, ...] = ()  # of earlier stages, in order, for training
    #: (N, V_0, 3) the first mesh, moved by `mobile.Nudge` where there is one
    nudged: torch.Tensor | None = None
    #: (N, J, 2) joints in crop pixels, whose centres lie at integers, / crop size
    landmarks: torch.Tensor | None = None
    #: (N, J, 3) joints of the head that gives the landmarks, where the nudge uses them
    released: torch.Tensor | None = None
    presence: torch.Tensor | None = None  # (N, 1) probability of a hand
    #: (N, 1) probability of a right hand in the crop as shown
    handedness: torch.Tensor | None = None
    region: torch.Tensor | None = None  # (N, 6) where in the crop the hand is, see `RegionHead`

    @property
    def mesh(self) -> torch.Tensor:
        """The network's answer (N, V_0, 3)."""
        return self.meshes[0] if self.nudged is None else self.nudged
