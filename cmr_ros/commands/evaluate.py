"""`cmr evaluate`: measure the weights on pictures with true hands."""

from __future__ import annotations

from pathlib import Path

from cmr_ros.errors import InputError
from cmr_ros.evaluation.datasets import LAYOUTS, read
from cmr_ros.evaluation.measure import measure, stack
from cmr_ros.evaluation.methods import CROPS, PEERS, Method
from cmr_ros.evaluation.predictions import read_predictions, write_submission
from cmr_ros.evaluation.report import tables, text, write_csv, write_json, write_markdown
from cmr_ros.evaluation.runs import answer_all, measure_all
from cmr_ros.evaluation.summary import summarise
from cmr_ros.geometry.skeleton import JOINT_NAMES


def add_arguments(parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("dataset", type=Path, help="folder of a data set, or a manifest.json")
    parser.add_argument("--layout", choices=LAYOUTS, help="default: recognised by its files")
    parser.add_argument("--split", help="default: the one for evaluation")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--model", type=Path, help="exact (default), lite, or a model folder")
    who.add_argument(
        "--predictions", type=Path, metavar="FILE", help="measure these [joints, vertices]"
    )
    parser.add_argument("--crops", choices=CROPS, default=CROPS[0], help="what places the crops")
    parser.add_argument(
        "--hand-length", type=float, default=0.0, metavar="METRES",
        help="of all hands, wrist to middle tip; for the model only (default: adults')",
    )  # fmt: skip
    parser.add_argument("--one-view", action="store_true", help="ignore what second cameras show")
    parser.add_argument("--peer", choices=PEERS, help="also measure this method")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="JSON, CSV, Markdown; resumes there"
    )
    parser.add_argument("--figures", type=Path, metavar="DIR", help="draw curves and hands there")
    parser.add_argument("--submission", type=Path, metavar="FILE", help="FreiHAND's JSON")


def run(args) -> None:
    """Measure, print the tables and write what was asked for."""
    if args.limit is not None and args.limit < 1:
        raise InputError(f"--limit {args.limit}: at least one image is needed")
    if args.hand_length and not 0.05 < args.hand_length < 0.3:
        raise InputError(f"--hand-length {args.hand_length:g}: no hand's length in metres")
    samples = read(args.dataset, args.layout, args.split)[: args.limit]
    own = Method(args.model, args.crops, hand_length_m=args.hand_length, one_view=args.one_view)
    measured = _measure(args, own, samples)
    summaries = [summarise(name, columns) for name, columns in measured.items()]

    protocol = "predictions" if args.predictions else f"{args.crops} crops"
    if args.hand_length:
        protocol += f", hand length {args.hand_length:g} m"
    if not args.predictions and own.takes_pairs and any(sample.beside for sample in samples):
        protocol += ", two views"
    dataset = f"{_name(args.dataset)}, {protocol}"
    print("\n\n".join(map(text, tables(summaries))))
    if args.json:
        write_json(args.json, dataset, summaries)
    if args.output:
        write_json(args.output / "figures.json", dataset, summaries)
        write_markdown(args.output / "tables.md", dataset, summaries)
        for name, columns in measured.items():
            write_csv(args.output / f"pictures_{name}.csv", samples, columns)
    if args.figures:
        _draw(args, own, samples, measured, summaries)
    if args.submission:
        filled = write_submission(args.submission, answer_all(own, samples, args.jobs))
        print(f"wrote {args.submission}; {filled} misses were filled with the mean hand")


def _name(dataset: Path) -> str:
    folder = dataset.resolve()
    return folder.parent.name if folder.is_file() else folder.name


def _measure(args, own: Method, samples) -> dict:
    """Return the measurements of each method by its name, the one asked for first."""
    if args.predictions:
        answers = read_predictions(args.predictions, samples)
        pairs = zip(answers, samples, strict=True)
        measured = {args.predictions.stem: stack([measure(*pair) for pair in pairs])}
        methods = []
    else:
        measured, methods = {}, [own]
    methods += [Method(peer=args.peer)] if args.peer else []
    joint_count = len(samples[0].joints_m)
    if methods and joint_count != len(JOINT_NAMES):
        raise InputError(
            f"{args.dataset}: {joint_count} joints are no hand's, and the pipeline finds hands; "
            "measure --predictions of a body network"
        )
    for method in methods:
        folder = args.output / "parts" / method.name if args.output else None
        measured[method.name] = measure_all(method, samples, args.jobs, folder)
    return measured


def _draw(args, own: Method, samples, measured: dict, summaries) -> None:
    try:
        from cmr_ros.evaluation.figures import draw_curves
        from cmr_ros.evaluation.panels import draw_panels
    except ModuleNotFoundError as error:
        raise InputError(
            f"--figures needs the Python package {error.name!r}; pip install matplotlib"
        ) from None
    draw_curves(args.figures, summaries, measured)
    if not args.predictions:
        draw_panels(args.figures, own, samples, measured[own.name])
    print(f"wrote figures to {args.figures}")
