"""Rendering through EGL and training, with what is left of the time.

`cmr synth` and `cmr train` run as a user would run them.  Training starts from the shipped weights;
what it ends with is kept if it is better than those on renders that neither has seen.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from cmr_ros.benchmark.gpu.networks import SHIPPED, model
from cmr_ros.benchmark.gpu.worker import Setting, Task
from cmr_ros.errors import CmrError
from cmr_ros.model import weights
from cmr_ros.model.template import HandTemplate
from cmr_ros.network.checkpoint import load_checkpoint, save_checkpoint
from cmr_ros.synthesis.shards import Shards
from cmr_ros.training.batches import RenderedSamples
from cmr_ros.training.release import trained_network
from cmr_ros.training.validation import validate

PLAN = "config/train_mobile_gpu.yaml"
#: Neither the seed of the shipped weights' training pictures nor that of their validation.
_TRAIN_SEED, _HELD_OUT_SEED = 911, 912
#: Share of the time for rendering, and seconds that comparing and exporting may take.
_RENDER_SHARE, _END_S = 0.4, 45
#: Lower is better, for both.
_DECISIVE = ("pa_mpjpe_mm", "pa_mpvpe_mm")
#: Shared memory that a worker's batches of 256 images take while they wait.
_WORKER_BYTES = 4 * 256 * (224 * 224 * 3 + 112 * 112)


@dataclass(frozen=True)
class Sizes:
    """How much is made: pictures, per shard, processes, batches."""

    held_out: int
    most: int
    shard: int
    jobs: int
    batch: int
    workers: int


def tasks(setting: Setting) -> list[Task]:
    """Return the tasks of this part; each needs what the ones before left."""
    run = _Run(setting)
    return [
        ("render held-out images", partial(run.render, "held_out")),
        ("render training images", partial(run.render, "train")),
        ("train, first epochs", run.train_first),
        ("train", run.train),
        ("compare on held-out images", run.compare),
        ("export", run.export),
    ]


class _Run:
    def __init__(self, setting: Setting):
        self.setting, self.folder = setting, setting.scratch
        cores = len(os.sched_getaffinity(0))
        if setting.rehearse:
            self.sizes = Sizes(held_out=4, most=8, shard=8, jobs=1, batch=4, workers=0)
        else:
            room = shutil.disk_usage("/dev/shm").free // _WORKER_BYTES
            workers = max(0, min(cores - 2, room))
            self.sizes = Sizes(1000, 1_000_000, 250, cores, 256, workers)
        #: Of the first epochs' run and of the longer one that goes on from it.
        self.runs = self.folder / "first", self.folder / "second"

    def render(self, name: str) -> dict:
        """Render a set; the training set as large as its share of the time allows."""
        sizes, held_out = self.sizes, name == "held_out"
        most_s = _RENDER_SHARE * (self.setting.seconds_left - _END_S)
        command = [
            "synth", "render", "--count", str(sizes.held_out if held_out else sizes.most),
            "--shard-size", str(sizes.shard), "--jobs", str(sizes.jobs), "-o",
            str(self.folder / name), "--seed", str(_HELD_OUT_SEED if held_out else _TRAIN_SEED),
        ]  # fmt: skip
        for option in ("skins", "hdri"):
            if (folder := getattr(self.setting, option)) is not None:
                command += [f"--{option}", str(folder)]
        start = time.perf_counter()
        _cmr(command, most_s)
        spent = time.perf_counter() - start
        count = len(Shards(self.folder / name))
        return {
            "images": count,
            "processes": sizes.jobs,
            "seconds": round(spent, 1),
            "images_per_s": round(count / spent, 1),
        }

    def train_first(self) -> dict:
        """Train few epochs from the shipped weights, which tells what an epoch takes."""
        start = self.folder / "shipped.pt"
        save_checkpoint(start, {"average": model(SHIPPED).runtime.network.state_dict()})
        return self._train(start, self.runs[0], 1 if self.setting.rehearse else 2)

    def train(self) -> dict:
        """Go on for as many epochs as the time that is left allows."""
        if self.setting.rehearse:
            return {"skipped": "the first epochs rehearse it"}
        seconds = [line["seconds"] for line in _validations(self.runs[0])]
        epoch_s = seconds[-1] - seconds[0] if len(seconds) > 1 else seconds[0]
        start_s = max(20.0, seconds[0] - epoch_s)
        epochs = int((self.setting.seconds_left - _END_S - start_s) / (1.1 * epoch_s))
        if epochs < 1:
            return {"skipped": f"no time is left for another epoch of {epoch_s:.0f} s"}
        return self._train(self.runs[0] / "last.pt", self.runs[1], epochs)

    def _train(self, start: Path, output: Path, epochs: int) -> dict:
        sizes, images = self.sizes, len(Shards(self.folder / "train"))
        changes = {
            "train": self.folder / "train", "validation": self.folder / "held_out",
            "template": weights.find(f"{weights.HAND_NETWORK}/template.npz"), "trunk": "null",
            "init": start, "output": output, "epochs": epochs,
            "batch_size": min(sizes.batch, images), "workers": sizes.workers,
            "warmup_steps": min(100, images // sizes.batch),
        }  # fmt: skip
        if self.setting.rehearse:
            changes |= {"threads": 1, "precision": "fp32"}
        command = ["train", PLAN]
        for name, value in changes.items():
            command += ["--set", f"{name}={value}"]
        _cmr(command, self.setting.seconds_left - _END_S / 2)
        lines = _validations(output)
        return {
            "epochs": len(lines),
            "images_seen": len(lines) * images,
            "seconds": lines[-1]["seconds"],
            "images_per_s": round(len(lines) * images / lines[-1]["seconds"], 1),
            "validations": lines,
        }

    def compare(self) -> dict:
        """Validate the shipped weights and the new ones on the same images."""
        renders = RenderedSamples(Shards(self.folder / "held_out"))
        template = HandTemplate.load(weights.find(f"{weights.HAND_NETWORK}/template.npz"))
        shipped = validate(
            model(SHIPPED).runtime.network.to(self.setting.device), renders, template
        )
        network = trained_network(self._last(), template)[1].to(self.setting.device)
        new = validate(network, renders, template)
        (self.folder / "better").write_text(str(all(new[n] < shipped[n] for n in _DECISIVE)))
        return {
            "images": len(renders),
            "shipped": {name: round(value, 3) for name, value in shipped.items()},
            "new": {name: round(value, 3) for name, value in new.items()},
            "better": (self.folder / "better").read_text() == "True",
        }

    def export(self) -> dict:
        """Write model folder and checkpoint to the output, if the new weights are better."""
        if self.setting.rehearse or (self.folder / "better").read_text() == "True":
            last, output = self._last(), self.setting.output
            # Half precision keeps the file small; what a run starts from need not be exact.
            state = load_checkpoint(last, ("average", "config", "metrics"))
            average = {name: _halved(value) for name, value in state["average"].items()}
            kept = {"average": average, "config": state["config"], "metrics": state["metrics"]}
            save_checkpoint(output / "checkpoint.pt", kept)
            shutil.copy(last.with_name("validation.png"), output)
            template = weights.find(f"{weights.HAND_NETWORK}/template.npz")
            _cmr(
                ["export", str(last), "--template", str(template), "-o", str(output / "model"),
                 "--precision", "compact", "--joint-cue", "mean"],
                self.setting.seconds_left - 2,
            )  # fmt: skip
            return {"kept": ["checkpoint.pt", "model"]}
        return {"kept": [], "why": "the shipped weights are better on these renders"}

    def _last(self) -> Path:
        for run in reversed(self.runs):
            if (run / "last.pt").exists():
                return run / "last.pt"
        raise CmrError("no epoch was finished")


def _halved(value: torch.Tensor) -> torch.Tensor:
    return value.half() if value.is_floating_point() else value


def _validations(run: Path) -> list[dict]:
    """Return the lines that a run of `cmr train` wrote after its epochs."""
    file = run / "validation.jsonl"
    if not file.exists():
        raise CmrError(f"{run.name}: no epoch was finished; see gpu.log")
    return [json.loads(line) for line in file.read_text().splitlines()]


def _cmr(arguments: list[str], most_s: float) -> None:
    """Run a command of `cmr`, its output to the log; out of time, it is interrupted.

    Raises CmrError if it fails by itself.
    """
    # In this process' group, so that whoever ends this part ends the command and its helpers, too.
    process = subprocess.Popen([sys.executable, "-m", "cmr_ros", *arguments])
    try:
        code = process.wait(timeout=max(most_s, 1))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return
    if code:
        raise CmrError(f"cmr {arguments[0]} ended with exit status {code}; see gpu.log")
