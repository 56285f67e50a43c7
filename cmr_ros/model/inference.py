"""Runs a model folder: crops in, meshes and 2D cues out, by the engine of choice.

onnxruntime serves by default; torch is imported only for the engine of that name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from cmr_ros.errors import InputError, reason
from cmr_ros.model.card import OPTIONAL_OUTPUTS, REQUIRED_OUTPUTS, ModelCard
from cmr_ros.model.choices import ENGINES, EngineName
from cmr_ros.model.heatmap import PUBLISHED_SIGMA_PX
from cmr_ros.model.onnxruntime_engine import OnnxruntimeEngine
from cmr_ros.model.template import HandTemplate

#: Vertices are in hands' sizes, landmarks in crops' sizes, the rest are shares.
_LARGEST_OUTPUT = 1e3


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network predicts for N crops; what it has no output for is None."""

    vertices_m: np.ndarray  # (N, V, 3) root-relative, in the crop's frame
    heatmaps: np.ndarray  # (N, J, h, w) in [0, 1], spans the whole crop
    silhouettes: np.ndarray  # (N, h, w) in [0, 1], spans the whole crop
    landmarks_px: np.ndarray | None = None  # (N, J, 2) crop pixels, centres at integers
    presence: np.ndarray | None = None  # (N,) probability of a hand
    handedness: np.ndarray | None = None  # (N,) probability of a right hand
    #: (N, 6) probability that the crop shows some of a hand; the centre (2) of its region in crop
    #: pixels, its side in crop pixels, and the direction (2) of its up
    regions: np.ndarray | None = None
    heatmap_sigma_px: float = PUBLISHED_SIGMA_PX  # of the peaks the heatmaps were trained on


class Engine(Protocol):
    """Runs a network."""

    serving: str  # what it runs on, and why not on what was asked for before that

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name of normalised pictures (N, 3, S, S)."""


class HandNetwork:
    """A network of a model folder, ready to run."""

    def __init__(
        self, engine: Engine, template: HandTemplate, card: ModelCard, source: Path | str = "model"
    ):
        """Take a network that is loaded.

        Args:
            engine: computes what the card says.
            template: of the vertices.
            card: says what the network expects and predicts.
            source: what errors call the network.
        """
        self.template = template
        self.card = card
        self.engine = engine
        self._source = source
        self._warm: set[int] = set()
        mean, std = (
            np.array(values, np.float32).reshape(3, 1, 1) for values in (card.mean, card.std)
        )
        self._scale, self._offset = 1 / (255 * std), -mean / std

    @property
    def input_size(self) -> int:
        """Side of the crops in pixels."""
        return self.card.input_size

    @property
    def serving(self) -> str:
        """What runs the network, and why something preferred does not."""
        return self.engine.serving

    def warm_up(self, batch_sizes: Iterable[int]) -> None:
        """Run batches of these sizes once, so that no image waits for what a first run takes.

        Raises InputError if an answer is not what card and template promise.
        """
        rng = np.random.default_rng(0)
        size = self.input_size
        for count in sorted(set(batch_sizes) - self._warm):
            self(rng.integers(0, 256, (count, size, size, 3), np.uint8))
            self._warm.add(count)

    def normalised(self, crops: np.ndarray) -> np.ndarray:
        """Return crops (N, S, S, 3) as the pictures (N, 3, S, S) that the network takes."""
        # Ordered first: arithmetic on what is scattered in memory takes ten times as long.
        images = np.ascontiguousarray(crops.transpose(0, 3, 1, 2)).astype(np.float32)
        images *= self._scale
        images += self._offset
        return images

    def __call__(self, crops: np.ndarray) -> Prediction:
        """Return the prediction of crops (N, S, S, 3), uint8 RGB.

        Raises InputError if the network does not run, or its answer is not what was promised.
        """
        size = self.input_size
        fits = crops.ndim == 4 and len(crops) > 0 and crops.shape[1:] == (size, size, 3)
        if not fits or crops.dtype != np.uint8:
            raise InputError(
                f"crops of shape {crops.shape} and type {crops.dtype}; "
                f"this network takes (N, {size}, {size}, 3) of uint8"
            )
        outputs = self._answer(self.normalised(crops))
        landmarks, presence, handedness, regions = map(outputs.get, OPTIONAL_OUTPUTS)
        return Prediction(
            vertices_m=outputs["vertices"] * np.float32(self.card.scale_m),
            heatmaps=outputs["heatmaps"],
            silhouettes=outputs["silhouette"][:, 0],
            landmarks_px=None if landmarks is None else landmarks * np.float32(size),
            presence=None if presence is None else presence[:, 0],
            handedness=None if handedness is None else handedness[:, 0],
            regions=None if regions is None else _in_pixels(regions, size),
            heatmap_sigma_px=self.card.heatmap_sigma_px,
        )

    def _answer(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs for normalised crops; InputError unless they are as promised."""
        try:
            outputs = self.engine(images)
        except Exception as error:  # engines share no base of their exceptions
            raise InputError(
                f"{self._source}: the network does not run on {images.shape} ({reason(error)})"
            ) from error
        missing = sorted({*REQUIRED_OUTPUTS, *self.card.outputs} - set(outputs))
        if missing:
            raise InputError(f"{self._source}: has no output {missing[0]!r}; export it again")
        count, (joint_count, vertex_count) = len(images), self.template.joint_regressor.shape
        maps = outputs["heatmaps"].shape[2:]
        expected = {
            "vertices": (count, vertex_count, 3),
            "heatmaps": (count, joint_count, *maps[:2]),
            "silhouette": (count, 1, *maps[:2]),
            "landmarks": (count, joint_count, 2),
            "presence": (count, 1),
            "handedness": (count, 1),
            "region": (count, 6),
        }
        for name, shape in expected.items():
            if name not in outputs:
                continue
            values = outputs[name]
            if values.shape != shape or values.size == 0 or len(maps) != 2:
                raise InputError(
                    f"{self._source}: output {name!r} has the shape {values.shape}, its template "
                    f"asks for {shape}; take all three files of a model folder from one export"
                )
            if values.dtype.kind != "f" or not _are_plausible(values):
                raise InputError(
                    f"{self._source}: output {name!r} is not finite or far too large; the weights "
                    "are damaged"
                )
        return outputs


