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
    "train-head": "teach a model what is a hand, which one and where",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit status; 2 for input that cannot be used."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        return _run(argv)
    except CmrError as error:
        complaint = str(error)
    except OSError as error:  # a folder that is a file, a full disk, a name too long
        complaint = str(InputError(str(error)))
    except MemoryError:
        complaint = "not enough memory for these inputs"
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == "cmr_ros":
            raise
        remedy = "`pip install '.[train]'` in this package's folder brings what training needs"
        if error.name == "onnxruntime":  # distributions have no package of it
            remedy = "pip install onnxruntime"
        complaint = f"the Python package {error.name!r} is missing; {remedy}"
    print(f"cmr {argv[0]}: {complaint}", file=sys.stderr)
    return 2


def _run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="cmr", description="Camera-space hand mesh recovery.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    # Only the module of the command at hand is imported: training pulls torch, `infer` must not.
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name in argv[:1]:
            module = import_module(f"cmr_ros.commands.{name.replace('-', '_')}")
            module.add_arguments(command)
    args = parser.parse_args(argv)
    return module.run(args) or 0


if __name__ == "__main__":
    sys.exit(main())
