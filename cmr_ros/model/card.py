"""The card of a model folder: what a network expects, what it answers and how good it is."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cmr_ros.errors import InputError
from cmr_ros.files.output import write_bytes
from cmr_ros.files.untrusted import read_json
from cmr_ros.model.choices import CROPS, JOINT_CUES, PRECISIONS, CropKind, JointCue, Precision
from cmr_ros.model.heatmap import PUBLISHED_SIGMA_PX
from cmr_ros.registration import Noise

_LARGEST_FILE = 1 << 20
#: The outputs every network has, and those it may have besides.
REQUIRED_OUTPUTS = ("vertices", "heatmaps", "silhouette")
OPTIONAL_OUTPUTS = ("landmarks", "presence", "handedness", "region")
#: What registration can compute with: standard deviations, but for two entries.
_SD_RANGE = (1e-6, 10.0)
_NOISE_RANGES = {"length_log_mean": (-3.0, 3.0), "scale_log_sd": (0.0, 10.0)}
#: What a card without `noise` means for who uses the model.
UNMEASURED = (
    "how far its meshes are off has not been measured, so its covariances are far too small: "
    "`cmr benchmark noise --model FOLDER --renders DIR --write`"
)
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
    #: score that new hands must reach where those that are followed must reach 0.5
    new_hand_score: float = 0.79
    precision: Precision = "fp32"  # of the file's weights
    license: str = ""
    #: what registration is to assume of the meshes: entries of `registration.Noise`, else its own
    noise: dict[str, float] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)  # how to build the network in torch
    measured: dict[str, Any] = field(default_factory=dict)  # numbers with their names

    @classmethod
    def load(cls, path: Path | str) -> ModelCard:
        """Return the card in a JSON file; raises InputError if an entry is missing or wrong."""
        values = read_json(path, "a model folder has a model.json", _LARGEST_FILE)
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
        """Write the card as JSON; raises InputError, and writes nothing, if `load` would."""
        self._check(path)
        write_bytes(path, (json.dumps(asdict(self), indent=2) + "\n").encode())

    def _check(self, path: Path | str) -> None:
        types: dict[str, type] = dict.fromkeys(("name", "variant", "template_name", "license"), str)
        types |= dict.fromkeys(("network", "measured"), dict)
        is_right = {name: isinstance(getattr(self, name), kind) for name, kind in types.items()}
        is_right |= {
            "crop": self.crop in CROPS,
            "joint_cue": self.joint_cue in JOINT_CUES
            and (self.joint_cue == "heatmaps" or "landmarks" in self.outputs),
            "precision": self.precision in PRECISIONS,
            "input_size": isinstance(self.input_size, int) and _within(self.input_size, 16, 1024),
            "root_joint": isinstance(self.root_joint, int) and _within(self.root_joint, 0, 1000),
            "scale_m": _within(self.scale_m, 1e-3, 1e3),
            "heatmap_sigma_px": _within(self.heatmap_sigma_px, 1e-2, 1e3),
            "crop_margin": self.crop_margin is None or _within(self.crop_margin, 0.5, 10),
            "new_hand_score": _within(self.new_hand_score, 0.5, 1 - 1e-6),
            "mean": len(self.mean) == 3 and all(_within(one, -1e3, 1e3) for one in self.mean),
            "std": len(self.std) == 3 and all(_within(one, 1e-3, 1e3) for one in self.std),
            "noise": _is_noise(self.noise),
            "outputs": all(isinstance(one, str) for one in self.outputs)
            and set(REQUIRED_OUTPUTS) <= set(self.outputs),
        }
        for name, right in is_right.items():
            if not right:
                raise InputError(
                    f"{path}: entry {name!r} is {getattr(self, name)!r}; export the model again"
                )


def _by_new_names(noise: dict[str, Any], path: Path | str) -> dict[str, Any]:
    """Return the noise of a card of any version by the names of today."""
    for old, new in _OLD_NOISE.items():
        if old in noise and new in noise:
            raise InputError(f"{path}: entry 'noise' has both {old!r} and {new!r}, which are one")
    return {_OLD_NOISE.get(name, name): value for name, value in noise.items()}


def _is_noise(values: Any) -> bool:
    known = {entry.name for entry in fields(Noise)}
    return isinstance(values, dict) and all(
        name in known
        and (_within(value, *_NOISE_RANGES.get(name, _SD_RANGE)) or value is getattr(Noise, name))
        for name, value in values.items()
    )


def _within(value: Any, low: float, high: float) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and low <= value <= high
