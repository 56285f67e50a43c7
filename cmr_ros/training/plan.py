"""The settings of a training run: a YAML file, checked before anything is computed."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from cmr_ros.errors import InputError
from cmr_ros.files.untrusted import read_yaml, reading
from cmr_ros.model.heatmap import PUBLISHED_SIGMA_PX
from cmr_ros.network.config import NetworkConfig, preset
from cmr_ros.network.losses import LossWeights
from cmr_ros.network.trunk import X16_STAGES

T = TypeVar("T")
_PRECISIONS = ("fp32", "bf16", "fp16")
_SCHEDULES = ("cosine", "step")
_AUGMENTED = ("nothing", "photographs", "all")
_REMEDY = "give a plan such as those in config/"


@dataclass(frozen=True)
class TrainingPlan:
    """A run of `cmr train`."""

    # Data.
    train: tuple[Path, ...]  # folders of shards (`cmr synth`, `cmr label`)
    validation: Path  # folder of shards
    template: Path  # template.npz of the hand
    output: Path  # folder for checkpoints, logs and pictures
    limit: int | None = None  # use the first so many samples alone
    workers: int = 2  # processes that read ahead
    augment: str = "nothing"  # or photographs or all: images to change at random (`augment`)

    # Network.
    preset: str = "sg_resnet18"  # its name
    #: entries that differ from the preset, at any depth
    network: dict[str, Any] = field(default_factory=dict)
    trunk: Path | None = None  # landmark_full.onnx, where a mobile network starts
    frozen: bool = False  # keep that trunk as it is
    frozen_stages: int = 0  # or its first stages alone, by their number, and what comes before them
    #: landmark_full.onnx, too: what its heads say of photographs the network's are to say as well
    teacher: Path | None = None
    trunk_rate: float = 1.0  # share of the learning rate that trunk and released heads get
    #: folder for the frozen trunk's features, computed once; None: they are computed each time
    cache: Path | None = None
    #: checkpoint of another run whose averaged weights to start from, or a model folder; what does
    #: not fit starts from scratch
    init: Path | None = None
    fresh: tuple[str, ...] = ()  # parts (encoder, decoder, ...) that start from scratch anyway

    # Targets.
    sigma_px: float = PUBLISHED_SIGMA_PX  # standard deviation of the heatmaps' peaks, crop pixels
    losses: LossWeights = LossWeights()
    head_error: float = 0.5  # least share of the released head's 3D error to train a nudge with

    # Steps.
    epochs: int = 38
    batch_size: int = 32  # of one process
    learning_rate: float = 1e-4  # Adam's, the highest
    weight_decay: float = 0.0
    clip_norm: float = 10.0  # of the gradient
    warmup_steps: int = 0  # in which the rate rises linearly
    schedule: str = "step"  # how the rate falls then: `cosine`, or by ten at each of step_epochs
    step_epochs: tuple[int, ...] = (30,)
    ema: float = 0.999  # decay of the averaged weights, which are validated and exported

    # Machine.
    precision: str = "fp32"  # or bf16 or fp16, used where it is safe
    threads: int = 2  # of the CPU
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in (
            ("precision", _PRECISIONS), ("schedule", _SCHEDULES), ("augment", _AUGMENTED),
        ):  # fmt: skip
            if getattr(self, name) not in choices:
                raise InputError(f"{name} {getattr(self, name)!r}: choose from {choices}")
        for name in ("epochs", "batch_size", "learning_rate", "threads", "clip_norm", "sigma_px"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name} {getattr(self, name)}: must be positive")
        if self.limit is not None and self.limit <= 0:
            raise InputError(f"limit {self.limit}: must be positive")
        for name in (
            "workers", "frozen_stages", "trunk_rate", "weight_decay", "warmup_steps", "seed",
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise InputError(f"{name} {getattr(self, name)}: must not be negative")
        if not 0 <= self.head_error <= 1:
            raise InputError(f"head_error {self.head_error}: must lie in 0 to 1")
        if not 0 <= self.ema < 1:
            raise InputError(f"ema {self.ema}: must lie in 0 to 1, 1 excluded")
        is_mobile = self.network_config.encoder == "mobile"
        if not is_mobile and (self.frozen or self.frozen_stages or self.trunk):
            raise InputError(f"{self.preset!r} has no trunk to start from or to freeze")
        with_heads = is_mobile and self.network_config.landmark_heads
        if with_heads and not self.frozen and not self.losses.heads:
            raise InputError(
                "a trunk that is trained leaves its released heads behind; set losses: {heads: 1}, "
                "network: {landmark_heads: false}, or frozen: true"
            )
        nudged = self.network_config.nudge and self.network_config.decoder.start
        if self.losses.heads and (self.frozen or not with_heads or not nudged):
            raise InputError(
                "losses: heads are trained with their trunk alone, in a network with a nudge; "
                "set heads: 0"
            )
        if self.teacher and not self.losses.heads:
            raise InputError("teacher: it teaches the released heads; set losses: {heads: 0.5}")
        if self.network_config.region_head and not self.keeps_crop_heads:
            raise InputError(
                "region_head: it would not fit a trunk that is trained; set network: "
                "{region_head: 0} and let `cmr train-head` make one afterwards, or frozen_stages: 3"
            )
        if self.cache and (self.augment != "nothing" or not self.frozen):
            raise InputError("cache: features are kept only while trunk and images stay the same")

    @property
    def keeps_crop_heads(self) -> bool:
        """Whether crop and region head stay: the maps that they see, at a 16th, do not change."""
        return self.frozen or self.frozen_stages >= X16_STAGES

    @property
    def network_config(self) -> NetworkConfig:
        """The preset with the plan's changes."""
        values = preset(self.preset).to_dict() | {"heatmap_sigma_px": self.sigma_px}
        return NetworkConfig.from_dict(_merged(values, self.network))


