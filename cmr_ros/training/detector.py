"""Trains the hand detector."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss
from tqdm import tqdm

from cmr_ros.network.checkpoint import load_checkpoint, save_checkpoint
from cmr_ros.network.detector import HandDetector
from cmr_ros.training.average import Average
from cmr_ros.training.detector_data import SceneSources, batches
from cmr_ros.training.detector_start import exported_convolutions, start_from

#: Weights of the losses: score, place, side, direction, handedness.
_WEIGHTS = (1.0, 0.3, 1.0, 1.0, 0.2)
_SAVE_EVERY = 500
_WARM_UP = 300
#: Of a checkpoint, beside the step.
_PARTS = ("network", "average", "optimizer")


@dataclass(frozen=True)
class DetectorPlan:
    """How to train a detector: steps of batch_size images each, made by `jobs` processes.

    start: of the exported detector to go on from; None: from nothing.
    """

    output: Path
    sources: SceneSources = field(default_factory=SceneSources)
    steps: int = 20000
    batch_size: int = 8
    learning_rate: float = 3e-3
    jobs: int = 1
    seed: int = 0
    start: Path | None = None


def train(plan: DetectorPlan) -> Path:
    """Train as planned, from where an earlier run stopped; return the path of the ONNX file.

    The output folder's checkpoint.pt may have been trained with other steps and sources.  Raises
    InputError for a detector to go on from that is none.
    """
    torch.manual_seed(plan.seed)
    network = HandDetector().to(memory_format=torch.channels_last)
    exported = exported_convolutions(plan.start, network) if plan.start else None
    optimizer = torch.optim.AdamW(network.parameters(), plan.learning_rate, weight_decay=1e-3)
    checkpoint = plan.output / "checkpoint.pt"
    state = load_checkpoint(checkpoint, (*_PARTS, "step")) if checkpoint.exists() else {"step": 0}
    start = state["step"]
    made = batches(plan.sources, plan.batch_size, plan.jobs, [plan.seed, start])
    if exported and not start:
        start_from(exported, network, next(made)[0])
    average = Average(network, 0.998)
    parts = dict(zip(_PARTS, (network, average.network, optimizer), strict=True))
    if start:
        for name, part in parts.items():
            part.load_state_dict(state[name])
    with tqdm(range(start, plan.steps), unit="step", initial=start, total=plan.steps) as progress:
        for step, (pictures, targets) in zip(progress, made, strict=False):
            for group in optimizer.param_groups:
                group["lr"] = plan.learning_rate * _share_of_rate(step, plan.steps)
            loss = detection_loss(network(pictures), *targets)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            average.update(network, step)
            progress.set_postfix(loss=f"{loss.item():.3f}")
            if (step + 1) % _SAVE_EVERY == 0 or step + 1 == plan.steps:
                states = {name: part.state_dict() for name, part in parts.items()}
                save_checkpoint(checkpoint, states | {"step": step + 1})
    return export(average.network, plan.output)


def _share_of_rate(step: int, steps: int) -> float:
    """Return a step's learning rate by the highest: a short rise, then half a cosine."""
    return min((step + 1) / _WARM_UP, (1 + math.cos(math.pi * step / steps)) / 2)


def detection_loss(
    cells: torch.Tensor, heat: torch.Tensor, share: torch.Tensor, goals: torch.Tensor
) -> torch.Tensor:
    """Return the loss of a batch of maps.

    Args:
        cells: (N, 7, h, w), the network's answer.
        heat: (N, h, w), see `targets`.
        share: (N, h, w), likewise.
        goals: (N, 6, h, w), likewise.
    """
    likely = torch.sigmoid(cells[:, 0]).clamp(1e-5, 1 - 1e-5)
    peaks = heat > 0.999
    # Focal loss that spares a peak's neighbours, as in CenterNet.
    on = -((1 - likely) ** 2 * likely.log())[peaks].sum()
    off = -((1 - heat) ** 4 * likely**2 * (1 - likely).log())[~peaks].sum()

    def apart(channels: slice) -> torch.Tensor:
        told, true = cells[:, 1:7][:, channels], goals[:, channels]
        error = smooth_l1_loss(told, true, reduction="none", beta=0.2).sum(dim=1)
        return (error * share).sum() / share.sum().clamp(min=1)

    known = share * (goals[:, 5] >= 0)
    side = binary_cross_entropy_with_logits(cells[:, 6], goals[:, 5].clamp(min=0), reduction="none")
    parts = (
        (on + off) / peaks.sum().clamp(min=1),
        apart(slice(0, 2)),
        apart(slice(2, 3)),
        apart(slice(3, 5)),
        (side * known).sum() / known.sum().clamp(min=1),
    )
    return sum(weight * part for weight, part in zip(_WEIGHTS, parts, strict=True))


class _OfPictures(nn.Module):
    """The network with its input as cameras deliver it: (N, H, W, 3) uint8."""

    def __init__(self, network: HandDetector):
        super().__init__()
        self.network = network

    def forward(self, image):
        return self.network(image.permute(0, 3, 1, 2).float() / 255)


def export(network: HandDetector, folder: Path) -> Path:
    """Write hand_detection.onnx for pictures of any size; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "hand_detection.onnx"
    sizes = {0: "count", 1: "height", 2: "width"}
    torch.onnx.export(
        _OfPictures(network.cpu()).eval(),
        (torch.zeros(1, 320, 320, 3, dtype=torch.uint8),),
        str(path),
        input_names=["image"],
        output_names=["map"],
        dynamic_axes={"image": sizes, "map": {0: "count", 2: "rows", 3: "columns"}},
        opset_version=17,
        dynamo=False,
    )
    return path
