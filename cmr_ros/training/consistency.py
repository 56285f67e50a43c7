"""Whether a mesh fits what its image shows: the joints, and how far the silhouette reaches.

The label of a photograph has a mesh, 2D joints and a silhouette.  The mesh is a parametric hand's,
as near to the others as its shapes and its prior allow, and a network that learns from it alone is
as far off its own cues.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cmr_ros.registration.extents import NORMALS
from cmr_ros.training.batches import Batch

#: Where the reach of the label's mesh differs by more from the silhouette's, in shares of the crop,
#: the silhouette is cut off: by the image's edge or by what covers the hand.
_CUT_OFF = 0.04


def consistency_loss(mesh_m: Tensor, regressor: Tensor, batch: Batch, size_px: int) -> Tensor:
    """Return by how much meshes miss the joints and the silhouettes seen, in shares of the crop.

    Silhouettes count by their reach along registration's axes (CMR, section 3.3).  Where each hand
    is, and how large it looks, is fitted to the joints, as registration will do.

    Args:
        mesh_m: (N, V, 3) predicted, in the crop cameras' frames.
        regressor: (J, V), joints from meshes.
        batch: the samples.
        size_px: side of the crop.
    """
    joints, vertices = _aligned(regressor @ mesh_m, mesh_m, batch)
    off = (joints - batch.joints_px).abs().mean(dim=2)
    normals = mesh_m.new_tensor(NORMALS)
    reach, shown = _reach(vertices, normals), _silhouette_reach(batch.mask, normals, size_px)
    of_label = _reach(_aligned(batch.joints, batch.vertices, batch)[1], normals)
    counts = (of_label - shown).abs() < _CUT_OFF * size_px
    beyond = torch.where(counts, (reach - shown).abs(), 0.0)
    of_samples = batch.weights.mean(dim=1, keepdim=True)
    return ((off * batch.weights).mean() + (beyond * of_samples).mean()) / size_px


def _aligned(joints_m: Tensor, vertices_m: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return joints (N, J, 2) and vertices (N, V, 2) in crop pixels, where the joints fit best."""
    joints, vertices = (
        points[..., :2] / points[..., 2:].clamp_min(1e-2) for points in (joints_m, vertices_m)
    )
    weights = batch.weights[..., None] + 1e-6
    share = weights / weights.sum(dim=1, keepdim=True)
    middle, middle_px = ((share * one).sum(1, keepdim=True) for one in (joints, batch.joints_px))
    around, around_px = joints - middle, batch.joints_px - middle_px
    product = (share * around * around_px).sum((1, 2), keepdim=True)
    scale = product / (share * around**2).sum((1, 2), keepdim=True).clamp_min(1e-9)
    return scale * around + middle_px, scale * (vertices - middle) + middle_px


def _reach(points: Tensor, normals: Tensor) -> Tensor:
    """Return how far points (N, P, 2) reach along normals (K, 2), (N, K)."""
    return (points @ normals.T).amax(dim=1)


def _silhouette_reach(mask: Tensor, normals: Tensor, size_px: int) -> Tensor:
    """Return how far masks (N, s, s) reach along normals (K, 2), (N, K); -inf where all is empty.

    mask: share of each cell that shows the hand, 255 for all.
    """
    pitch = size_px / mask.shape[-1]
    centers = (torch.arange(mask.shape[-1], device=mask.device) + 0.5) * pitch - 0.5
    along = centers[:, None, None] * normals[:, 1] + centers[:, None] * normals[:, 0]
    # An outermost cell is a quarter full or more: on average, the hand ends beyond its centre.
    along = along + 0.25 * pitch * normals.abs().amax(dim=1)
    solid = (mask > 63).flatten(1)[..., None]
    return torch.where(solid, along.flatten(0, 1), -torch.inf).amax(dim=1)
