"""Finds the networks that come with the package, wherever it was installed to."""

from __future__ import annotations

from pathlib import Path

from cmr_ros.errors import InputError
from cmr_ros.files import share

PALM_DETECTION = "palm_detection.onnx"
HAND_DETECTION = "hand_detection.onnx"
HAND_NETWORK = "hand_mobile"
#: The model folders that have names: the default, and one for two thirds of its time.
HAND_NETWORKS = {"exact": HAND_NETWORK, "lite": "hand_lite"}


def find(name: str) -> Path:
    """Return the path of a file or folder of `weights/`; InputError if it is not there."""
    return share.find("weights", name)


def hand_network(model: Path | str | None = None) -> Path:
    """Return the model folder that is meant by a name, or by its path.

    model: one of HAND_NETWORKS or a folder; by default, or if empty, "exact".

    Raises InputError if it is neither, or the named weights are not there.
    """
    name = str(model or "exact")
    if name in HAND_NETWORKS:
        return find(HAND_NETWORKS[name])
    if not Path(name).is_dir():
        raise InputError(
            f"{name}: no model folder, and no model's name: {', '.join(HAND_NETWORKS)}"
        )
    return Path(name)
