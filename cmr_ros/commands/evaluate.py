"""`cmr evaluate`: measure the weights on pictures with true hands."""

from __future__ import annotations

import json
from pathlib import Path

from tqdm import tqdm

from cmr_ros.evaluation.datasets import read_manifest
from cmr_ros.evaluation.evaluate import evaluate, summarise
from cmr_ros.pipeline import HandPipeline


def add_arguments(parser):
    """Declare the command's arguments."""
    parser.add_argument("manifest", help="manifest.json of pictures, cameras and true joints")
    parser.add_argument("--model", help="model folder (default: the package's own weights)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there")


def run(args) -> int:
    """Evaluate and print one figure a line."""
    samples = read_manifest(args.manifest)
    pipeline = HandPipeline(args.model)

    def find(picture, camera):
        pipeline.reset()
        return pipeline(picture, camera)

    results = list(tqdm(evaluate(find, samples), total=len(samples), unit="picture"))
    figures = summarise(results)
    for name, value in figures.items():
        if value is not None:
            print(
                f"{name:22s}{value:10.2f}" if isinstance(value, float) else f"{name:22s}{value:7d}"
            )
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0
