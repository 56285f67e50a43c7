"""Milliseconds of calls on a device."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch


def times_ms(
    device: torch.device,
    call: Callable[[], object],
    runs: int,
    most_s: float,
    by_events: bool = True,
) -> np.ndarray:
    """Return the milliseconds of each call, after a warm-up.

    A call starts when the one before has ended, as for images that come one by one.

    Args:
        device: what the calls compute on.
        call: what is timed.
        runs: calls to time.
        most_s: seconds after which no further call starts, but for the first five.
        by_events: time between events of a CUDA device; else until the device is idle again, by
            the host's clock.
    """
    for _ in range(min(10, runs)):
        call()
    _wait(device)
    by_events = by_events and device.type == "cuda"
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2)) if by_events else (0, 0)
    found = []
    stop = time.perf_counter() + most_s
    while len(found) < runs and (len(found) < 5 or time.perf_counter() < stop):
        if by_events:
            start.record()
            call()
            end.record()
            end.synchronize()
            found.append(start.elapsed_time(end))
            continue
        begin = time.perf_counter()
        call()
        _wait(device)
        found.append(1000 * (time.perf_counter() - begin))
    return np.array(found)


def median_ms(device: torch.device, call: Callable[[], object]) -> float:
    """Return the median milliseconds of a call."""
    return float(np.median(times_ms(device, call, 20, 3)))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
