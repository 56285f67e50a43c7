"""Checkpoints of a training run: written in one piece, read without running anything in them."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from cmr_ros.errors import InputError
from cmr_ros.files.output import check_replaceable
from cmr_ros.network.torch_files import read_torch_file


def save_checkpoint(path: Path, state: dict) -> None:
    """Write tensors and plain values; a run killed meanwhile leaves the previous file whole."""
    check_replaceable(path, b"PK\x03\x04")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def load_checkpoint(path: Path | str, keys: tuple[str, ...] = ()) -> dict:
    """Return what `save_checkpoint` wrote, on the CPU.

    Raises InputError if the file is missing, damaged, holds code, or lacks one of the keys.
    """
    state = read_torch_file(path, "name a checkpoint of `cmr train`, or delete it to start over")
    missing = [key for key in keys if not isinstance(state, dict) or key not in state]
    if missing:
        raise InputError(f"{path}: not a training checkpoint, {missing[0]!r} is missing")
    return state
