"""What training minimises: the losses of a batch, their targets made where the network runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmr_ros.model.template import HandTemplate
from cmr_ros.network.config import NetworkConfig
from cmr_ros.network.decoder import UpSampling
from cmr_ros.network.losses import LossWeights, Targets, recovery_losses
from cmr_ros.network.recovery import Recovery
from cmr_ros.network.trunk import TrunkFeatures
from cmr_ros.training.augment import augmented
from cmr_ros.training.batches import Batch
from cmr_ros.training.consistency import consistency_loss
from cmr_ros.training.heads import (
    ReleasedHeads,
    Teacher,
    answer_loss,
    are_answers_trained,
    joint_loss,
    known_answers,
    mirrored_loss,
)

#: Of so many images one is shown mirrored, too.
_MIRRORED = 4


class Objective(nn.Module):
    """A network and its losses: Batch -> weighted loss terms by name."""

    def __init__(
        self,
        network: nn.Module,
        template: HandTemplate,
        weights: LossWeights,
        head_error: float = 1.0,
        augment: str = "nothing",
        teacher: Teacher | None = None,
    ):
        """Take a network to train.

        Args:
            network: as `build` makes it.
            template: of its meshes.
            weights: of the loss terms.
            head_error: least share of the released head's error that a nudge is trained with.
            augment: which images to change at random: nothing, photographs or all.
            teacher: of the released heads on photographs.
        """
        super().__init__()
        self.teacher = teacher
        self.network, self.weights = network, weights
        self.head_error, self.augment = head_error, augment
        self.before = None
        if weights.heads and are_answers_trained(network):
            self.before = ReleasedHeads(network)
        # A matrix between levels is a few numbers a row, whichever way it goes.
        self.down = nn.ModuleList(
            UpSampling(matrix, len(coarse))
            for matrix, coarse in zip(template.down, template.vertices[1:], strict=True)
        )
        faces = torch.from_numpy(np.asarray(template.faces[0], np.int64))
        self.register_buffer("faces", faces, persistent=False)
        regressor = torch.from_numpy(np.asarray(template.joint_regressor, np.float32))
        self.register_buffer("regressor", regressor, persistent=False)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return the loss terms; their sum is minimised."""
        if self.teacher is not None:
            batch = self.teacher.taught(batch, network_images(batch, self.network.config))
        shown = self._changed(batch)
        recovery = recover(self.network, shown, self.released_joints)
        targets = self.targets(shown, recovery)
        # The losses on faces are means: a random quarter of them has the same expectation.
        some = torch.randperm(len(self.faces), device=self.faces.device)[: len(self.faces) // 4]
        terms = recovery_losses(recovery, targets, self.faces[some], self.weights, self.regressor)
        size_px = self.network.config.input_size
        if self.weights.consistency:
            mesh_m = recovery.mesh.float() * self.network.config.scale_m + shown.joints[:, :1]
            # Half precision would move a mesh by pixels.
            with torch.autocast(mesh_m.device.type, enabled=False):
                fits = consistency_loss(mesh_m, self.regressor, shown, size_px)
            terms["consistency"] = self.weights.consistency * fits
        if self.weights.heads:
            heads = joint_loss(recovery, shown, targets, size_px)
            if self.before is not None:
                heads = heads + self._answer_loss(self.before, recovery, batch)
            terms["heads"] = self.weights.heads * heads
        return terms

    def _answer_loss(self, before: ReleasedHeads, recovery: Recovery, batch: Batch) -> Tensor:
        images = network_images(batch, self.network.config)
        mirrored, are_photographs = images[::_MIRRORED], batch.are_photographs[::_MIRRORED]
        return answer_loss(recovery, known_answers(before(images), batch)) + mirrored_loss(
            self.network, before, mirrored, are_photographs
        )

    def _changed(self, batch: Batch) -> Batch:
        if self.augment == "nothing":
            return batch
        chosen = batch.are_photographs
        if self.augment == "all" or chosen.all():
            return augmented(batch)
        return batch.with_rows(chosen, augmented(batch.rows(chosen))) if chosen.any() else batch

    def released_joints(self, pooled: Tensor, batch: Batch) -> Tensor:
        """Return the joints (N, J, 3) that the released head might predict from photographs.

        Its errors are smaller on photographs than on renders, by an unknown factor: on renders its
        joints are moved towards the truth, so that a random share of its error, `head_error` to 1,
        is left.  Labelled photographs, whose joints weigh less than 1, show what it does predict.
        """
        found = self.network.released_joints(pooled)
        found = found - found.mean(dim=1, keepdim=True)
        true = batch.joints - batch.joints.mean(dim=1, keepdim=True)
        share = self.head_error + (1 - self.head_error) * torch.rand_like(found[:, :1, :1])
        share = torch.where(batch.are_photographs[:, None, None], 1.0, share)
        return torch.lerp(true / self.network.config.scale_m, found, share)

    def targets(self, batch: Batch, recovery: Recovery) -> Targets:
        """Return the truth in the units, levels and map size of the network's predictions."""
        config = self.network.config
        root = batch.joints[:, :1]
        meshes = [(batch.vertices - root) / config.scale_m]
        for down in self.down[: len(recovery.meshes) - 1]:
            meshes.append(down(meshes[-1]))
        size = recovery.heatmaps.shape[-1]
        mask = batch.mask[:, None].float() / 255
        return Targets(
            meshes=tuple(meshes),
            heatmaps=gaussians(batch.joints_px, config.input_size, size, config.heatmap_sigma_px),
            silhouette=F.adaptive_avg_pool2d(mask, size),
            joints=(batch.joints - root) / config.scale_m,
            weights=batch.weights,
        )


def recover(
    network: nn.Module,
    batch: Batch,
    released_joints: Callable[[Tensor, Batch], Tensor] | None = None,
) -> Recovery:
    """Return a network's prediction for a batch, from its features if it has some.

    released_joints: function of pooled features and the batch, in place of the mobile network's
    own `released_joints`.
    """
    if batch.features is not None:
        features = TrunkFeatures(*(x.float() for x in batch.features))
    else:
        config = network.config
        images = network_images(batch, config)
        if config.encoder != "mobile":
            return network(images)
        features = network.trunk(images)
    if released_joints is None or network.nudge is None:
        return network.recover(features)
    return network.recover(features, released_joints(features.pooled, batch))


def network_images(batch: Batch, config: NetworkConfig) -> Tensor:
    """Return a batch's images (N, 3, S, S) as the network takes them."""
    images = batch.images.permute(0, 3, 1, 2).float() / 255
    mean, std = (images.new_tensor(v)[:, None, None] for v in (config.mean, config.std))
    return (images - mean) / std


def gaussians(joints_px: Tensor, size_px: int, cells: int, sigma_px: float) -> Tensor:
    """Return maps (N, J, cells, cells) with a peak of 1 at each joint.

    Args:
        joints_px: (N, J, 2) in crop pixels, whose centres lie at integers.
        size_px: side of the crop.
        cells: side of the maps, which span the crop.
        sigma_px: standard deviation of the peaks in crop pixels.
    """
    pitch = size_px / cells
    centers = (torch.arange(cells, device=joints_px.device) + 0.5) * pitch - 0.5
    x, y = torch.exp(-(((joints_px[..., None] - centers) / sigma_px) ** 2) / 2).unbind(2)
    return y[..., :, None] * x[..., None, :]
