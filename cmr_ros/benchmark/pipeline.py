"""Milliseconds per picture of the whole pipeline, stage by stage, on the package's recording."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np

from cmr_ros import pipeline
from cmr_ros.files import playback
from cmr_ros.geometry.crop import CropCamera
from cmr_ros.model import weights
from cmr_ros.model.inference import HandNetwork
from cmr_ros.tracking.detection import PalmDetector

#: Stage -> the callable whose time it is.
_STAGES = {
    "detect palms": (PalmDetector, "__call__"),
    "cut crops": (CropCamera, "cut"),
    "network": (HandNetwork, "__call__"),
    "read cues": (pipeline, "read_cues"),
    "register": (pipeline, "register"),
}


def add_arguments(parser) -> None:
    """Declare the arguments of this part."""
    parser.add_argument("--recording", type=Path, help="MCAP (default: the package's own)")
    parser.add_argument("--model", type=Path, help="model folder (default: the package's own)")
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--providers", nargs="+", default=["cuda", "cpu"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")


def run(args) -> None:
    """Print a table of medians and 90th percentiles for each number of hands in a picture."""
    finder = pipeline.HandPipeline(
        args.model, engine=args.engine, providers=args.providers, threads=args.threads
    )
    figures = measure(finder, *playback.read(args.recording or weights.find("demo.mcap")))
    print(f"{finder.network.serving}; {args.threads} threads; milliseconds per picture")
    for hands, stages in figures.items():
        print(f"\n{hands} hands       pictures  median     p90")
        for stage, row in stages.items():
            print(f"{stage:14s}{row['pictures']:9d}{row['median_ms']:8.1f}{row['p90_ms']:8.1f}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(finder: pipeline.HandPipeline, camera, frames) -> dict[int, dict[str, dict]]:
    """Return figures by number of hands found and by stage, over the pictures that have it."""
    spent = defaultdict(lambda: defaultdict(list))
    for frame in frames:
        start = time.perf_counter()
        picture = frame.picture()
        stages = {"decode JPEG": time.perf_counter() - start}
        with _stopwatch(stages):
            start = time.perf_counter()
            hands = finder(picture, camera, frame.stamp_ns * 1e-9)
            total = time.perf_counter() - start
        stages["all but JPEG"] = total
        for stage, seconds in stages.items():
            spent[len(hands)][stage].append(1000 * seconds)
    order = ["decode JPEG", *_STAGES, "all but JPEG"]
    return {
        hands: {stage: _figures(spent[hands][stage]) for stage in order if spent[hands][stage]}
        for hands in sorted(spent)
    }


def _figures(milliseconds: list[float]) -> dict:
    median, p90 = np.percentile(milliseconds, (50, 90))
    return {"pictures": len(milliseconds), "median_ms": float(median), "p90_ms": float(p90)}


@contextmanager
def _stopwatch(stages: dict[str, float]):
    """Add up the seconds spent in each stage's callable."""
    patches = [
        patch.object(owner, name, _timed(getattr(owner, name), stage, stages))
        for stage, (owner, name) in _STAGES.items()
    ]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def _timed(function, stage: str, stages: dict[str, float]):
    def timed(*args, **kwargs):
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            stages[stage] = stages.get(stage, 0.0) + time.perf_counter() - start

    return timed
