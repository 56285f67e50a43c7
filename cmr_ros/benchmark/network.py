"""Milliseconds per call of a network: onnxruntime, the torch engine, and plain torch."""

from __future__ import annotations

import json
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Timing:
    """Median milliseconds per call of `batch` crops, all on the same number of threads."""

    variant: str
    batch: int
    threads: int
    runs: int
    onnxruntime_ms: float
    torch_engine_ms: float  # the engine `torch`
    torch_ms: float  # plain torch, eager and in single precision
    speedup: float  # of onnxruntime over plain torch
    serving: tuple[str, ...]  # what onnxruntime and the engine `torch` ran on


def measure(
    variant: str, template: Path, batch: int, threads: int, runs: int, half: bool
) -> Timing:
    """Return the timing of a preset with random weights.

    The three take turns, so that whatever else the machine does slows them alike.

    Args:
        variant: name of the preset.
        template: template.npz to build the network for.
        batch: crops a call.
        threads: of the processor.
        runs: calls that the medians are taken over.
        half: export in half precision and compute so where the provider can.
    """
    import torch

    from cmr_ros.model.choices import ENGINES
    from cmr_ros.model.inference import load_network
    from cmr_ros.model.template import HandTemplate
    from cmr_ros.network.build import build
    from cmr_ros.network.config import preset
    from cmr_ros.network.export import card_of, export

    torch.manual_seed(0)
    config, hand = preset(variant), HandTemplate.load(template)
    plain = build(config, hand).eval()
    card = card_of(config, variant, hand)
    with tempfile.TemporaryDirectory() as folder:
        export(plain, hand, card, folder, "fp16" if half else "fp32")
        engines = [
            load_network(folder, engine, threads=threads, half=half, batch_sizes=(batch,))
            for engine in ENGINES
        ]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    plain = plain.to(device)
    size = config.input_size
    crops = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), np.uint8)

    @torch.inference_mode()
    def eager() -> torch.Tensor:
        images = torch.from_numpy(engines[0].normalised(crops)).to(device)
        return plain(images).mesh.cpu()

    calls = [lambda: engines[0](crops), lambda: engines[1](crops), eager]
    onnxruntime_ms, torch_engine_ms, torch_ms = _medians_ms(calls, runs)
    return Timing(
        variant=variant,
        batch=batch,
        threads=threads,
        runs=runs,
        onnxruntime_ms=onnxruntime_ms,
        torch_engine_ms=torch_engine_ms,
        torch_ms=torch_ms,
        speedup=torch_ms / onnxruntime_ms,
        serving=tuple(engine.serving for engine in engines),
    )


def _medians_ms(calls: list[Callable[[], object]], runs: int) -> list[float]:
    times = np.empty((runs, len(calls)))
    for call in calls:
        call()
    for row in times:
        for column, call in enumerate(calls):
            start = time.perf_counter()
            call()
            row[column] = time.perf_counter() - start
    return [round(float(median), 2) for median in 1000 * np.median(times, axis=0)]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `cmr benchmark network`."""
    parser.add_argument("--variant", default="sg_resnet18", help="a preset (default: %(default)s)")
    parser.add_argument("--template", type=Path, default=None, help="template.npz (default: ours)")
    parser.add_argument("--batch", type=int, default=1, help="crops a call (default: 1)")
    parser.add_argument("--threads", type=int, default=1, help="of the processor (default: 1)")
    parser.add_argument("--runs", type=int, default=20, help="calls to time (default: 20)")
    parser.add_argument("--half", action="store_true", help="fp16 file and half precision")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: Namespace) -> None:
    """Print the timing."""
    from cmr_ros.model.weights import HAND_NETWORK, find

    template = args.template or find(f"{HAND_NETWORK}/template.npz")
    timing = measure(args.variant, template, args.batch, args.threads, args.runs, args.half)
    if args.json:
        print(json.dumps(asdict(timing), indent=2))
        return
    print(f"{timing.variant}, {timing.batch} crops a call, {timing.threads} threads")
    print(f"  onnxruntime  {timing.onnxruntime_ms:8.1f} ms  {timing.serving[0]}")
    print(f"  torch engine {timing.torch_engine_ms:8.1f} ms  {timing.serving[1]}")
    print(f"  plain torch  {timing.torch_ms:8.1f} ms  {timing.speedup:.2f} times onnxruntime's")
