"""Gives a mobile network heads of our own, trained on crops by themselves; all else stays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from cmr_ros.errors import InputError
from cmr_ros.model.card import ModelCard
from cmr_ros.model.template import HandTemplate
from cmr_ros.network.build import build
from cmr_ros.network.config import NetworkConfig
from cmr_ros.network.crop_head import CropHead
from cmr_ros.network.engine import stored_network
from cmr_ros.network.export import export
from cmr_ros.synthesis.shards import Shards
from cmr_ros.training import region_head
from cmr_ros.training.augment import BADLY, augmented
from cmr_ros.training.batches import RenderedSamples, in_order
from cmr_ros.training.descent import descend
from cmr_ros.training.heads import ReleasedHeads, known_answers
from cmr_ros.training.objective import network_images

#: One of so many samples, drawn at random, is not trained on, but measured.
_HELD_OUT = 8
#: Crops that the trunk sees at once.
_SHOWN = 32
#: Of the held-out crops without a hand this share may be taken for hands.
_FALSE = 0.005


@dataclass(frozen=True)
class CropHeadPlan:
    """How to train a crop head and a region head.

    What a sample's answer is, `heads.known_answers` says: what is known of it, and what the model
    has said so far of photographs of which nothing is known.
    """

    model: Path  # model folder
    samples: tuple[Path, ...]  # folders of shards (`cmr synth proposals`, `cmr label`, ...)
    output: Path  # model folder to write
    channels: int = 128  # of each head
    epochs: int = 12
    seed: int = 0


def train(plan: CropHeadPlan) -> str:
    """Train as planned, write the model folder, and return what was measured, in words.

    Raises InputError for a model without a trunk of this package's kind, or samples that are none.
    """
    card = ModelCard.load(plan.model / "model.json")
    template = HandTemplate.load(plan.model / "template.npz")
    before = stored_network(plan.model / "model.onnx", card, template).network
    if before.config.encoder != "mobile" or not before.config.landmark_heads:
        raise InputError(f"{plan.model}: no mobile network with a presence; give another model")
    torch.manual_seed(plan.seed)
    network = _with_heads(before, plan.channels, template)
    earlier = ReleasedHeads(before).eval().to(memory_format=torch.channels_last)
    crops = _look(earlier, plan, before.config)
    held_out = torch.randperm(len(crops.answers)) % _HELD_OUT == 0
    taught, crops = crops[~held_out], crops[held_out]
    fit(network.crop_head, taught, plan.epochs)
    region_head.fit(network.region_head, taught.maps, taught.regions, plan.epochs)
    export(
        network, template, replace(card, network=network.config.to_dict()), plan.output,
        card.precision,
    )  # fmt: skip
    told = region_head.describe(network.region_head, crops.maps, crops.regions)
    return f"{describe(network.crop_head, crops)}\n{told}"


@dataclass(frozen=True, eq=False)
class SeenCrops:
    """What the trunk makes of N crops, and what is to be said of them."""

    #: (3, N, C, h, w) in half precision: of the image as it is, changed at random, and changed as
    #: well as badly placed.
    maps: Tensor
    mirrored: Tensor  # (N,) bool, whether the changed images are
    regions: Tensor  # (3, N, 6) of the hand in these images, see `region_head.truth`
    answers: Tensor  # (N, 2) presence and handedness of the image as it is
    are_hands: Tensor  # (N,) bool, whether handedness means something
    said: Tensor  # (2, N, 2) what the model has said so far of the first two images

    def __getitem__(self, chosen: Tensor) -> SeenCrops:
        return SeenCrops(
            self.maps[:, chosen], self.mirrored[chosen], self.regions[:, chosen],
            self.answers[chosen], self.are_hands[chosen], self.said[:, chosen],
        )  # fmt: skip


def describe(head: CropHead, crops: SeenCrops) -> str:
    """Return in words how right a head is, and the model before it was.

    Presence is that of images as they are, the side that of changed ones: half are mirrored.
    """
    is_hand, sided = crops.answers[:, 0] > 0.5, crops.are_hands
    is_right = (crops.answers[sided, 1] > 0.5) ^ crops.mirrored[sided]
    lines = [
        f"{len(is_hand)} crops held out; with {100 * _FALSE:g} % of what is no hand taken for one:"
    ]
    now = torch.stack([_probabilities(head, maps) for maps in crops.maps[:2]])
    for name, (plain, changed) in (("so far", crops.said), ("now", now)):
        right = ((changed[sided, 1] > 0.5) == is_right).float().mean()
        lines.append(
            f"  {name}: {_recall(plain[:, 0], is_hand):.3f} of {is_hand.sum()} hands; "
            f"the right side of {right:.3f} of {sided.sum()}"
        )
    return "\n".join(lines)


def _with_heads(network: nn.Module, channels: int, template: HandTemplate) -> nn.Module:
    """Return the network with new heads."""
    new = build(replace(network.config, crop_head=channels, region_head=channels), template)
    heads = ("crop_head.", "region_head.")
    stored = {n: v for n, v in network.state_dict().items() if not n.startswith(heads)}
    new.load_state_dict(new.state_dict() | stored)
    return new


@torch.no_grad()
def _look(before: ReleasedHeads, plan: CropHeadPlan, config: NetworkConfig) -> SeenCrops:
    """Return what the trunk makes of all samples; images that are changed may be mirrored, too."""
    maps, mirrored, regions, answers, are_hands, said = [], [], [], [], [], []
    samples = RenderedSamples(Shards(*plan.samples))
    for indices in tqdm(in_order(len(samples), _SHOWN), desc="look", unit="batch"):
        batch = samples[indices]
        views = batch, augmented(batch), augmented(batch, BADLY)
        flipped = torch.rand(len(batch)) < 0.5
        images = [network_images(view, config) for view in views]
        for number in (1, 2):
            turned = images[number].flip(3)
            images[number] = torch.where(flipped[:, None, None, None], turned, images[number])
        seen = [before.trunk(image) for image in images]
        known = known_answers(before.of_features(seen[0]), batch)
        maps.append(torch.stack([one.x16 for one in seen]).half())
        mirrored.append(flipped)
        true = [region_head.truth(view, flipped & (n > 0)) for n, view in enumerate(views)]
        regions.append(torch.stack(true))
        answers.append(torch.cat(known, dim=1))
        are_hands.append((batch.weights > 0).any(dim=1) | (batch.presence > 0.5))
        said.append(torch.stack([torch.cat(before.of_features(one), dim=1) for one in seen[:2]]))
    return SeenCrops(
        torch.cat(maps, dim=1), torch.cat(mirrored), torch.cat(regions, dim=1),
        torch.cat(answers), torch.cat(are_hands), torch.cat(said, dim=1),
    )  # fmt: skip


def fit(head: CropHead, crops: SeenCrops, epochs: int) -> None:
    """Train a head on crops as they are and changed, one of both drawn each time."""

    def loss_of(rows: Tensor) -> Tensor:
        changed = torch.randint(2, (len(rows),))
        presence, right = crops.answers[rows].unbind(dim=1)
        right = torch.where((changed > 0) & crops.mirrored[rows], 1 - right, right)
        told = head.logits(crops.maps[changed, rows].float())
        sided = crops.are_hands[rows].float()
        loss = F.binary_cross_entropy_with_logits(told[:, 0], presence)
        return loss + F.binary_cross_entropy_with_logits(told[:, 1], right, sided)

    descend(head, len(crops.answers), epochs, loss_of, "fit")


@torch.no_grad()
def _probabilities(head: CropHead, maps: Tensor) -> Tensor:
    return torch.cat([torch.cat(head(part.float()), dim=1) for part in maps.split(_SHOWN)])


def _recall(found: Tensor, is_hand: Tensor) -> float:
    """Return the share of hands above what all but `_FALSE` of the others stay below."""
    if is_hand.all() or not is_hand.any():
        return float("nan")
    others = np.sort(found[~is_hand].numpy())
    threshold = others[-1 - int(_FALSE * len(others))]
    return float((found[is_hand] > threshold).float().mean())
