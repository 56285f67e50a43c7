"""The torch engine: CUDA graphs and half precision where there is a graphics processor."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from onnx import numpy_helper

from cmr_ros.errors import InputError
from cmr_ros.model.card import ModelCard
from cmr_ros.model.template import HandTemplate
from cmr_ros.network.build import build
from cmr_ros.network.config import NetworkConfig
from cmr_ros.network.fixed import fix
from cmr_ros.network.onnx_file import read_graph
from cmr_ros.network.precision import halve
from cmr_ros.network.runtime import RuntimeNetwork


class TorchEngine:
    """Runs a network in torch on the device that its parameters are on."""

    def __init__(
        self,
        runtime: RuntimeNetwork,
        serving: str,
        half: bool = False,
        graphs: bool = True,
        layout: torch.memory_format = torch.channels_last,
    ):
        """Take a network that is loaded.

        Args:
            runtime: the network; the engine keeps a copy in a form that answers faster.
            serving: what the network runs on, in words.
            half: half precision, but for what decides coordinates.
            graphs: on a CUDA device, record the work for each number of images once and replay it.
            layout: of the maps in memory.
        """
        runtime = copy.deepcopy(runtime)
        fix(runtime)
        if half:
            halve(runtime)
        self.runtime = runtime.to(memory_format=layout)
        self.serving = serving
        self._device = next(runtime.parameters()).device
        self._half, self._layout = half, layout
        self._graphs: dict[int, _Graph] | None = None
        if graphs and self._device.type == "cuda":
            self._graphs = {}

    @classmethod
    def load(
        cls, path: Path, card: ModelCard, template: HandTemplate, threads: int, half: bool
    ) -> TorchEngine:
        """Return the engine of a model folder's network, on the CUDA device if there is one.

        Args:
            path: the folder's model.onnx.
            card: of the folder.
            template: of the folder.
            threads: of the CPU.
            half: half precision where there is a CUDA device.

        Raises:
            InputError: The file is missing or does not hold the network of the card.
        """
        torch.set_num_threads(threads)
        runtime = stored_network(path, card, template)
        if torch.cuda.is_available():
            precision = "half" if half else "single"
            serving = f"torch on {torch.cuda.get_device_name()}, {precision} precision"
            return cls(runtime.to("cuda"), serving, half)
        note = "; half: no CUDA device, single precision instead" if half else ""
        return cls(runtime, f"torch on cpu; cuda: torch finds no device{note}")

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name of normalised pictures (N, 3, S, S)."""
        outputs = self.compute(torch.from_numpy(images))
        # The copies are the caller's own: a graph writes its next outputs over these.
        return {name: value.cpu().numpy() for name, value in outputs.items()}

    @torch.inference_mode()
    def compute(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the outputs on the engine's device, float32; the next call may overwrite them.

        images: (N, 3, S, S) float32, on any device.
        """
        if self._graphs is None:
            return self._forward(images.to(self._device))
        if len(images) not in self._graphs:
            self._graphs[len(images)] = _Graph(self._forward, images.to(self._device, copy=True))
        return self._graphs[len(images)](images)

    def _forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        images = images.contiguous(memory_format=self._layout)
        with torch.autocast(self._device.type, torch.float16, enabled=self._half):
            outputs = self.runtime(images)
        return {name: value.float() for name, value in outputs.items()}


class _Graph:
    """The work for one number of pictures, recorded once and replayed without Python."""

    def __init__(self, forward: Callable, images: torch.Tensor):
        self.input = images
        # Libraries choose their algorithms in the first runs, which must not be recorded.
        chooses, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
        try:
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(3):
                    forward(images)
            torch.cuda.current_stream().wait_stream(stream)
            self.graph = torch.cuda.CUDAGraph()
            # Other threads of the process may use the device meanwhile.
            with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
                self.outputs = forward(images)
        finally:
            torch.backends.cudnn.benchmark = chooses

    def __call__(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        self.input.copy_(images)
        self.graph.replay()
        return self.outputs


def stored_network(path: Path, card: ModelCard, template: HandTemplate) -> RuntimeNetwork:
    """Return the network of a model folder on the CPU, with the parameters of its ONNX file."""
    runtime = RuntimeNetwork(build(NetworkConfig.from_dict(card.network), template))
    _load_parameters(runtime, path, card)
    return runtime


def _load_parameters(runtime: RuntimeNetwork, path: Path, card: ModelCard) -> None:
    """Copy the parameters of an ONNX file that `export` wrote into a network of its kind.

    Parameters that the file does not hold are made NaN: run time has no use for them, and if it
    had, the check of the first outputs would fail.
    """
    if card.precision == "int8":
        raise InputError(f"{path}: torch does not run int8; use onnxruntime or export fp32 or fp16")
    graph = read_graph(path, "expected a network in ONNX format")
    stored = {tensor.name: tensor for tensor in graph.initializer}
    state = runtime.state_dict()
    if stored.keys().isdisjoint(state):
        raise InputError(f"{path}: not the network that model.json describes; export it again")
    for name, own in state.items():
        if name not in stored:
            own.fill_(torch.nan if own.is_floating_point() else 0)
            continue
        values = torch.from_numpy(numpy_helper.to_array(stored[name]).copy())
        if values.shape != own.shape:
            raise InputError(
                f"{path}: {name} has the shape {tuple(values.shape)}, model.json's network has "
                f"{tuple(own.shape)}; take all three files from the same export"
            )
        own.copy_(values)
