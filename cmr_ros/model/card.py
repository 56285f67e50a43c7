"""The card of a model folder: what a network expects, what it answers and how good it is."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cmr_ros.errors import InputError
from cmr_ros.model.choices import CROPS, JOINT_CUES, CropKind, JointCue, Precision
from cmr_ros.model.heatmap import PUBLISHED_SIGMA_PX
from cmr_ros.registration import Noise

#: The outputs every network has, and those it may have besides.
REQUIRED_OUTPUTS = ("vertices", "heatmaps", "silhouette")
OPTIONAL_OUTPUTS = ("landmarks", "presence", "handedness")
#: Entries of `noise` by the names that cards up to version 0.1 gave them.
_OLD_NOISE = {
    "size": "length_log_sd",
    "growth": "length_log_mean",
    "pose": "scale_log_sd",
    "shape": "bend_strain",
}


@dataclass(frozen=True)
class ModelCard:
    """What `model.json` says of `model.onnx`."""

    name: str
    variant: str  # preset or architecture
    template_name: str
    crop: CropKind = "virtual"
    input_size: int = 224  # side of the crop in pixels
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)  # of RGB in [0, 1]
    std: tuple[float, ...] = (0.5, 0.5, 0.5)  # of RGB in [0, 1]
    scale_m: float = 0.20  # metres of one unit of the predicted vertices
    root_joint: int = 0  # the joint at the origin
    #: standard deviation of the peaks that the heatmaps were trained on, in crop pixels
    heatmap_sigma_px: float = PUBLISHED_SIGMA_PX
    outputs: tuple[str, ...] = REQUIRED_OUTPUTS
    #: side of the crop / longer side of the hand's box; None where the crop is placed by the palm
    crop_margin: float | None = None
    joint_cue: JointCue = "heatmaps"
    precision: Precision = "fp32"  # of the file's weights
    license: str = ""
    #: what registration is to assume of the meshes: entries of `registration.Noise`, else its own
    noise: dict[str, float] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)  # how to build the network in torch
    measured: dict[str, Any] = field(default_factory=dict)  # numbers with their names

    @classmethod
    def load(cls, path: Path | str) -> ModelCard:
        """Return the card in a JSON file; raises InputError if an entry is missing or wrong."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; a model folder has a model.json") from None
        except ValueError as error:
            raise InputError(f"{path}: not a JSON file ({error})") from None
        if not isinstance(values, dict):
            raise InputError(f"{path}: not the card of a model; `cmr export` writes one")
        known = {entry.name for entry in fields(cls)}
        needed = {entry.name for entry in fields(cls) if entry.default is MISSING} - {
            entry.name for entry in fields(cls) if entry.default_factory is not MISSING
        }
        for problem, names in (("unknown", set(values) - known), ("missing", needed - set(values))):
            if names:
                raise InputError(f"{path}: {problem} entry {min(names)!r}")
        for name in ("mean", "std", "outputs"):
            if not isinstance(values.get(name, []), list):
                raise InputError(f"{path}: entry {name!r} is {values[name]!r}, not a list")
            if name in values:
                values[name] = tuple(values[name])
        if isinstance(values.get("noise"), dict):
            values["noise"] = _by_new_names(values["noise"], path)
        card = cls(**values)
        card._check(path)
        return card

    def save(self, path: Path | str) -> None:
        """Write the card as JSON."""
        Path(path).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def _check(self, path: Path | str) -> None:
        wrong = {
            "crop": self.crop not in CROPS,
            "joint_cue": self.joint_cue not in JOINT_CUES
            or (self.joint_cue != "heatmaps" and "landmarks" not in self.outputs),
            "input_size": not _positive(self.input_size) or self.input_size % 1,
            "scale_m": not _positive(self.scale_m),
            "heatmap_sigma_px": not _positive(self.heatmap_sigma_px),
            "mean": len(self.mean) != 3 or not all(map(_is_number, self.mean)),
            "std": len(self.std) != 3 or not all(map(_positive, self.std)),
            "noise": not _is_noise(self.noise),
            "outputs": not set(REQUIRED_OUTPUTS) <= set(self.outputs),
        }
        for name, is_wrong in wrong.items():
            if is_wrong:
                raise InputError(f"{path}: entry {name!r} is {getattr(self, name)!r}")


def _by_new_names(noise: dict[str, Any], path: Path | str) -> dict[str, Any]:
    """Return the noise of a card of any version by the names of today."""
    for old, new in _OLD_NOISE.items():
        if old in noise and new in noise:
            raise InputError(f"{path}: entry 'noise' has both {old!r} and {new!r}, which are one")
    return {_OLD_NOISE.get(name, name): value for name, value in noise.items()}


def _is_noise(values: Any) -> bool:
    known = {entry.name for entry in fields(Noise)}
    return isinstance(values, dict) and all(
        name in known and _is_number(value) and (value >= 0 or name == "length_log_mean")
        for name, value in values.items()
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and value == value and abs(value) != float("inf")


def _positive(value: Any) -> bool:
    return _is_number(value) and value > 0
