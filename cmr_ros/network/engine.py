"""The torch engine: CUDA graphs and half precision where there is a graphics processor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from cmr_ros.errors import InputError
from cmr_ros.model.card import ModelCard
from cmr_ros.model.template import HandTemplate
from cmr_ros.network.build import build
from cmr_ros.network.config import NetworkConfig
from cmr_ros.network.runtime import RuntimeNetwork


class TorchEngine:
    """Runs a network in torch, channels last, on the device that its parameters are on."""

    def __init__(self, runtime: RuntimeNetwork, serving: str):
        self.runtime = runtime.to(memory_format=torch.channels_last)
        self.serving = serving
        parameter = next(runtime.parameters())
        self._device, self._dtype = parameter.device, parameter.dtype
        self._graphs: dict[int, _Graph] = {}

    @classmethod
    def load(
        cls, path: Path, card: ModelCard, template: HandTemplate, threads: int, half: bool
    ) -> TorchEngine:
        """Return the engine of a model folder's network; raises InputError if it is none."""
        torch.set_num_threads(threads)
        runtime = RuntimeNetwork(build(NetworkConfig.from_dict(card.network), template))
        _load_parameters(runtime, path, card)
        if torch.cuda.is_available():
            runtime = runtime.to("cuda", torch.float16 if half else torch.float32)
            precision = "half" if half else "single"
            return cls(runtime, f"torch on {torch.cuda.get_device_name()}, {precision} precision")
        note = "; half: no CUDA device, single precision instead" if half else ""
        return cls(runtime, f"torch on cpu; cuda: torch finds no device{note}")

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name of normalised pictures (N, 3, S, S)."""
        x = torch.from_numpy(images).to(self._device, self._dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        if self._device.type == "cuda":
            if len(x) not in self._graphs:
                self._graphs[len(x)] = _Graph(self.runtime, x)
            outputs = self._graphs[len(x)](x)
        else:
            outputs = self.runtime(x)
        return {name: value.float().cpu().numpy() for name, value in outputs.items()}


class _Graph:
    """A network's work for one batch size, recorded once and replayed without Python."""

    def __init__(self, runtime: RuntimeNetwork, example: torch.Tensor):
        self.input = example.clone(memory_format=torch.preserve_format)
        # Libraries choose their algorithms in the first runs, which must not be recorded.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                runtime(self.input)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.outputs = runtime(self.input)

    def __call__(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        self.input.copy_(images)
        self.graph.replay()
        return self.outputs


def _load_parameters(runtime: RuntimeNetwork, path: Path, card: ModelCard) -> None:
    """Copy the parameters of an ONNX file that `export` wrote into a network of its kind.

    Parameters that the file does not hold are made NaN: run time has no use for them, and if it
    had, the check of the first outputs would fail.
    """
    if card.precision == "int8":
        raise InputError(f"{path}: torch does not run int8; use onnxruntime or export fp32 or fp16")
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a network in ONNX format") from None
    except Exception as error:  # protobuf's DecodeError has no public home
        raise InputError(f"{path}: not an ONNX file ({error})") from None
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
