"""The published training losses (meshes, maps, normals, edges), and two on the joints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from cmr_ros.network.recovery import Recovery


@dataclass(frozen=True)
class LossWeights:
    """Factors of the loss terms; the defaults are the published ones."""

    mesh: float = 1.0  # of `mesh_loss`
    heatmap: float = 10.0  # of `map_loss` of the heatmaps
    silhouette: float = 0.5  # of `map_loss` of the silhouette
    normal: float = 0.1  # of `normal_loss`
    edge: float = 1.0  # of `edge_loss`
    location: float = 0.0  # of `location_loss`
    joint: float = 0.0  # of the joints that the mesh implies: mean absolute error


PUBLISHED_WEIGHTS = LossWeights()


def mesh_loss(meshes: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the mean absolute error of each level's mesh (N, V_i, 3), summed over the levels."""
    pairs = zip(meshes, targets, strict=True)
    return torch.stack([functional.l1_loss(mesh, target) for mesh, target in pairs]).sum()


def map_loss(maps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean binary cross-entropy of probability maps of any shape."""
    # Logarithms of half-precision probabilities overflow: this one loss is always taken in full.
    with torch.autocast(maps.device.type, enabled=False):
        return functional.binary_cross_entropy(maps.float(), targets.float())


def location_loss(heatmaps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy between each map and its target, both as distributions.

    heatmaps: (N, J, h, w) probabilities.  targets: (N, J, h, w) not negative; a map without any
    target, of a joint outside the crop, does not count.  Unlike the binary cross-entropy, whose
    many empty cells teach caution first, it asks where the joint is from the first step on.
    """
    with torch.autocast(heatmaps.device.type, enabled=False):
        log_share = torch.logit(heatmaps.float().flatten(2), eps=1e-6).log_softmax(dim=2)
        target = targets.float().flatten(2)
        mass = target.sum(dim=2)
        entropy = -(target * log_share).sum(dim=2) / mass.clamp_min(1e-6)
        return (entropy * (mass > 1e-3)).mean()


def normal_loss(mesh: torch.Tensor, target: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """Return the mean |cosine| between predicted edges and the true normals of their faces.

    mesh, target: (N, V, 3).  faces: (F, 3).
    """
    a, b, c = mesh[:, faces].unbind(2)
    edges = functional.normalize(torch.stack([b - a, c - a, c - b], dim=2), dim=3)
    a, b, c = target[:, faces].unbind(2)
    along, across = functional.normalize(b - a, dim=2), functional.normalize(c - a, dim=2)
    normals = functional.normalize(torch.linalg.cross(along, across, dim=2), dim=2)
    return (edges * normals[:, :, None]).sum(dim=3).abs().mean()


def edge_loss(mesh: torch.Tensor, target: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute error of edge lengths; mesh, target: (N, V, 3), faces: (F, 3)."""
    difference = _edge_lengths(mesh, faces) - _edge_lengths(target, faces)
    return difference.abs().mean()


def _edge_lengths(mesh: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    corners = mesh[:, faces]
    return (corners - corners.roll(1, dims=2)).norm(dim=3)


@dataclass(frozen=True, eq=False)
class Targets:
    """The truth of a batch."""

    meshes: tuple[torch.Tensor, ...]  # (N, V_i, 3) fine to coarse, in units of the scale
    heatmaps: torch.Tensor  # (N, J, h, w) in [0, 1]
    silhouette: torch.Tensor  # (N, 1, h, w) in [0, 1]
    joints: torch.Tensor | None = None  # (N, J, 3) in the meshes' units, for the loss on joints


def recovery_losses(
    recovery: Recovery,
    targets: Targets,
    faces: torch.Tensor,
    weights: LossWeights = PUBLISHED_WEIGHTS,
    regressor: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """Return the weighted loss terms by name; their sum is what training lowers.

    Earlier stages' maps count as much as the last stage's.

    Args:
        recovery: the prediction.
        targets: the truth.
        faces: (F, 3) of the finest mesh, or some of them.
        weights: of the terms.
        regressor: (J, V_0), joints from the finest mesh; only the loss on joints asks for it.
    """
    heatmaps = (recovery.heatmaps, *recovery.prior_heatmaps)
    silhouettes = (recovery.silhouette, *recovery.prior_silhouettes)
    fine = recovery.meshes[0], targets.meshes[0], faces
    nudged = () if recovery.nudged is None else (recovery.nudged,)
    terms = {
        "mesh": weights.mesh * mesh_loss(recovery.meshes, targets.meshes),
        "heatmap": weights.heatmap * sum(map_loss(maps, targets.heatmaps) for maps in heatmaps),
        "silhouette": weights.silhouette
        * sum(map_loss(maps, targets.silhouette) for maps in silhouettes),
        "normal": weights.normal * normal_loss(*fine),
        "edge": weights.edge * edge_loss(*fine),
    }
    if weights.location:
        location = sum(location_loss(maps, targets.heatmaps) for maps in heatmaps)
        terms["location"] = weights.location * location
    if nudged:
        terms["nudge"] = weights.mesh * mesh_loss(nudged, targets.meshes[:1])
    if weights.joint:
        meshes = (recovery.meshes[0], *nudged)
        joint = sum(functional.l1_loss(regressor @ mesh, targets.joints) for mesh in meshes)
        terms["joint"] = weights.joint * joint
    return terms
