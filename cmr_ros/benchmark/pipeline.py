"""Milliseconds per image of the whole pipeline, stage by stage, on the package's recording."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, Namespace
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cmr_ros.benchmark import beside, ratios
from cmr_ros.errors import InputError
from cmr_ros.files import playback
from cmr_ros.files.output import write_bytes
from cmr_ros.geometry.camera import Camera
from cmr_ros.model import weights
from cmr_ros.pipeline import HandPipeline
from cmr_ros.stages import listening

#: The pipeline's stages, in the order of a table.
_STAGES = ("detect palms", "cut crops", "network", "read cues", "register")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of this part."""
    parser.add_argument("--recording", type=Path, help="MCAP (default: the package's own)")
    parser.add_argument("--model", type=Path, help="exact (default), lite, or a model folder")
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--providers", nargs="+", default=["cuda", "cpu"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--peer",
        nargs="+",
        choices=beside.PEERS,
        default=[],
        help="show the same images to others as well, in turn, and compare",
    )
    parser.add_argument("--turns", type=int, default=3, help="of each, with --peer")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="figures of an earlier run with --peer: print how ratios moved; status 1 if one is "
        "worse by more than the margin",
    )
    parser.add_argument(
        "--margin", type=float, default=0.2, help="share of the earlier ratio (default: 0.2)"
    )


def run(args: Namespace) -> int:
    """Print a table of medians and 90th percentiles for each number of hands in an image.

    Returns the exit status: 1 where a ratio is worse than it was.
    """
    if args.against and not args.peer:
        raise InputError("--against compares ratios to others: name them with --peer")
    before = ratios.read_ratios(args.against) if args.against else {}
    camera, frames = playback.read(args.recording or weights.find("demo.mcap"))
    figures = _beside(args, frames) if args.peer else _alone(args, camera, frames)
    if args.json:
        write_bytes(args.json, (json.dumps(figures, indent=2) + "\n").encode())
    if not args.against:
        return 0
    return _print_moves(ratios.moves(figures, before), args.margin)


def _print_moves(moves: Sequence[ratios.Move], margin: float) -> int:
    print(f"\nratios against the earlier run, margin {100 * margin:g} %\n")
    print(f"{'scene':20s}{'peer':16s}  before     now   moved")
    for one in moves:
        worse = "  worse" if one.share > margin else ""
        print(
            f"{one.scene:20s}{one.peer:16s}{one.before:8.2f}{one.now:8.2f}"
            f"{100 * one.share:+7.0f} %{worse}"
        )
    return int(any(one.share > margin for one in moves))


def _alone(args: Namespace, camera: Camera, frames: Sequence[playback.Frame]) -> dict:
    pipeline = HandPipeline(
        args.model, engine=args.engine, providers=args.providers, threads=args.threads
    )
    figures = measure(pipeline, camera, frames)
    print(f"{pipeline.network.serving}; {args.threads} threads; milliseconds per image")
    for hands, stages in figures.items():
        print(f"\n{hands} hands         images  median     p90")
        for stage, row in stages.items():
            print(f"{stage:14s}{row['pictures']:9d}{row['median_ms']:8.1f}{row['p90_ms']:8.1f}")
    return figures


def _beside(args: Namespace, frames: Sequence[playback.Frame]) -> dict:
    print(f"{args.threads} threads; milliseconds per image, cmr_ros against each as a ratio")
    figures = {}
    for scene in beside.scenes(frames):
        rows = beside.compare(scene, args.model, args.threads, args.peer, args.turns)
        figures[scene.name] = rows
        print(f"\n{scene.name:20s} images  median     p90     cpu   ratio  peak MB")
        for name, row in rows.items():
            print(
                f"{name:20s}{row['images']:7d}{row['median_ms']:8.1f}{row['p90_ms']:8.1f}"
                f"{row['cpu_ms']:8.1f}{row['median_ratio']:8.2f}{row['peak_mb']:9.0f}"
            )
    return figures


def measure(
    pipeline: HandPipeline, camera: Camera, frames: Sequence[playback.Frame]
) -> dict[int, dict[str, dict]]:
    """Return figures by number of hands found and by stage, over the images that have it."""
    spent: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for frame in frames:
        start = time.perf_counter()
        picture = frame.picture()
        stages = Counter({"decode JPEG": time.perf_counter() - start})
        with listening(lambda name, seconds, stages=stages: stages.update({name: seconds})):
            start = time.perf_counter()
            hands = pipeline(picture, camera, frame.stamp_ns * 1e-9)
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
