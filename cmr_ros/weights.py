"""Finds the networks that come with the package, wherever it was installed to."""

from __future__ import annotations

from pathlib import Path

from cmr_ros.errors import InputError

PALM_DETECTION = "palm_detection.onnx"
HAND_NETWORK = "hand_mobile"


def find(name: str) -> Path:
    """Return the path of a file or folder of `weights/`.

    That folder lies beside the package in a checkout, and in share/cmr_ros of the prefix that the
    package was installed to by pip or colcon.  Raises InputError if it is not there.
    """
    package = Path(__file__).parent
    folders = [package.parent / "weights"]
    folders += [prefix / "share" / "cmr_ros" / "weights" for prefix in package.parents]
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    raise InputError(
        f"weights {name!r}: neither in {folders[0]} nor in share/cmr_ros/weights of a prefix above "
        f"{package}; install the package again or name the folder of a model"
    )
