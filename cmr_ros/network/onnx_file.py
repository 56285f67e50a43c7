"""Reads ONNX files that may come from anybody."""

from __future__ import annotations

from pathlib import Path

import onnx

from cmr_ros.errors import InputError, reason


def read_graph(path: Path | str, expected: str) -> onnx.GraphProto:
    """Return the graph of an ONNX file; its references to other files are not followed.

    expected: what to say where there is no file.

    Raises InputError if the file is missing or no ONNX file.
    """
    try:
        return onnx.load(str(path), load_external_data=False).graph
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {expected}") from None
    except Exception as error:  # protobuf's DecodeError has no public home
        raise InputError(f"{path}: not an ONNX file ({reason(error)})") from None
