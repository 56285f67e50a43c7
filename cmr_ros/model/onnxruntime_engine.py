"""Runs a network in onnxruntime, on the first of several providers that works."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime import RunOptions

from cmr_ros.errors import InputError, reason
from cmr_ros.model import recording
from cmr_ros.model.sessions import open_session

#: Providers of onnxruntime by the names used here.
PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
#: What the providers' libraries belong to.
_LIBRARIES = {"tensorrt": "NVIDIA TensorRT", "cuda": "CUDA and cuDNN"}
#: The provider whose work may be recorded, the device it computes on, and its options for that.
_RECORDED = ("cuda", "cuda", recording.OPTIONS)
#: Processor time after which there is no answer any more: a graph may hold loops.
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
        self._session, self.serving, records = _open_first(path, providers, threads, half)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._on_cpu = self._session.get_providers()[0] == PROVIDERS["cpu"]
        self._path, self._threads = path, threads
        self._one_threaded, self._workers = self._session, None
        if self._on_cpu and threads > 1:
            self._one_threaded = open_session(path)
            self._workers = ThreadPoolExecutor(threads, "hand network")
        #: By the number of pictures; None where nothing is recorded.
        self._recordings: dict[int, recording.Recording] | None = {} if records else None

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name of normalised pictures (N, 3, S, S)."""
        if self._recordings is not None:
            self._record(images)
        if self._recordings is not None:
            answer = self._recordings[len(images)](images)
        elif self._workers and len(images) >= self._threads:
            # Each thread with pictures of its own: a network gains less from a second thread.
            parts = np.array_split(images, self._threads)
            answers = list(self._workers.map(partial(self._run, self._one_threaded), parts))
            answer = [np.concatenate(values) for values in zip(*answers, strict=True)]
        else:
            answer = self._run(self._session, images)
        return dict(zip(self._outputs, answer, strict=True))

    def _record(self, images: np.ndarray) -> None:
        """Record the work for so many pictures, unless it is; nothing at all if it cannot be."""
        assert self._recordings is not None
        if len(images) in self._recordings:
            return
        try:
            made = recording.Recording(self._session, images, _RECORDED[1])
            self._recordings[len(images)] = made
        except Exception as error:  # onnxruntime's exceptions share no base of their own
            # What broke off a recording may not run any more: from now on another session does.
            self._recordings = None
            self._session = open_session(self._path, self._threads, [PROVIDERS[_RECORDED[0]]])
            self.serving += f"; without CUDA graphs: {reason(error)}"

    def _run(self, session: Any, images: np.ndarray) -> list[np.ndarray]:
        options = RunOptions()
        # On a GPU the first run may build an engine for minutes.
        with _limited(options) if self._on_cpu else nullcontext():
            return session.run(None, {"image": images}, options)


@contextmanager
def _limited(options: RunOptions) -> Iterator[None]:
    """Within, stop a run that has kept the processor busy for too long; TimeoutError then.

    Waiting for the processor does not count: other work may leave none of it for seconds.
    """
    begun_s, done = time.process_time(), threading.Event()

    def watch() -> None:
        while not done.wait(_LONGEST_RUN_S):
            if time.process_time() - begun_s >= _LONGEST_RUN_S:
                options.terminate = True
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except Exception as error:  # onnxruntime's exceptions share no base of their own
        if options.terminate:
            raise TimeoutError(f"no answer within {_LONGEST_RUN_S:g} s") from error
        raise
    finally:
        done.set()


def _open_first(
    path: Path, providers: Sequence[str], threads: int, half: bool
) -> tuple[Any, str, bool]:
    """Return a session on the first provider that works, what serves and why, if it may record."""
    available = onnxruntime.get_available_providers()
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
            session, failure = _open(path, threads, name, half)
        except InputError as error:
            if name == "cpu":
                raise
            fallen.append(f"{name}: {_why_not(name, error)}")
            continue
        if session.get_providers()[0] == full_name:
            if failure:
                fallen.append(f"without CUDA graphs: {failure}")
            if half and name != "tensorrt":
                fallen.append(f"half: {name} computes in the precision of the file")
            serving = "; ".join([f"onnxruntime on {name}", *fallen])
            return session, serving, name == _RECORDED[0] and not failure
        fallen.append(f"{name}: could not be initialised, see onnxruntime's log")
    raise InputError(f"none of the providers works ({'; '.join(fallen)}); add 'cpu' to the list")


def _open(path: Path, threads: int, name: str, half: bool) -> tuple[Any, str]:
    """Return a session on a provider, recording if that may be, and why it may not."""
    full_name, options = PROVIDERS[name], _options(name, half)
    failure = ""
    if name == _RECORDED[0]:
        try:
            return open_session(path, threads, [(full_name, options | _RECORDED[2])]), ""
        except InputError as error:
            failure = str(error)
    return open_session(path, threads, [(full_name, options)]), failure


def _why_not(name: str, error: InputError) -> str:
    """Return why a provider cannot be used, and the remedy where its libraries are missing."""
    if "LD_LIBRARY_PATH" in str(error):
        return f"{_LIBRARIES[name]} does not load; install it where LD_LIBRARY_PATH finds it"
    return str(error)


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
