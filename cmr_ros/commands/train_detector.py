"""`cmr train-detector`: train the network that proposes where small hands are."""

from __future__ import annotations

from pathlib import Path

from cmr_ros.errors import InputError


def add_arguments(parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--skins", type=Path, metavar="DIR", help="folder of skin textures")
    parser.add_argument("--hdri", type=Path, metavar="DIR", help="folder of .exr panoramas")
    parser.add_argument(
        "--photographs", type=Path, metavar="DIR", help="folder of images of hands, without labels"
    )
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--cutouts", type=int, default=1500, help="hands to render")
    parser.add_argument("--surroundings", type=int, default=700, help="images behind them")
    parser.add_argument("--jobs", type=int, default=1, help="processes that compose scenes")
    parser.add_argument("--seed", type=int, default=0)


def run(args) -> None:
    """Train, and write hand_detection.onnx."""
    from cmr_ros.training.detector import DetectorPlan, train

    for name in ("steps", "cutouts", "surroundings", "jobs"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} must be at least 1")
    plan = DetectorPlan(
        output=args.output,
        skins=args.skins,
        panoramas=args.hdri,
        photographs=args.photographs,
        cutouts=args.cutouts,
        surroundings=args.surroundings,
        steps=args.steps,
        jobs=args.jobs,
        seed=args.seed,
    )
    print(train(plan))
