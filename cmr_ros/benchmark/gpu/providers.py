"""What onnxruntime makes of its providers: who serves, what it says of the others, what it answers.

Where its CUDA build is not installed, the messages are all there is to check.
"""

from __future__ import annotations

from functools import partial

import torch

from cmr_ros.benchmark.gpu.networks import SHIPPED, model, random_crops
from cmr_ros.benchmark.gpu.right import relative_errors
from cmr_ros.benchmark.gpu.timing import times_ms
from cmr_ros.benchmark.gpu.worker import Setting, Task
from cmr_ros.errors import InputError
from cmr_ros.model import weights
from cmr_ros.model.inference import load_network

_TOLERANCE = 2e-2
_BATCH = 2


def tasks(setting: Setting) -> list[Task]:
    """Return the tasks of this part; TensorRT, which takes longest to start, comes last."""
    asked = (("cuda", "cpu"), False), (("cuda",), False), (("tensorrt",), True)
    whole = (("tensorrt", "cuda", "cpu"), True)
    return [
        (f"{', '.join(names)}{', half' if half else ''}", partial(_open, setting, names, half))
        for names, half in (*asked, whole)
    ]


def _open(setting: Setting, names: tuple[str, ...], half: bool) -> dict:
    folder = weights.find(weights.HAND_NETWORK)
    try:
        network = load_network(folder, "onnxruntime", names, 4, half, batch_sizes=(1, _BATCH))
    except InputError as error:  # the right answer where a provider cannot serve
        return {"says": str(error)}
    chosen = model(SHIPPED)
    crops = random_crops(_BATCH, chosen.card.input_size)
    images = chosen.images(crops)
    errors = relative_errors(network.engine(images), chosen.engine(torch.device("cpu"))(images))
    runs = 1 if setting.rehearse else 200
    spent = times_ms(torch.device("cpu"), lambda: network.engine(images[:1]), runs, 3)
    return {
        "says": network.serving,
        "relative": {output: float(f"{error:.2e}") for output, error in errors.items()},
        "ok": all(error <= _TOLERANCE for error in errors.values()),
        "one_crop_ms": round(float(sorted(spent)[len(spent) // 2]), 3),
    }
