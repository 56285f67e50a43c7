"""Opens ONNX files with settings that suit a node sharing its machine with others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from cmr_ros.errors import InputError, reason


def open_session(
    path: Path | str,
    threads: int = 1,
    providers: Sequence[str | tuple[str, dict[str, Any]]] = ("CPUExecutionProvider",),
) -> onnxruntime.InferenceSession:
    """Return an inference session on `threads` threads; InputError if the file is no network."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads that spin take the processor from everybody else: two of them on two cores made
    # a network of 22 ms take 99.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; expected a network in ONNX format")
    try:
        return onnxruntime.InferenceSession(
            str(path), options, providers=list(providers), enable_fallback=0
        )
    except Exception as error:  # onnxruntime's exceptions share no base of their own
        raise InputError(f"{path}: onnxruntime cannot load it ({reason(error)})") from error
