"""The whole pipeline on the demo recording, stage by stage, with each engine."""

from __future__ import annotations

from functools import partial

from cmr_ros.benchmark.gpu.worker import Setting, Task
from cmr_ros.benchmark.pipeline import measure
from cmr_ros.files import playback
from cmr_ros.model import weights
from cmr_ros.pipeline import HandPipeline

_THREADS = 4


def tasks(setting: Setting) -> list[Task]:
    """Return the tasks of this part."""
    kinds = ("torch", True), ("torch", False), ("onnxruntime", False)
    return [
        (f"{engine}, {'half' if half else 'single'}", partial(_run, setting, engine, half))
        for engine, half in (kinds[1:] if setting.rehearse else kinds)
    ]


def _run(setting: Setting, engine: str, half: bool) -> dict:
    camera, frames = playback.read(weights.find("demo.mcap"))
    finder = HandPipeline(engine=engine, half=half, threads=1 if setting.rehearse else _THREADS)
    stages = measure(finder, camera, frames[:3] if setting.rehearse else frames)
    return {"serving": finder.network.serving, "hands": stages}
