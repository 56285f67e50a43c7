"""Trains a mobile trunk's released heads with it, so that they still fit when it changes.

Landmarks and 3D joints learn from the truth, and so does presence where it is known.  Where it is
not, presence stays what it was, as handedness always does: of the images before they are changed
at random, and of some of them mirrored.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmr_ros.network.losses import Targets
from cmr_ros.network.recovery import Recovery

#: Brings landmarks, shares of the crop, and joints, shares of a hand, near one.
_UNIT = 0.1


class ReleasedHeads(nn.Module):
    """The trunk and heads that training starts from; they are not trained."""

    def __init__(self, trunk: nn.Module, heads: nn.Module):
        super().__init__()
        self.trunk, self.heads = (
            copy.deepcopy(one).requires_grad_(False) for one in (trunk, heads)
        )

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return presence and handedness (N, 1) of images (N, 3, S, S) as the trunk takes them."""
        pooled = self.trunk(images).pooled
        with torch.autocast(images.device.type, enabled=False):
            found = self.heads(pooled.float())
        return found.presence, found.handedness


def head_loss(
    recovery: Recovery,
    joints_px: Tensor,
    targets: Targets,
    size_px: int,
    before: tuple[Tensor, Tensor],
    presence: Tensor | None = None,
) -> Tensor:
    """Return how far the heads are from the truth and from their earlier answers, a sum of means.

    Args:
        recovery: the prediction.
        joints_px: (N, J, 2) true joints in crop pixels.
        targets: the truth.
        size_px: side of the crop.
        before: presence and handedness (N, 1) that `ReleasedHeads` predicts.
        presence: (N,) the truth, NaN where it is not known.
    """
    if presence is not None:
        known = torch.where(presence.isnan(), before[0][:, 0], presence.to(before[0].dtype))
        before = known[:, None], before[1]
    landmarks = (recovery.landmarks - joints_px / size_px).abs().mean(dim=2)
    joints = (_centered(recovery.released) - _centered(targets.joints)).abs().mean(dim=2)
    own = recovery.presence, recovery.handedness
    with torch.autocast(landmarks.device.type, enabled=False):
        kept = sum(
            F.binary_cross_entropy(now.float().clamp(1e-6, 1 - 1e-6), then)
            for now, then in zip(own, before, strict=True)
        )
    return ((landmarks + joints) / _UNIT * targets.weights).mean() + kept


def mirrored_loss(network: nn.Module, before: ReleasedHeads, images: Tensor) -> Tensor:
    """Return how far handedness of mirrored images is from what it was.

    Training shows right hands alone: else the head would learn to say "right" of everything.

    Args:
        network: the mobile network.
        before: what its trunk and heads were.
        images: (N, 3, S, S) as the trunk takes them.
    """
    mirrored = images.flip(3)
    pooled, then = network.trunk(mirrored).pooled, before(mirrored)[1]
    with torch.autocast(images.device.type, enabled=False):
        now = network.landmark_heads(pooled.float()).handedness
        return F.binary_cross_entropy(now.clamp(1e-6, 1 - 1e-6), then)


def _centered(points: Tensor) -> Tensor:
    return points - points.mean(dim=1, keepdim=True)