def load_plan(path: Path | str, **changes: Any) -> TrainingPlan:
    """Return the plan in a YAML file, with changes; relative paths start at the current folder.

    The entry `extends` names another plan, relative to the file itself, whose entries hold unless
    the file has its own; so do the single entries of `losses` and `network`.  Raises InputError
    for a file, name or value that cannot be used.
    """
    values = _merged(_read(Path(path)), changes)
    with reading(path, "plan", _REMEDY):
        return _build(TrainingPlan, values)


def _read(path: Path, extended_by: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return the entries of a YAML file and of the plans that it extends."""
    values = read_yaml(path, _REMEDY)
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected names and values")
    base = values.pop("extends", None)
    if base is None:
        return values
    extended_by = (*extended_by, path.resolve())
    base = path.parent / str(base)
    if base.resolve() in extended_by:
        raise InputError(f"{path}: extends {base}, which extends it; name another plan")
    return _merged(_read(base, extended_by), values)


def _merged(values: Any, changes: Any) -> Any:
    """Return values with changes, at any depth of names; what is no mapping is replaced."""
    if not isinstance(values, dict) or not isinstance(changes, dict):
        return changes
    return values | {name: _merged(values.get(name), change) for name, change in changes.items()}


def _build(kind: type[T], values: dict[str, Any]) -> T:
    """Return a dataclass of plain values, those nested in it included."""
    hints = get_type_hints(kind)
    if unknown := sorted(set(values) - set(hints), key=str):
        raise InputError(f"unknown entry {unknown[0]!r}; known are {', '.join(hints)}")
    needed = {
        entry.name
        for entry in fields(kind)
        if entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
    }
    if missing := sorted(needed - set(values)):
        raise InputError(f"entry {missing[0]!r} is missing")
    return kind(**{name: _convert(name, hints[name], value) for name, value in values.items()})


def _convert(name: str, hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise InputError(f"{name}: expected names and values")
        return _build(hint, value)
    for kind in (Path, int, str):
        if hint == kind | None:
            return None if value is None else _convert(name, kind, value)
        if hint == tuple[kind, ...]:
            entries = value if isinstance(value, list) else [value]
            return tuple(_convert(name, kind, entry) for entry in entries)
    if hint is Path:
        return Path(str(value)).expanduser()
    if hint is float and not isinstance(value, bool):
        try:
            number = float(value)  # YAML takes 1e-4 for a text
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise InputError(f"{name}: {value!r} is not a number")
        return number
    if hint in (int, float, bool, str) and type(value) is not hint:
        raise InputError(f"{name}: {value!r} is not of type {hint.__name__}")
    return value
