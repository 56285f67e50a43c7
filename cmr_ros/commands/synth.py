"""`cmr synth`: render training pictures, look at them, record a demonstration."""

from __future__ import annotations

from pathlib import Path

from cmr_ros.errors import InputError
from cmr_ros.files.pictures import write_picture
from cmr_ros.geometry.camera_view import check_baseline
from cmr_ros.labelling.proposals import ProposalStudio
from cmr_ros.synthesis.encounters import ENCOUNTERS
from cmr_ros.synthesis.held_out import write_manifest, write_pairs
from cmr_ros.synthesis.rendering_jobs import Studio, contact_sheet, render_set
from cmr_ros.workers import Workers


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
    for action in (render, proposals, preview, manifest, recording):
        action.add_argument("-o", "--output", type=Path, required=True)
        action.add_argument("--seed", type=int, default=0)
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
    studio = studio_of(args.hand_model, args.seed, args.skins, args.hdri)
    if args.action == "recording":
        from cmr_ros.synthesis.recording import write_recording

        write_recording(studio, args.output, args.act, args.stereo)
        return
    if args.count < 1:
        raise InputError(f"--count {args.count}: must be at least 1")
    if args.action == "preview":
        write_picture(args.output, contact_sheet(studio, args.count))
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


def _absolute(path: str) -> Path:
    """Return a path as other processes find it, which may run elsewhere."""
    return Path(path).absolute()
