"""Looks for new hands beside the images in which known ones are followed."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from cmr_ros.stages import report

T = TypeVar("T")


@dataclass(frozen=True)
class _Timed(Generic[T]):
    found: T
    duration_s: float


class Lookout(Generic[T]):
    """One look at a time, in a thread of its own; a look's result is there some images later."""

    def __init__(self, stage: str):
        """Take the stage's name under which a look's duration is reported."""
        self._stage = stage
        self._thread = ThreadPoolExecutor(1, "lookout")
        self._look: Future[_Timed[T]] | None = None

    @property
    def is_looking(self) -> bool:
        """Whether a look is under way, or its result has not been taken."""
        return self._look is not None

    def start(self, look: Callable[[], T]) -> None:
        """Begin a look; there must be none under way."""
        self._look = self._thread.submit(_timed, look)

    def take(self) -> T | None:
        """Return what the look has found, once; None before it ends.  Its errors are raised."""
        if self._look is None or not self._look.done():
            return None
        ended, self._look = self._look, None
        result = ended.result()
        report(self._stage, result.duration_s)
        return result.found

    def drop(self) -> None:
        """Wait for a look that is under way, and forget it."""
        if self._look is not None:
            self._look.exception()
            self._look = None


def _timed(look: Callable[[], T]) -> _Timed[T]:
    start_s = time.perf_counter()
    return _Timed(look(), time.perf_counter() - start_s)
