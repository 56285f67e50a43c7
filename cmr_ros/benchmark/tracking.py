"""Whether hands keep their ids where they cross, touch, are hidden or are many."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from cmr_ros.evaluation.identities import Identities, IdentityFigures
from cmr_ros.files import playback
from cmr_ros.files.output import write_bytes
from cmr_ros.model import weights
from cmr_ros.pipeline import HandPipeline


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of this part."""
    parser.add_argument(
        "--recording", type=Path, nargs="+", default=[], metavar="FILE",
        help="NAME-SEED.mcap of `cmr synth recording --act NAME` (default: they are rendered)",
    )  # fmt: skip
    parser.add_argument("--count", type=int, default=4, help="renders of each kind of scene")
    parser.add_argument("--seed", type=int, default=1, help="of the first render")
    parser.add_argument("--model", type=Path, help="exact (default), lite, or a model folder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")


def run(args: Namespace) -> None:
    """Print a row for each kind of scene."""
    pipeline = HandPipeline(args.model)
    rows: defaultdict[str, IdentityFigures] = defaultdict(IdentityFigures)
    with TemporaryDirectory() as folder:
        for file in args.recording or _rendered(Path(folder), args.count, args.seed):
            figures = follow(pipeline, file)
            rows[file.stem.rpartition("-")[0] or file.stem] += figures
            rows["all"] += figures
    rows["all"] = rows.pop("all")
    print(f"{'scene':16s}  hands  found  id switches  fragmentations   IDF1  id recall")
    for name, row in rows.items():
        print(
            f"{name:16s}{row.true:7d}{row.found:7d}{row.switches:13d}{row.fragmentations:16d}"
            f"{row.idf1:7.3f}{row.recall:11.3f}"
        )
    if args.json:
        content = {name: vars(row) for name, row in rows.items()}
        write_bytes(args.json, (json.dumps(content, indent=2) + "\n").encode())


def follow(pipeline: HandPipeline, file: Path) -> IdentityFigures:
    """Return the figures of one recording; as many hands are wanted as it shows, at least two."""
    camera, frames = playback.read(file)
    names = {name for frame in frames for name in frame.hands}
    pipeline.reset()
    pipeline.settings = replace(pipeline.settings, max_hands=max(len(names), 2))
    identities = Identities()
    for frame in frames:
        hands = pipeline(frame.picture(), camera, frame.stamp_ns * 1e-9)
        identities.add(
            {name: camera.project(joints) for name, joints in frame.hands.items()},
            {hand.track_id: hand.joints_px for hand in hands},
        )
    return identities.figures()


def _rendered(folder: Path, count: int, seed: int) -> Iterator[Path]:
    from cmr_ros.synthesis.encounters import ENCOUNTERS
    from cmr_ros.synthesis.recording import write_recording
    from cmr_ros.synthesis.rendering_jobs import Studio

    for name in ENCOUNTERS:
        for number in range(seed, seed + count):
            file = folder / f"{name}-{number}.mcap"
            write_recording(Studio(weights.find("hand_model.npz"), number), file, name)
            yield file
