"""Trains a mobile trunk's released heads with it, so that they still fit when it changes.

Landmarks and 3D joints learn from the truth, of photographs with a `Teacher` from what the released
network says: labels are half the network's own opinion, and two opinions that learn from their mean
are soon one.  Presence and handedness learn from what is known, of renders and of some of them
mirrored; elsewhere they stay what they were of the images before these were changed at random.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmr_ros.errors import InputError
from cmr_ros.network.losses import Targets
from cmr_ros.network.recovery import Recovery
from cmr_ros.network.trunk import TrunkFeatures, load_mediapipe
from cmr_ros.synthesis.sample import CERTAINTY
from cmr_ros.training.batches import Batch

#: Brings landmarks, shares of the crop, and joints, shares of a hand, near one.
_UNIT = 0.1


class ReleasedHeads(nn.Module):
    """The trunk and heads that training starts from; they are not trained."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.trunk, self.heads, self.crop_head = (
            copy.deepcopy(one).requires_grad_(False) if one is not None else None
            for one in (network.trunk, network.landmark_heads, network.crop_head)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return presence and handedness (N, 1) of images (N, 3, S, S) as the trunk takes them."""
        with torch.no_grad():
            return self.of_features(self.trunk(images))

    def of_features(self, features: TrunkFeatures) -> tuple[Tensor, Tensor]:
        """Return presence and handedness (N, 1) of what the trunk makes of images."""
        return _said(self.heads, self.crop_head, features)


class Teacher(nn.Module):
    """The released network, whose heads learnt from real hands; it is not trained."""

    def __init__(self, network: nn.Module, path: Path):
        """Take the place of a network with the trunk and heads of landmark_full.onnx or _lite.onnx.

        Raises InputError if the file holds others than the network's.
        """
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False)
        load_released(self.network, path)

    def taught(self, batch: Batch, images: Tensor) -> Batch:
        """Return the batch with what the heads are to say of its images (N, 3, S, S)."""
        config = self.network.config
        with torch.no_grad():
            features = self.network.trunk(images)
            found = self.network.released_outputs(features)["landmarks"] * config.input_size
            joints = self.network.released_joints(features.pooled)
        of_photographs = batch.are_photographs[:, None, None]
        return replace(
            batch,
            taught_px=torch.where(of_photographs, found, batch.joints_px),
            taught=torch.where(of_photographs, joints, batch.joints / config.scale_m),
        )


def load_released(network: nn.Module, path: Path) -> None:
    """Give a mobile network the trunk and heads of a file of `cmr import-mediapipe`.

    Raises InputError if the file holds others than the network's.
    """
    trunk, heads = load_mediapipe(path)
    try:
        network.trunk.load_state_dict(trunk)
        if network.landmark_heads is not None:
            network.landmark_heads.load_state_dict(heads)
    except RuntimeError:
        raise InputError(f"{path}: a trunk of other widths than the network's") from None


def _said(
    heads: nn.Module, crop_head: nn.Module | None, features: TrunkFeatures
) -> tuple[Tensor, Tensor]:
    """Return presence and handedness (N, 1) by the crop head, if there is one."""
    with torch.autocast(features.pooled.device.type, enabled=False):
        if crop_head is not None:
            return crop_head(features.x16.float())
        found = heads(features.pooled.float())
    return found.presence, found.handedness


def known_answers(before: tuple[Tensor, Tensor], batch: Batch) -> tuple[Tensor, Tensor]:
    """Return presence and handedness (N, 1) to train for: the truth, else what was said before.

    Renders show right hands, and so do crops whose presence is known to be that of a hand.

    Args:
        before: presence and handedness (N, 1) that `ReleasedHeads` predicts.
        batch: the samples.
    """
    of_photographs = batch.are_photographs[:, None]
    presence, handedness = (torch.where(of_photographs, said, CERTAINTY) for said in before)
    if batch.presence is not None:
        known = batch.presence[:, None].to(presence.dtype)
        presence = torch.where(known.isnan(), presence, known)
        handedness = torch.where(known > 0.5, CERTAINTY, handedness)
    return presence, handedness


def are_answers_trained(network: nn.Module) -> bool:
    """Return whether what tells presence and handedness is trained in a mobile network."""
    head = network.crop_head or network.landmark_heads.presence
    return any(parameter.requires_grad for parameter in head.parameters())


def joint_loss(recovery: Recovery, batch: Batch, targets: Targets, size_px: int) -> Tensor:
    """Return how far landmarks and 3D joints of the released heads are from what is taught.

    Args:
        recovery: the prediction.
        batch: the samples, with what a `Teacher` says or without.
        targets: the truth.
        size_px: side of the crop.
    """
    joints_px = batch.joints_px if batch.taught_px is None else batch.taught_px
    joints = targets.joints if batch.taught is None else batch.taught
    landmarks = (recovery.landmarks - joints_px / size_px).abs().mean(dim=2)
    apart = (_centered(recovery.released) - _centered(joints)).abs().mean(dim=2)
    return ((landmarks + apart) / _UNIT * targets.weights).mean()


def answer_loss(recovery: Recovery, answers: tuple[Tensor, Tensor]) -> Tensor:
    """Return how far presence and handedness (N, 1) are from `known_answers`, a sum of means."""
    own = recovery.presence, recovery.handedness
    with torch.autocast(own[0].device.type, enabled=False):
        return sum(_entropy(now, then) for now, then in zip(own, answers, strict=True))


def mirrored_loss(
    network: nn.Module, before: ReleasedHeads, images: Tensor, are_photographs: Tensor
) -> Tensor:
    """Return how far handedness of mirrored images is from what it should be.

    Training shows right hands alone: else the head would learn to say "right" of everything.

    Args:
        network: the mobile network.
        before: what its trunk and heads were; what they say of mirrored photographs holds.
        images: (N, 3, S, S) as the trunk takes them.
        are_photographs: (N,) bool; all others are renders, left hands when they are mirrored.
    """
    mirrored = images.flip(3)
    now = _said(network.landmark_heads, network.crop_head, network.trunk(mirrored))[1]
    then = torch.where(are_photographs[:, None], before(mirrored)[1], 1 - CERTAINTY)
    with torch.autocast(images.device.type, enabled=False):
        return _entropy(now, then)


def _entropy(now: Tensor, then: Tensor) -> Tensor:
    return F.binary_cross_entropy(now.float().clamp(1e-6, 1 - 1e-6), then.float())


def _centered(points: Tensor) -> Tensor:
    return points - points.mean(dim=1, keepdim=True)
