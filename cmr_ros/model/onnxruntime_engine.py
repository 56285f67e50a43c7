"""Runs a network in onnxruntime, on the first of several providers that works."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime import RunOptions, get_available_providers

from cmr_ros.errors import InputError
from cmr_ros.model.sessions import open_session

#: Providers of onnxruntime by the names used here.
PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
#: An answer later than that is none: a graph may hold loops.
_LONGEST_RUN_S = 8.0


class OnnxruntimeEngine:
    """onnxruntime on the first of the providers that works."""

    def __init__(self, path: Path, providers: Sequence[str], threads: int, half: bool):
        """Open a network.

        Args:
            path: the ONNX file.
            providers: of `PROVIDERS`, the preferred one first.
            threads: of the processor.
            half: half precision, where the provider computes with TensorRT.

        Raises:
            InputError: The file is no network, or none of the providers works.
        """
        self._session, self.serving = _open_first(path, providers, threads, half)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._on_cpu = self._session.get_providers()[0] == PROVIDERS["cpu"]
        self._threads = threads
        self._one_threaded, self._workers = self._session, None
        if self._on_cpu and threads > 1:
            self._one_threaded = open_session(path)
            self._workers = ThreadPoolExecutor(threads, "hand network")

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name of normalised pictures (N, 3, S, S)."""
        if self._workers and len(images) >= self._threads:
            # Each thread with pictures of its own: a network gains less from a second thread.
            parts = np.array_split(images, self._threads)
            answers = list(self._workers.map(partial(self._run, self._one_threaded), parts))
            answer = [np.concatenate(values) for values in zip(*answers, strict=True)]
        else:
            answer = self._run(self._session, images)
        return dict(zip(self._outputs, answer, strict=True))

    def _run(self, session: Any, images: np.ndarray) -> list[np.ndarray]:
        options = RunOptions()
        limit = threading.Timer(_LONGEST_RUN_S, setattr, (options, "terminate", True))
        limit.daemon = True
        # On a GPU the first run may build an engine for minutes.
        if self._on_cpu:
            limit.start()
        try:
            return session.run(None, {"image": images}, options)
        finally:
            limit.cancel()


def _open_first(path: Path, providers: Sequence[str], threads: int, half: bool) -> tuple[Any, str]:
    """Return a session on the first provider that works, and a line that says which and why."""
    available = get_available_providers()
    fallen = []
    for name in providers:
        if name not in PROVIDERS:
            raise InputError(f"no provider {name!r}; choose from {', '.join(PROVIDERS)}")
        full_name = PROVIDERS[name]
        if full_name not in available:
            fallen.append(f"{name}: not part of the installed onnxruntime")
            continue
        if name != "cpu":
            _load_cuda_libraries()
        try:
            session = open_session(path, threads, [(full_name, _options(name, half))])
        except InputError as error:
            if name == "cpu":
                raise
            fallen.append(f"{name}: {error}")
            continue
        if session.get_providers()[0] == full_name:
            if half and name != "tensorrt":
                fallen.append(f"half: {name} computes in the precision of the file")
            return session, "; ".join([f"onnxruntime on {name}", *fallen])
        fallen.append(f"{name}: could not be initialised, see onnxruntime's log")
    raise InputError(f"none of the providers works ({'; '.join(fallen)}); add 'cpu' to the list")


def _load_cuda_libraries() -> None:
    """Load CUDA and cuDNN from NVIDIA's wheels, where the linker does not look."""
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21
        with redirect_stdout(sys.stderr):
            onnxruntime.preload_dlls()


def _options(provider: str, half: bool) -> dict[str, str]:
    if provider != "tensorrt":
        return {}
    # TensorRT takes minutes to make an engine; it is kept for the next start.
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cmr_ros"
    return {
        "trt_fp16_enable": str(half),
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(cache),
    }
