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
    heads: float = 0.0  # of what a mobile trunk's own heads predict (`training.heads`)
    consistency: float = 0.0  # of the mesh with what its image shows (`training.consistency`)


PUBLISHED_WEIGHTS = LossWeights()


def _mean(values: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Return the mean of values, whose first axes are those of the weights, each times its own."""
    if weights is None:
        return values.mean()
    return (values.flatten(weights.dim()).mean(dim=-1) * weights).mean()


def mesh_loss(
    meshes: Sequence[torch.Tensor],
    targets: Sequence[torch.Tensor],
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the mean absolute error of each level's mesh (N, V_i, 3), summed over the levels.

    weights: (N,) of the samples.
    """
    pairs = zip(meshes, targets, strict=True)
    return torch.stack([_mean((mesh - target).abs(), weights) for mesh, target in pairs]).sum()


def map_loss(
    maps: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean binary cross-entropy of probability maps (N, C, h, w).

    weights: (N, C) of the maps.
    """
    # Logarithms of half-precision probabilities overflow: this one loss is always taken in full.
    with torch.autocast(maps.device.type, enabled=False):
        entropy = functional.binary_cross_entropy(maps.float(), targets.float(), reduction="none")
        return _mean(entropy, weights)


def location_loss(
    heatmaps: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean cross-entropy between each map and its target, both as distributions.

    heatmaps: (N, J, h, w) probabilities.  targets: (N, J, h, w) not negative; a map without any
    target, of a joint outside the crop, does not count.  weights: (N, J) of the maps.  Unlike the
    binary cross-entropy, whose many empty cells teach caution first, it asks where the joint is
    from the first step on.
    """
    with torch.autocast(heatmaps.device.type, enabled=False):
        log_share = torch.logit(heatmaps.float().flatten(2), eps=1e-6).log_softmax(dim=2)
        target = targets.float().flatten(2)
        mass = target.sum(dim=2)
        entropy = -(target * log_share).sum(dim=2) / mass.clamp_min(1e-6)
        entropy = entropy * (mass > 1e-3)
        return (entropy if weights is None else entropy * weights).mean()


def normal_loss(
    mesh: torch.Tensor,
    target: torch.Tensor,
    faces: torch.Tensor,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the mean |cosine| between predicted edges and the true normals of their faces.

    Args:
        mesh: (N, V, 3), the prediction.
        target: (N, V, 3), the truth.
        faces: (F, 3).
        weights: (N,) of the samples.
    """
    a, b, c = mesh[:, faces].unbind(2)
    edges = functional.normalize(torch.stack([b - a, c - a, c - b], dim=2), dim=3)
    a, b, c = target[:, faces].unbind(2)
    along, across = functional.normalize(b - a, dim=2), functional.normalize(c - a, dim=2)
    normals = functional.normalize(torch.linalg.cross(along, across, dim=2), dim=2)
    return _mean((edges * normals[:, :, None]).sum(dim=3).abs(), weights)


def edge_loss(
    mesh: torch.Tensor,
    target: torch.Tensor,
    faces: torch.Tensor,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the mean absolute error of edge lengths.

    Args:
        mesh: (N, V, 3), the prediction.
        target: (N, V, 3), the truth.
        faces: (F, 3).
        weights: (N,) of the samples.
    """
    difference = _edge_lengths(mesh, faces) - _edge_lengths(target, faces)
    return _mean(difference.abs(), weights)


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
    #: (N, J): how much each joint counts; what is not a joint counts as much as the mean joint
    weights: torch.Tensor | None = None


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
    of_joints = targets.weights
    of_samples = None if of_joints is None else of_joints.mean(dim=1)
    of_silhouettes = None if of_samples is None else of_samples[:, None]
    fine = recovery.meshes[0], targets.meshes[0], faces, of_samples
    nudged = () if recovery.nudged is None else (recovery.nudged,)

    def map_terms(maps: tuple, true: torch.Tensor, of_maps: torch.Tensor | None) -> torch.Tensor:
        return sum(map_loss(one, true, of_maps) for one in maps)

    terms = {
        "mesh": weights.mesh * mesh_loss(recovery.meshes, targets.meshes, of_samples),
        "heatmap": weights.heatmap * map_terms(heatmaps, targets.heatmaps, of_joints),
        "silhouette": weights.silhouette
        * map_terms(silhouettes, targets.silhouette, of_silhouettes),
        "normal": weights.normal * normal_loss(*fine),
        "edge": weights.edge * edge_loss(*fine),
    }
    if weights.location:
        location = sum(location_loss(maps, targets.heatmaps, of_joints) for maps in heatmaps)
        terms["location"] = weights.location * location
    if nudged:
        terms["nudge"] = weights.mesh * mesh_loss(nudged, targets.meshes[:1], of_samples)
    if weights.joint:
        meshes = (recovery.meshes[0], *nudged)
        joint = sum(_mean((regressor @ one - targets.joints).abs(), of_joints) for one in meshes)
        terms["joint"] = weights.joint * joint
    return terms
