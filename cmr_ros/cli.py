"""The command line `cmr`; each command is a module of `cmr_ros.commands`, imported when called."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from cmr_ros.errors import CmrError, InputError

#: Command -> one-line help.  A command's module has `add_arguments(parser)` and `run(args)`.
COMMANDS = {
    "template": "build the hand template and the parametric hand",
    "demo": "play a recording through the running node and show what it finds",
    "benchmark": "measure one part by itself",
    "export": "write a trained network as a model folder",
    "import-checkpoint": "turn a released checkpoint into a model folder",
    "import-mediapipe": "convert MediaPipe's hand networks to ONNX",
    "evaluate": "measure a model on images with ground truth",
    "infer": "find the hands in pictures, a video or a camera",
    "live": "watch the hands before a camera, in the browser",
    "label": "make training samples of photographs",
    "synth": "render training images",
    "table": "print the paper's tables beside this project's measurements",
    "train": "train a network according to a plan",
    "train-detector": "train the detector that proposes where hands are",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit status; 2 for input that cannot be used."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="cmr", description="Camera-space hand mesh recovery.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    # Only the module of the command at hand is imported: training pulls torch, `infer` must not.
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name in argv[:1]:
            module = import_module(f"cmr_ros.commands.{name.replace('-', '_')}")
            module.add_arguments(command)
    args = parser.parse_args(argv)
    try:
        return module.run(args) or 0
    except CmrError as error:
        print(f"cmr {args.command}: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a folder that is a file, a full disk, a name too long
        print(f"cmr {args.command}: {InputError(str(error))}", file=sys.stderr)
        return 2
    except MemoryError:
        print(f"cmr {args.command}: not enough memory for these inputs", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == "cmr_ros":
            raise
        print(
            f"cmr {args.command}: the Python package {error.name!r} is missing; "
            "pip install 'cmr_ros[train]' installs what training and conversion need",
            file=sys.stderr,
        )
        return 2


if __name__ == "__main__":
    sys.exit(main())
