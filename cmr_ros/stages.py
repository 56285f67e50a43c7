"""Where the time of an image goes: named stages, timed only while somebody listens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: Called with a stage's name and its duration in seconds.
Listener = Callable[[str, float], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Report the block's duration under a name to whoever listens."""
    listener = _listener.get()
    if listener is None:
        yield
        return
    start_s = time.perf_counter()
    try:
        yield
    finally:
        listener(name, time.perf_counter() - start_s)


def report(name: str, duration_s: float) -> None:
    """Report a stage that was timed in another thread."""
    if (listener := _listener.get()) is not None:
        listener(name, duration_s)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let a listener hear of the stages that this thread passes inside the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
