"""`cmr synth`: render training pictures, look at them, compare them, record a demonstration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from cmr_ros.commands.arguments import seed
from cmr_ros.errors import InputError
from cmr_ros.files.pictures import write_picture
from cmr_ros.geometry.camera_view import check_baseline
from cmr_ros.labelling.crops import crops_of_folder, crops_of_renders
from cmr_ros.labelling.proposals import ProposalStudio
from cmr_ros.model import weights
from cmr_ros.pipeline import HandPipeline
from cmr_ros.synthesis.encounters import ENCOUNTERS
from cmr_ros.synthesis.held_out import write_manifest, write_pairs
from cmr_ros.synthesis.rendering_jobs import Studio, contact_sheet, render_set, sheet
from cmr_ros.synthesis.settings import TRAINING, PictureSettings
from cmr_ros.workers import Workers

#: Crops of each kind on the sheet of `compare`.
_SHOWN = 32


def add_arguments(parser) -> None:
    """Declare the actions and their arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    render = actions.add_parser("render", help="render a training set as resumable shards")
    proposals = actions.add_parser(
        "proposals", help="likewise of what the finder takes for hands, to train presence"
    )
    for action in (render, proposals):
        action.add_argument("--count", type=int, required=True)
        Workers.add_arguments(action)
        action.add_argument("--shard-size", type=int, default=1000)
    preview = actions.add_parser("preview", help="write a contact sheet of samples")
    preview.add_argument("--count", type=int, default=48)
    compare = actions.add_parser(
        "compare", help="measure by what training images differ from photographs"
    )
    compare.add_argument(
        "photographs", type=Path, metavar="FOLDER", help="with a folder for each collection"
    )
    compare.add_argument("--count", type=int, default=600, help="crops of each kind, at most")
    manifest = actions.add_parser("manifest", help="write whole images to measure weights on")
    manifest.add_argument("--count", type=int, default=200)
    manifest.add_argument(
        "--baseline", type=float, metavar="METRES",
        help="pairs of images of two cameras so far apart",
    )  # fmt: skip
    recording = actions.add_parser("recording", help="write the demonstration's MCAP recording")
    recording.add_argument("--stereo", action="store_true", help="of two cameras side by side")
    recording.add_argument(
        "--act",
        choices=("hands", "conditions", *ENCOUNTERS),
        default="hands",
        help="both hands; distance, an object in the hand and grey images; or hands that are hard "
        "to follow (default: hands)",
    )
    for action in (render, proposals, preview, compare, manifest, recording):
        action.add_argument("-o", "--output", type=Path, required=True)
        action.add_argument("--seed", type=seed, default=0)
        action.add_argument(
            "--skins", type=_absolute, metavar="DIR", help="folder of skin textures"
        )
        action.add_argument(
            "--hdri", type=_absolute, metavar="DIR", help="folder of .exr panoramas"
        )
        action.add_argument(
            "--hand-model", type=_absolute, metavar="FILE", help="default: the package's own"
        )


def run(args) -> None:
    """Do what the action says."""
    studio_of = ProposalStudio if args.action == "proposals" else Studio
    trains = args.action in ("render", "preview", "compare")
    settings = TRAINING if trains else PictureSettings()
    studio = studio_of(args.hand_model, args.seed, args.skins, args.hdri, settings)
    if args.action == "recording":
        from cmr_ros.synthesis.recording import write_recording

        write_recording(studio, args.output, args.act, args.stereo)
        return
    if args.count < 1:
        raise InputError(f"--count {args.count}: must be at least 1")
    if args.action == "preview":
        write_picture(args.output, contact_sheet(studio, args.count))
        return
    if args.action == "compare":
        _compare(studio, args.photographs, args.count, args.output)
        return
    if args.action == "manifest":
        if args.baseline is None:
            write_manifest(studio, args.output, args.count)
        else:
            check_baseline(args.baseline)
            write_pairs(studio, args.output, args.count, args.baseline)
        return
    if args.shard_size < 1:
        raise InputError(f"--shard-size {args.shard_size}: must be at least 1")
    workers = Workers(args.jobs, args.ray)
    new = render_set(studio, args.output, args.count, args.shard_size, workers)
    print(f"{args.output}: {args.count} samples, {new} of them made now")


def _compare(studio: Studio, folder: Path, count: int, output: Path) -> None:
    """Print by what renders and photographs differ, and write a sheet of what gives them away."""
    from cmr_ros.training.comparison import compare

    pipeline = HandPipeline(providers=("cpu",), max_hands=1)
    collections = sorted(path for path in folder.glob("*") if path.is_dir())
    each = -(-count // max(len(collections), 1))
    photographs = {
        path.name: crops
        for path in tqdm(collections, unit="collection")
        if (crops := crops_of_folder(path, each, pipeline))
    }
    if len(photographs) < 2:
        raise InputError(f"{folder}: expected two folders of photographs of hands, or more")
    number = sum(len(crops) for crops in photographs.values())
    renders = crops_of_renders(studio.generator(), number, pipeline.network)
    found = compare(photographs, renders, weights.hand_network(None))
    print(f"{number} crops of each kind; area under the ROC curve of classifiers:")
    for name, areas in found.areas.items():
        of_each = "  ".join(f"{one} {area:.2f}" for one, area in areas.items())
        print(f"{name:10s} {np.mean([*areas.values()]):.3f}   {of_each}")
    print(f"\n{'medians':34s}{'photographs':>12s}{'renders':>9s}{'area':>7s}")
    for name, (first, second, area) in sorted(
        found.statistics.items(), key=lambda entry: -abs(entry[1][2] - 0.5)
    ):
        print(f"{name:34s}{first:12.3f}{second:9.3f}{area:7.3f}")
    tiles = [*found.renders[:_SHOWN], *found.photographs[-_SHOWN:]]
    write_picture(output, sheet([crop.picture for crop in tiles]))
    print(f"{output}: renders that look most like renders, then photographs most like photographs")


def _absolute(path: str) -> Path:
    """Return a path as other processes find it, which may run elsewhere."""
    return Path(path).absolute()
