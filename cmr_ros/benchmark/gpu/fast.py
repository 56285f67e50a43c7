"""Milliseconds per call of the networks, by batch size, precision and way to run."""

from __future__ import annotations

from functools import cache, partial
from itertools import chain

import numpy as np
import onnxruntime
import torch

from cmr_ros.benchmark.gpu.networks import LITE, SHIPPED, TINY, model, random_crops
from cmr_ros.benchmark.gpu.timing import times_ms
from cmr_ros.benchmark.gpu.worker import Setting, Task
from cmr_ros.model import weights
from cmr_ros.model.onnxruntime_engine import PROVIDERS
from cmr_ros.model.sessions import open_session

#: The last one is the first to miss: it differs from "sg_resnet18" by one stage's maps.
_NETWORKS = (SHIPPED, LITE, "sg_resnet18", "sg_resnet50", "pg_resnet18")
_BATCHES = (1, 4, 16)
#: Detectors, with the side and kind of the square images that the finder shows them.
_DETECTORS = {
    "palm detector": (weights.PALM_DETECTION, 192, np.float32),
    "hand detector": (weights.HAND_DETECTION, 320, np.uint8),
}
_RUNS = 200
#: A row that is slow makes fewer runs: the others are worth more.
_MOST_S = 2.5


def tasks(setting: Setting) -> list[Task]:
    """Return the tasks of this part."""
    names, batches = ((TINY,), (1,)) if setting.rehearse else (_NETWORKS, _BATCHES)
    shipped, *others = [_ways(setting, name, batches) for name in names]
    return [*shipped, *_detectors(setting, batches), *chain.from_iterable(others)]


def _ways(setting: Setting, name: str, batches: tuple[int, ...]) -> list[Task]:
    return [
        (
            f"{name}, {batch} crops, {'float16' if half else 'float32'}, "
            f"{'graph' if graphs else 'eager'}",
            partial(_network, setting, name, batch, half, graphs),
        )
        for half in (True, False)
        for graphs in (True, False)
        # Without a graph Python takes the time, whatever the number of crops.
        for batch in (batches if graphs else batches[:1])
    ]


def _detectors(setting: Setting, batches: tuple[int, ...]) -> list[Task]:
    """Return the detectors' tasks; only onnxruntime runs them."""
    available = onnxruntime.get_available_providers()
    return [
        (
            f"{detector}, {batch} images, onnxruntime on {name}",
            partial(_detector, setting, detector, batch, PROVIDERS[name]),
        )
        for detector in _DETECTORS
        for name in ("cuda", "cpu")
        for batch in (batches if name == "cuda" else batches[:1])
        if PROVIDERS[name] in available
    ]


def _network(setting: Setting, name: str, batch: int, half: bool, graphs: bool) -> dict:
    engine, chosen = _engine(setting, name, half, graphs), model(name)
    images = chosen.images(random_crops(batch, chosen.card.input_size))
    there = torch.from_numpy(images).to(setting.device)
    runs = 1 if setting.rehearse else _RUNS
    on_device = times_ms(setting.device, lambda: engine.compute(there), runs, _MOST_S)
    calls = times_ms(setting.device, lambda: engine(images), runs, _MOST_S / 2, by_events=False)
    operations, weight_count = _work(name)
    return {
        "network": name,
        "batch": batch,
        "precision": "float16" if half else "float32",
        "graph": graphs,
        "device_ms": summary(on_device),
        "call_ms": summary(calls),
        "gflop": round(batch * operations / 1e9, 2),
        "weights_mb": round(weight_count * (2 if half else 4) / 1e6, 1),
    }


@cache
def _work(name: str) -> tuple[int, int]:
    return model(name).work()


_kept: dict[str, object] = {}


def _engine(setting: Setting, name: str, half: bool, graphs: bool):
    """Return the engine asked for; the one before makes room for it."""
    key = f"{name} {half} {graphs}"
    if key not in _kept:
        _kept.clear()
        _kept[key] = model(name).engine(setting.device, half, graphs=graphs)
    return _kept[key]


def _detector(setting: Setting, name: str, batch: int, provider: str) -> dict:
    file, side, kind = _DETECTORS[name]
    session = open_session(weights.find(file), 4, [provider])
    images = random_crops(batch, side).astype(kind)
    runs = 1 if setting.rehearse else _RUNS
    spent = times_ms(
        torch.device("cpu"), lambda: session.run(None, {"image": images}), runs, _MOST_S
    )
    return {
        "network": name,
        "batch": batch,
        "precision": "float32",
        "serving": session.get_providers()[0],
        "call_ms": summary(spent),
    }


def summary(milliseconds: np.ndarray) -> dict:
    """Return median, 90th percentile and number of calls."""
    median, p90 = np.percentile(milliseconds, (50, 90))
    return {
        "median": round(float(median), 4), "p90": round(float(p90), 4), "runs": len(milliseconds),
    }  # fmt: skip
