"""Work that may come late or not at all, in a thread of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class NewestOnly:
    """Does jobs in order, beside the thread that hands them over; of those that wait, the newest.

    A job that has not begun when the next one comes is never done.
    """

    def __init__(self, name: str):
        """Take a name for the thread."""
        self._thread = ThreadPoolExecutor(1, name)
        self._waiting: deque[Callable[[], None]] = deque(maxlen=1)
        self._calls: deque[Future[None]] = deque()

    def do(self, job: Callable[[], None]) -> None:
        """Take a job on; raises what an earlier one has raised."""
        self._waiting.append(job)
        self._calls.append(self._thread.submit(self._do_newest))
        while self._calls[0].done() and len(self._calls) > 1:
            self._calls.popleft().result()

    def end(self) -> None:
        """Wait for the job under way, and do none any more."""
        self._waiting.clear()
        self._thread.shutdown()

    def _do_newest(self) -> None:
        try:
            job = self._waiting.popleft()
        except IndexError:  # it was done in place of an older one
            return
        job()
