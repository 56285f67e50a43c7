"""`cmr import-checkpoint`: turn a released checkpoint into a model folder."""

from __future__ import annotations

from pathlib import Path

from cmr_ros.commands.export import add_precision, chosen_pictures


def add_arguments(parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("checkpoint", type=Path, help="released .pt file")
    parser.add_argument("--variant", required=True, help="its network, such as sg_resnet18")
    parser.add_argument(
        "--template", type=Path, required=True, metavar="DIR",
        help="folder with the published template.ply and transform.pkl, or a template.npz",
    )  # fmt: skip
    parser.add_argument(
        "--mano", type=Path, metavar="FILE", help="MANO_RIGHT.pkl, for its joint regressor"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="model folder to write")
    add_precision(parser)


def run(args) -> None:
    """Import, export and print what the card then says."""
    from cmr_ros.hand_model.published import has_levels, read_template
    from cmr_ros.network.config import preset
    from cmr_ros.network.export import card_of, describe, export
    from cmr_ros.network.published import load_published

    config = preset(args.variant)
    template = read_template(args.template, args.mano)
    if not has_levels(args.template):
        print("no transform.pkl: the levels were rebuilt, which costs a released network accuracy")
    network = load_published(args.checkpoint, config, template)
    # The published crop is 1.3 times the hand's box, cut without a camera of its own.
    card = card_of(
        config, args.variant, template, args.output.resolve().name,
        crop="affine", crop_margin=1.3, license="as the checkpoint's and MANO's authors say",
    )  # fmt: skip
    pictures = chosen_pictures(args)
    print(describe(export(network, template, card, args.output, args.precision, pictures)))
