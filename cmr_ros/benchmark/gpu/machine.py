"""What the machine is, and the two rates that bound everything on it."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata

import torch

from cmr_ros.benchmark.gpu.timing import median_ms
from cmr_ros.benchmark.gpu.worker import Setting, Task

_PACKAGES = (
    "torch", "onnxruntime", "onnxruntime-gpu", "tensorrt", "onnx", "onnxscript", "numpy",
    "opencv-python-headless", "scipy", "moderngl", "OpenEXR", "rosbags",
)  # fmt: skip


def tasks(setting: Setting) -> list[Task]:
    """Return the tasks of this part."""
    kinds = {
        "float16": (torch.float16, False),
        "bfloat16": (torch.bfloat16, False),
        "float32 as TF32": (torch.float32, True),
        "float32": (torch.float32, False),
    }
    return [
        ("versions", lambda: _versions(setting)),
        ("OpenGL", _opengl),
        ("copy", lambda: _copy(setting)),
        *(
            (f"matrix product, {name}", lambda kind=kind: _product(setting, *kind))
            for name, kind in kinds.items()
        ),
    ]


def _versions(setting: Setting) -> dict:
    found = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "card": "none",
    }
    if not setting.rehearse:
        card = torch.cuda.get_device_properties(0)
        found |= {
            "card": card.name,
            "memory_gib": round(card.total_memory / 2**30, 1),
            "capability": f"{card.major}.{card.minor}",
            "multiprocessors": card.multi_processor_count,
            "driver": _smi("driver_version"),
            "clock": _smi("clocks.sm"),
            "clock_max": _smi("clocks.max.sm"),
            "power_limit": _smi("power.limit"),
        }
    return found


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _smi(entry: str) -> str:
    command = ["nvidia-smi", f"--query-gpu={entry}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown ({type(error).__name__})"
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else "unknown"


def _opengl() -> dict:
    from cmr_ros.synthesis.renderer import Renderer

    return {"renderer": Renderer(64).device}


def _copy(setting: Setting) -> dict:
    """Read and write far more than the caches hold."""
    count = 2**16 if setting.rehearse else 2**30
    source = torch.rand(count, device=setting.device)
    target = torch.empty_like(source)
    copy_ms = median_ms(setting.device, lambda: target.copy_(source))
    return {"gb_per_s": round(2 * source.nbytes / copy_ms / 1e6, 1)}


def _product(setting: Setting, dtype: torch.dtype, tf32: bool) -> dict:
    size = 128 if setting.rehearse else 8192
    torch.backends.cuda.matmul.allow_tf32 = tf32
    a, b = (torch.randn(size, size, device=setting.device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(a)
    product_ms = median_ms(setting.device, lambda: torch.mm(a, b, out=out))
    return {"tflop_per_s": round(2 * size**3 / product_ms / 1e9, 2)}
