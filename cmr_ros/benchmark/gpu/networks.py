"""The networks that are checked, and the crops they are shown."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

from cmr_ros.benchmark.gpu.worker import Setting
from cmr_ros.files import playback
from cmr_ros.model import weights
from cmr_ros.model.card import ModelCard
from cmr_ros.model.inference import HandNetwork
from cmr_ros.model.template import HandTemplate
from cmr_ros.network.build import build
from cmr_ros.network.config import preset
from cmr_ros.network.engine import TorchEngine, stored_network
from cmr_ros.network.export import card_of
from cmr_ros.network.runtime import RuntimeNetwork
from cmr_ros.pipeline import HandPipeline

#: The networks in `weights/`, the default one first.
SHIPPED, LITE = weights.HAND_NETWORKS.values()
#: For rehearsals: half precision is slow on a CPU.
TINY = "g_mobile@64"


@dataclass(frozen=True)
class Model:
    """A network on the CPU with its card; engines are made of copies."""

    runtime: RuntimeNetwork
    card: ModelCard
    template: HandTemplate

    def engine(self, device: torch.device, half: bool = False, **options) -> TorchEngine:
        """Return a torch engine on a device."""
        return TorchEngine(copy.deepcopy(self.runtime).to(device), "torch", half, **options)

    def images(self, crops: np.ndarray) -> np.ndarray:
        """Return crops (N, S, S, 3) as the images (N, 3, S, S) that the network takes."""
        return HandNetwork(None, self.template, self.card).normalised(crops)

    def work(self) -> tuple[int, int]:
        """Return the floating-point operations for one crop, and the number of weights."""
        size = self.card.input_size
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self.runtime(torch.zeros(1, 3, size, size))
        return counter.get_total_flops(), sum(p.numel() for p in self.runtime.parameters())


@cache
def model(name: str) -> Model:
    """Return a shipped network, or a preset with random weights that keep signals in range.

    PRESET@SIZE: of another input size.
    """
    folder = weights.find(LITE if name == LITE else SHIPPED)
    template = HandTemplate.load(folder / "template.npz")
    if name in (SHIPPED, LITE):
        card = ModelCard.load(folder / "model.json")
        return Model(stored_network(folder / "model.onnx", card, template), card, template)
    torch.manual_seed(0)
    base, _, size = name.partition("@")
    config = preset(base)
    if size:
        config = replace(config, input_size=int(size))
    network = build(config, template)
    if config.decoder.attention:
        nn.init.ones_(network.decoder.attention.gamma)  # it starts at 0, which would hide errors
    for norm in network.modules():
        if isinstance(norm, _BatchNorm):
            norm.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(4, 3, config.input_size, config.input_size))
    return Model(RuntimeNetwork(network), card_of(config, base, template), template)


def random_crops(count: int, size: int, seed: int = 0) -> np.ndarray:
    """Return uint8 noise (N, S, S, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def recorded_crops(count: int, size: int, setting: Setting) -> np.ndarray:
    """Return crops (N, S, S, 3) of hands, as the pipeline cuts them from the demo recording.

    They are kept among the parts' files, so that all processes see the same.
    """
    file = setting.scratch / "crops.npy"
    if not file.exists():
        camera, frames = playback.read(weights.find("demo.mcap"))
        finder = HandPipeline(providers=("cpu",), threads=2)
        finder.network = shown = _Shown(finder.network)
        for frame in frames[:: max(1, len(frames) // count)]:
            finder(frame.picture(), camera, frame.stamp_ns * 1e-9)
        np.save(file, np.concatenate(shown.crops)[:count])
    return np.stack([cv2.resize(crop, (size, size)) for crop in np.load(file)])


class _Shown:
    """A network that keeps the crops it is shown."""

    def __init__(self, network: HandNetwork):
        self._network = network
        self.crops: list[np.ndarray] = []

    def __getattr__(self, name: str):
        return getattr(self._network, name)

    def __call__(self, crops: np.ndarray):
        self.crops.append(crops)
        return self._network(crops)
