"""`cmr train-head`: teach a model what is a hand, which one and where, and leave the rest."""

from __future__ import annotations

from pathlib import Path

from cmr_ros.commands.arguments import seed
from cmr_ros.errors import InputError
from cmr_ros.model import weights


def add_arguments(parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "samples", type=Path, nargs="+", metavar="DIR",
        help="sets of `cmr synth proposals`, `cmr label` or `cmr synth render`",
    )  # fmt: skip
    parser.add_argument("--model", type=Path, help="exact (default), lite, or a model folder")
    parser.add_argument("-o", "--output", type=Path, required=True, help="model folder to write")
    parser.add_argument("--channels", type=int, default=128, help="of each head (default: 128)")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=seed, default=0)


def run(args) -> None:
    """Train, export, and print how many hands it knows before and after."""
    from cmr_ros.training.crop_head import CropHeadPlan, train

    for name in ("channels", "epochs"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} must be at least 1")
    plan = CropHeadPlan(
        weights.hand_network(args.model), tuple(args.samples), args.output, args.channels,
        args.epochs, args.seed,
    )  # fmt: skip
    print(train(plan))
