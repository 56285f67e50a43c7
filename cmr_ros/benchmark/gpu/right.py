"""Whether the torch engine answers on the GPU as on the CPU, in every way it can run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial

import numpy as np
import torch

from cmr_ros.benchmark.gpu.networks import SHIPPED, TINY, model, random_crops, recorded_crops
from cmr_ros.benchmark.gpu.worker import Setting, Task
from cmr_ros.errors import InputError

#: Precision -> half, TF32 allowed, and the largest relative error ||a - b|| / ||b|| of an output.
_PRECISIONS = {
    "float32": (False, False, 1e-4),
    "float32, TF32": (False, True, 5e-3),
    "float16": (True, True, 2e-2),
}
_LAYOUTS = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}
_BATCHES = (1, 4, 16)


def tasks(setting: Setting) -> list[Task]:
    """Return the tasks of this part."""
    names = (TINY,) if setting.rehearse else (SHIPPED, "sg_resnet18")
    return [
        (
            f"{name}, {precision}, {'graph' if graphs else 'eager'}, {layout}",
            partial(_compare, setting, name, precision, graphs, layout),
        )
        for name in names
        for graphs in (False, True)
        for precision in _PRECISIONS
        for layout in _LAYOUTS
        if not setting.rehearse or (layout == "channels last" and precision != "float32, TF32")
    ]


def _compare(setting: Setting, name: str, precision: str, graphs: bool, layout: str) -> dict:
    half, tf32, tolerance = _PRECISIONS[precision]
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    engine = model(name).engine(setting.device, half, graphs=graphs, layout=_LAYOUTS[layout])
    relative: dict[str, float] = {}
    far_mm = 0.0
    for images, expected in _shown(setting, name):
        answers = engine(images)
        relative = larger(relative, relative_errors(answers, expected))
        apart = np.linalg.norm(answers["vertices"] - expected["vertices"], axis=2)
        far_mm = max(far_mm, 1000 * model(name).card.scale_m * float(apart.max()))
    return {
        "relative": {output: float(f"{error:.2e}") for output, error in relative.items()},
        "vertices_mm_max": round(far_mm, 4),
        "tolerance": tolerance,
        # Not a number is never within.
        "ok": all(error <= tolerance for error in relative.values()),
    }


def _shown(setting: Setting, name: str) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Yield images and the CPU's answers; each batch size comes twice, with other images."""
    for count in (2,) if setting.rehearse else _BATCHES:
        for kind in ("recorded", "random"):
            yield _expected(setting, name, kind, count)


@cache
def _expected(setting: Setting, name: str, kind: str, count: int):
    chosen = model(name)
    if kind == "recorded":
        try:
            most = 2 if setting.rehearse else _BATCHES[-1]
            crops = recorded_crops(most, chosen.card.input_size, setting)[:count]
        except InputError as error:  # without rosbags there is no recording to read
            print(f"no recorded crops: {error}", flush=True)
            crops = random_crops(count, chosen.card.input_size, seed=1)
    else:
        crops = random_crops(count, chosen.card.input_size)
    images = chosen.images(crops)
    return images, chosen.engine(torch.device("cpu"))(images)


def relative_errors(answers: dict, expected: dict) -> dict[str, float]:
    """Return ||a - b|| / ||b|| of each output."""
    return {
        name: float(np.linalg.norm(answers[name] - value) / np.linalg.norm(value))
        for name, value in expected.items()
    }


def larger(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    """Return the larger of two figures by name; not a number stays."""
    return {name: float(np.maximum(first.get(name, 0), value)) for name, value in second.items()}
