"""The training loop: epochs, validation, checkpoints, logs."""

from __future__ import annotations

import json
import math
import sys
import time
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset
from tqdm import tqdm

from cmr_ros.errors import CmrError, InputError
from cmr_ros.files.output import check_replaceable
from cmr_ros.files.pictures import write_picture
from cmr_ros.model.template import HandTemplate
from cmr_ros.network.build import build
from cmr_ros.network.checkpoint import load_checkpoint, save_checkpoint
from cmr_ros.network.config import NetworkConfig
from cmr_ros.synthesis.shards import Shards
from cmr_ros.training.average import Average
from cmr_ros.training.batches import Batch, RenderedSamples, loader, shuffled
from cmr_ros.training.features import cached
from cmr_ros.training.heads import Teacher, load_released
from cmr_ros.training.objective import Objective
from cmr_ros.training.plan import TrainingPlan
from cmr_ros.training.processes import Processes
from cmr_ros.training.release import exported_weights
from cmr_ros.training.validation import pictures, validate

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_STATE = ("network", "average", "optimizer", "scaler", "epoch", "metrics", "config")
#: Steps between two looks at the losses, which make a GPU wait.
_REPORT_STEPS = 20
_PICTURES = 12


class Training:
    """A run of a plan, in one of `processes`; `run` does the work.

    What happens in an epoch depends on the plan and the epoch's number alone, so that a run that
    was interrupted and resumed ends where an uninterrupted one does.
    """

    def __init__(self, plan: TrainingPlan, processes: Processes):
        self.plan, self.processes = plan, processes
        torch.set_num_threads(plan.threads)
        torch.manual_seed(plan.seed)
        self.config = plan.network_config
        self.template = HandTemplate.load(plan.template)
        self.network = _new_network(plan, self.config, self.template, processes.leads)
        self.network.to(processes.device)
        self.average = Average(self.network, plan.ema)
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            _groups(self.network, plan.trunk_rate), plan.learning_rate,
            weight_decay=plan.weight_decay,
        )  # fmt: skip
        on_gpu = processes.device.type == "cuda"
        self.scaler = torch.amp.GradScaler(enabled=on_gpu and plan.precision == "fp16")
        teacher = Teacher(self.network, plan.teacher) if plan.teacher else None
        objective = Objective(
            self.network, self.template, plan.losses, plan.head_error, plan.augment, teacher
        )
        self.objective: nn.Module = objective.to(processes.device)
        if processes.count > 1:
            self.objective = DistributedDataParallel(
                self.objective, device_ids=[processes.device.index] if on_gpu else None
            )
        self.epoch = 0
        self.metrics: dict[str, float] = {}
        self.renders = RenderedSamples(Shards(plan.validation))
        self.samples = self._samples("train", RenderedSamples(Shards(*plan.train), plan.limit))
        self.held_out = self._samples("validation", self.renders)
        self.steps = len(self.samples) // processes.count // plan.batch_size
        if not self.steps:
            raise InputError(
                f"{len(self.samples)} samples do not fill a batch of {plan.batch_size} "
                f"in each of {processes.count} processes"
            )

    @property
    def checkpoint(self) -> Path:
        """Where the state after the last finished epoch lies."""
        return self.plan.output / "last.pt"

    def resume(self) -> None:
        """Go on after the last finished epoch.  Raises InputError if the checkpoint is unfit."""
        state = load_checkpoint(self.checkpoint, _STATE)
        if state["config"] != json.dumps(self.config.to_dict()):
            raise InputError(f"{self.checkpoint}: of another network than the plan's")
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.epoch, self.metrics = state["epoch"], state["metrics"]

    def run(self) -> dict[str, float]:
        """Train the remaining epochs and return the last validation."""
        while self.epoch < self.plan.epochs:
            self.train_epoch()
        return self.metrics

    def train_epoch(self) -> None:
        """Train one epoch, validate, and save the state that `resume` reads."""
        self._train()
        self.epoch += 1
        if self.processes.leads:
            self._validate()
            self._save()
        self.processes.wait()

    @cached_property
    def _log(self) -> _Log:
        return _Log(self.plan.output)

    def _train(self) -> None:
        plan, processes = self.plan, self.processes
        self.objective.train()
        torch.manual_seed(_seed_of(plan.seed, self.epoch, processes.rank))
        batches = shuffled(
            len(self.samples), plan.batch_size, plan.seed, self.epoch, processes.rank,
            processes.count,
        )  # fmt: skip
        progress = tqdm(
            loader(self.samples, batches, plan.workers),
            desc=f"epoch {self.epoch + 1}/{plan.epochs}",
            disable=not processes.leads,
        )
        for index, batch in enumerate(progress):
            step = self.epoch * self.steps + index
            losses = self._step(batch.to(processes.device), step)
            if step % _REPORT_STEPS == 0:
                total = sum(losses.values()).item()
                if not math.isfinite(total):
                    raise CmrError(f"the loss is {total} at step {step}; lower learning_rate")
                progress.set_postfix(loss=f"{total:.4f}")
                if processes.leads:
                    self._log.losses(losses, self._rate(step), step)

    def _step(self, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        plan, device = self.plan, self.processes.device.type
        for group in self.optimizer.param_groups:
            group["lr"] = group["share"] * self._rate(step)
        with torch.autocast(device, _DTYPES[plan.precision], enabled=plan.precision != "fp32"):
            losses = self.objective(batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(sum(losses.values())).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.parameters, plan.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.average.update(self.network, step)
        return {name: value.detach() for name, value in losses.items()}

    def _rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        plan = self.plan
        rise = min((step + 1) / plan.warmup_steps, 1) if plan.warmup_steps else 1
        if plan.schedule == "cosine":
            fall = 0.5 + 0.5 * math.cos(math.pi * step / (plan.epochs * self.steps))
        else:
            fall = 0.1 ** sum(step >= epoch * self.steps for epoch in plan.step_epochs)
        return plan.learning_rate * rise * fall

    def _validate(self) -> None:
        average, plan = self.average.network, self.plan
        self.metrics = validate(average, self.held_out, self.template, plan.workers)
        self._log.validation(
            self.metrics, pictures(average, self.renders, self.template, _PICTURES), self.epoch
        )

    def _save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epoch": self.epoch,
            "metrics": self.metrics,
            "config": json.dumps(self.config.to_dict()),
        }
        save_checkpoint(self.checkpoint, state)

    def _samples(self, name: str, renders: RenderedSamples) -> Dataset:
        plan, processes = self.plan, self.processes
        if not plan.cache:
            return renders
        # The first process computes what is missing, the others find it there.
        for turn in (processes.leads, not processes.leads):
            if turn:
                trunk, folder = self.network.trunk, plan.cache / name
                samples = cached(trunk, renders, folder, plan.workers, processes.leads)
            processes.wait()
        return samples


def _seed_of(*numbers: int) -> int:
    """Return a seed that depends on all numbers and shares no stream with other numbers' seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def _new_network(
    plan: TrainingPlan, config: NetworkConfig, template: HandTemplate, report: bool
) -> nn.Module:
    network = build(config, template)
    if plan.init:
        taken, count = _start_from(network, plan.init, plan.fresh), len(network.state_dict())
        if report:
            tqdm.write(f"{taken} of {count} arrays start from {plan.init}", file=sys.stderr)
    if plan.trunk:
        load_released(network, plan.trunk)
    if plan.frozen:
        network.trunk.requires_grad_(False)
    elif plan.losses.heads:
        network.landmark_heads.requires_grad_(True)
        if network.crop_head is not None:
            network.crop_head.requires_grad_(not plan.keeps_crop_heads)
            # It answers in their place.
            for head in (network.landmark_heads.presence, network.landmark_heads.handedness):
                head.requires_grad_(False)
    if plan.frozen_stages:
        for part in (network.trunk.stem, *network.trunk.stages[: plan.frozen_stages]):
            part.requires_grad_(False)
    return network


def _groups(network: nn.Module, trunk_rate: float) -> list[dict]:
    """Return the optimiser's groups of parameters, each with its share of the learning rate."""
    groups: dict[float, list[nn.Parameter]] = {1.0: [], trunk_rate: []}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            slow = name.startswith(("trunk.", "landmark_heads.", "crop_head."))
            groups[trunk_rate if slow else 1.0].append(parameter)
    return [{"params": some, "share": share} for share, some in groups.items() if some]


def _start_from(network: nn.Module, source: Path, fresh: tuple[str, ...]) -> int:
    """Take over those averaged weights of another run that fit, and return how many do.

    source: a checkpoint or a model folder.  Raises InputError if nothing in it fits, or if it has
    a crop head that the network has not.
    """
    unknown = sorted(set(fresh) - {name for name, _ in network.named_children()})
    if unknown:
        raise InputError(f"fresh: {unknown[0]!r} is no part of the network")
    if source.is_dir():
        weights = exported_weights(source)
    else:
        weights = load_checkpoint(source, ("average",))["average"]
    own = network.state_dict()
    head = "crop_head.layers.0.weight"
    stored = weights[head] if head in weights and "crop_head" not in fresh else None
    if stored is not None and (head not in own or len(own[head]) != len(stored)):
        raise InputError(
            f"{source} has a crop head of {len(stored)}; set network: {{crop_head: {len(stored)}}}"
        )
    taken = {
        name: values
        for name, values in weights.items()
        if name.split(".")[0] not in fresh and name in own and own[name].shape == values.shape
    }
    if not taken:
        raise InputError(f"{source}: nothing in it fits the network")
    network.load_state_dict(own | taken)
    return len(taken)


class _Log:
    """TensorBoard's events, and the validations as JSON lines and pictures beside them."""

    def __init__(self, folder: Path):
        from torch.utils.tensorboard import SummaryWriter

        self.folder, self.start = folder, time.monotonic()
        self.writer = SummaryWriter(str(folder / "log"))

    def losses(self, losses: dict[str, torch.Tensor], rate: float, step: int) -> None:
        for name, value in losses.items():
            self.writer.add_scalar(f"loss/{name}", value.item(), step)
        self.writer.add_scalar("loss/total", sum(losses.values()).item(), step)
        self.writer.add_scalar("rate", rate, step)

    def validation(self, metrics: dict[str, float], picture: np.ndarray, epoch: int) -> None:
        for name, value in metrics.items():
            self.writer.add_scalar(f"validation/{name}", value, epoch)
        self.writer.add_image("validation", picture, epoch, dataformats="HWC")
        self.writer.flush()
        write_picture(self.folder / "validation.png", picture)
        line = {"epoch": epoch} | {name: round(value, 4) for name, value in metrics.items()}
        line["seconds"] = round(time.monotonic() - self.start, 1)
        lines = self.folder / "validation.jsonl"
        check_replaceable(lines, b"{")
        with open(lines, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        text = "  ".join(f"{name} {value:.3g}" for name, value in line.items())
        tqdm.write(text, file=sys.stderr)
