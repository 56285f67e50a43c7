"""`cmr label`: make training samples of photographs that nobody has labelled."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from cmr_ros.commands.arguments import seed
from cmr_ros.errors import InputError
from cmr_ros.files.pictures import write_picture
from cmr_ros.labelling.folders import NO_HAND, LabellingPlan, label_folder
from cmr_ros.model.weights import HAND_NETWORKS
from cmr_ros.synthesis.rendering_jobs import sheet, with_truth
from cmr_ros.synthesis.shards import Shards
from cmr_ros.workers import Workers

_SHOWN = 64


def add_arguments(parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, help="of JPEG or PNG photographs, with subfolders")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of shards")
    parser.add_argument("--model", type=_model, help="exact (default), lite, or a model folder")
    parser.add_argument("--copies", type=int, default=4, help="samples of each hand")
    parser.add_argument(
        "--elsewhere", type=int, default=0, metavar="N",
        help="also N crops of each image from anywhere, to train what is no hand",
    )  # fmt: skip
    parser.add_argument(
        "--per-folder", type=int, metavar="N", help="at most N images of each folder, spread evenly"
    )
    parser.add_argument(
        "--hfov", type=float, default=60.0, metavar="DEG", help="assumed horizontal field of view"
    )
    parser.add_argument("--max-hands", type=int, default=2)
    Workers.add_arguments(parser)
    parser.add_argument("--seed", type=seed, default=0)


def run(args) -> None:
    """Label, write a contact sheet beside the shards, and say what was refused."""
    for name in ("copies", "per_folder", "max_hands"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} must be at least 1")
    if args.elsewhere < 0:
        raise InputError("--elsewhere must be at least 0")
    if not 5 <= args.hfov <= 150:
        raise InputError(f"--hfov {args.hfov:g}: must lie in 5 to 150 degrees")
    plan = LabellingPlan(
        args.folder, args.output, args.model, args.copies, args.elsewhere, args.per_folder,
        args.hfov, args.max_hands, args.seed,
    )  # fmt: skip
    entries = label_folder(plan, Workers(args.jobs, args.ray))
    count = sum(entry["samples"] for entry in entries)
    reasons = Counter(
        reason if reason == NO_HAND else reason.split()[0]
        for entry in entries
        for reason in entry["refused"]
    )
    for entry in entries:
        if "unreadable" in entry:
            print(entry["unreadable"])
    if clean := _clean_samples(entries, args.copies, args.elsewhere):
        shards = Shards(args.output)
        chosen = clean[:: -(-len(clean) // _SHOWN)]
        shown = args.output / "sheet.png"
        write_picture(shown, sheet([with_truth(shards[i]) for i in chosen]))
        print(f"{shown}: some of the hands, with mask, mesh and joints (unsure ones red)")
    refused = ", ".join(f"{name} {number}" for name, number in reasons.most_common()) or "none"
    print(f"{args.output}: {count} samples of {len(entries)} images; hands refused: {refused}")


def _model(name: str) -> Path:
    """Return a model's name, or its folder as other processes find it, which may run elsewhere."""
    return Path(name) if name in HAND_NETWORKS else Path(name).absolute()


def _clean_samples(entries: list[dict], copies: int, elsewhere: int) -> list[int]:
    """Return the number of each hand's first sample."""
    numbers, end = [], 0
    for entry in entries:
        start, end = end, end + entry["samples"]
        numbers += range(start, end - elsewhere, copies)
    return numbers
