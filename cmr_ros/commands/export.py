"""`cmr export`: write a trained network as a model folder for run time."""

from __future__ import annotations

from pathlib import Path

from cmr_ros.model.choices import JOINT_CUES, PRECISIONS


def add_arguments(parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("checkpoint", type=Path, help="last.pt of `cmr train`")
    parser.add_argument("--template", type=Path, required=True, help="template.npz it was made for")
    parser.add_argument("-o", "--output", type=Path, required=True, help="model folder to write")
    parser.add_argument(
        "--blend", type=Path, metavar="DIR",
        help="take the mean of the checkpoint's weights and those of a model folder that training "
        "started from",
    )  # fmt: skip
    parser.add_argument("--name", help="in the card (default: the folder's name)")
    add_precision(parser)
    parser.add_argument(
        "--joint-cue", choices=JOINT_CUES, default="heatmaps",
        help="output that 2D joints are read from (default: heatmaps)",
    )  # fmt: skip


def add_precision(parser) -> None:
    """Declare the precision to write, and the pictures that go with it."""
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="fp32",
        help="compact: weights stored in half precision, arithmetic in single",
    )  # fmt: skip
    parser.add_argument(
        "--pictures", type=Path, metavar="DIR",
        help="rendered set to measure the deviation on; int8 is calibrated on it",
    )  # fmt: skip
    parser.add_argument(
        "--picture-count", type=int, default=64, help="how many of its images to use (default: 64)"
    )


def chosen_pictures(args):
    """Return the pictures that the arguments of `add_precision` ask for, if any."""
    if args.pictures is None:
        return None
    from cmr_ros.training.release import rendered_pictures

    return rendered_pictures(args.pictures, args.picture_count)


def run(args) -> None:
    """Export and print what the card then says."""
    from cmr_ros.model.template import HandTemplate
    from cmr_ros.network.config import preset_name
    from cmr_ros.network.export import card_of, describe, export
    from cmr_ros.training.release import blend, trained_network

    template = HandTemplate.load(args.template)
    config, network, metrics = trained_network(args.checkpoint, template)
    if args.blend:
        blend(network, args.blend)
        metrics = {}  # they are of the checkpoint alone
    card = card_of(
        config, preset_name(config), template, args.name or args.output.resolve().name,
        joint_cue=args.joint_cue, license="Apache-2.0",
        measured={
            "held_out_renders": {name: round(v, 3) for name, v in metrics.items()}
        } if metrics else {},
    )  # fmt: skip
    pictures = chosen_pictures(args)
    print(describe(export(network, template, card, args.output, args.precision, pictures)))
