"""One check of everything on one GPU: is it right, how fast is it, does it train."""

from __future__ import annotations

from pathlib import Path

#: Files that come back must each stay below this.
MOST_BYTES = 16_000_000


def add_arguments(parser) -> None:
    """Declare the arguments of this part."""
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu_out"), metavar="DIR")
    parser.add_argument("--seconds", type=float, default=540, help="in all (default: 540)")
    parser.add_argument(
        "--parts", type=lambda text: text.split(","), metavar="NAME,NAME,...",
        help="these alone, such as right,fast (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--rehearse", action="store_true", help="every part on the CPU, with tiny sizes"
    )
    parser.add_argument("--skins", type=Path, metavar="DIR", help="skin textures to render with")
    parser.add_argument("--hdri", type=Path, metavar="DIR", help=".exr panoramas to render with")


def run(args) -> int:
    """Check everything; the exit status is 1 if a part failed."""
    from cmr_ros.benchmark.gpu.check import Check

    check = Check(args.output, args.seconds, args.rehearse, args.skins, args.hdri, args.parts)
    return 0 if check.run() else 1
