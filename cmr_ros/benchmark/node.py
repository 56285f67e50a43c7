"""The node over DDS: from an image's sending to its hands, dropped images, one or more cameras."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

from cmr_ros.errors import CmrError, InputError
from cmr_ros.files.output import write_bytes
from cmr_ros.model import weights


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of this part."""
    parser.add_argument(
        "--cameras", type=int, nargs="+", default=[1], metavar="N",
        help="numbers of cameras, each with a node, a player and a listener of its own",
    )  # fmt: skip
    parser.add_argument("--rate", type=float, default=30.0, metavar="HZ", help="of each camera")
    parser.add_argument("--recording", type=Path, help="MCAP (default: the package's own)")
    parser.add_argument("--model", type=Path, help="exact (default), lite, or a model folder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")


def run(args: Namespace) -> None:
    """Print a table: a row for each camera."""
    if min(args.cameras) < 1 or not 0 < args.rate <= 1000:
        raise InputError("--cameras must be at least 1, --rate in 0 to 1000 Hz")
    print(
        f"{args.rate:g} images a second, all outputs listened to; milliseconds\n"
        "cameras  images  dropped  latency   p90   node  of it pipeline    cpu  start s  peak MB"
    )
    rows = {count: _measure(args, count) for count in args.cameras}
    for count, cameras in rows.items():
        for row in cameras:
            print(
                f"{count:7d}{row['images']:8d}{row['dropped']:9d}"
                + "".join(
                    f"{_number(row[name]):>{width}}"
                    for name, width in (
                        ("latency_median_ms", 9), ("latency_p90_ms", 6), ("node_median_ms", 7),
                        ("pipeline_median_ms", 16), ("cpu_ms", 7), ("start_s", 9), ("peak_mb", 9),
                    )
                )
            )  # fmt: skip
    if args.json:
        write_bytes(args.json, (json.dumps(rows, indent=2) + "\n").encode())


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _measure(args: Namespace, cameras: int) -> list[dict]:
    """Run the cameras at the same time, each in a ROS domain of its own; return their figures."""
    model = weights.hand_network(args.model).resolve()
    recording = str((args.recording or weights.find("demo.mcap")).resolve())
    with TemporaryDirectory() as folder:
        processes = []
        for camera in range(cameras):
            asked = {
                "recording": recording, "node_arguments": ["-p", f"model:={model}"],
                "rate_hz": args.rate, "log": str(Path(folder) / f"node_{camera}.log"),
            }  # fmt: skip
            process = subprocess.Popen(
                [sys.executable, "-m", "cmr_ros.demo.measure"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env=os.environ | {"ROS_DOMAIN_ID": str(1 + (os.getpid() + camera) % 100)},
            )  # fmt: skip
            process.stdin.write(json.dumps(asked))
            process.stdin.close()
            process.stdin = None  # or else `communicate` would write to it
            processes.append(process)
        answers = [process.communicate() for process in processes]
    for process, (_, errors) in zip(processes, answers, strict=True):
        if process.returncode:
            last = (errors.strip() or "no reason given").splitlines()[-1]
            raise CmrError(f"a camera's process ended with {process.returncode}: {last}")
    return [json.loads(figures.splitlines()[-1]) for figures, _ in answers]