def _in_pixels(regions: np.ndarray, size: int) -> np.ndarray:
    """Return regions (N, 6) with what are shares of a crop in its pixels, centres at integers."""
    regions = regions * np.array([1, size, size, size, 1, 1], np.float32)
    regions[:, 1:3] -= 0.5
    return regions


def _are_plausible(values: np.ndarray) -> bool:
    # By the extremes, which are no numbers where a value is none: maps are large.
    return bool(-_LARGEST_OUTPUT < values.min() <= values.max() < _LARGEST_OUTPUT)


def load_network(
    folder: Path | str,
    engine: EngineName = "onnxruntime",
    providers: Sequence[str] = ("cuda", "cpu"),
    threads: int = 1,
    half: bool = False,
    batch_sizes: Sequence[int] = (1,),
) -> HandNetwork:
    """Return the network of a model folder, warmed up.

    Args:
        folder: holds model.onnx, model.json and template.npz.
        engine: one of `choices.ENGINES`.
        providers: of `PROVIDERS`, for onnxruntime; the first that works serves.
        threads: of the processor.
        half: half precision where the GPU computes with TensorRT or torch; other providers take
            the precision of the file.
        batch_sizes: how many crops will come at once; each is run once here, so that no first
            image waits for it.

    Raises:
        InputError: Files are missing, damaged or of different models, weights are not finite, or
            the engine is not installed.
    """
    folder = Path(folder)
    card = ModelCard.load(folder / "model.json")
    template = HandTemplate.load(folder / "template.npz")
    if template.name != card.template_name:
        raise InputError(
            f"{folder}: model.onnx is for the template {card.template_name!r}, template.npz is "
            f"{template.name!r}; take all three files of a model folder from the same export"
        )
    if engine not in ENGINES:
        raise InputError(f"no engine {engine!r}; choose from {', '.join(ENGINES)}")
    runner: Engine
    if engine == "torch":
        runner = _torch_engine(folder / "model.onnx", card, template, threads, half)
    else:
        runner = OnnxruntimeEngine(folder / "model.onnx", providers, threads, half)
    network = HandNetwork(runner, template, card, folder)
    network.warm_up(batch_sizes)
    return network


def _torch_engine(
    path: Path, card: ModelCard, template: HandTemplate, threads: int, half: bool
) -> Engine:
    try:
        from cmr_ros.network.engine import TorchEngine
    except ModuleNotFoundError as error:
        raise InputError(
            f"engine 'torch' needs the Python package {error.name!r}; "
            "`pip install '.[train]'` in this package's folder brings it"
        ) from None
    return TorchEngine.load(path, card, template, threads, half)
