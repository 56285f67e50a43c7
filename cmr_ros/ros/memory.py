"""Keeps a process's memory small over many starts and stops, and the collector out of the way."""

from __future__ import annotations

import ctypes
import gc

#: glibc's name for the number of its arenas, and how many will do: threads here hardly allocate.
_M_ARENA_MAX, _ARENAS = -8, 2


def limit_arenas() -> None:
    """Have all threads share few arenas, before they start; each would keep pieces of its own.

    By default there are eight a processor, and what each holds of freed networks adds up.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it
    if adjust is not None:
        adjust(_M_ARENA_MAX, _ARENAS)


def settle_memory() -> None:
    """Have the garbage collector leave what there is alone: to look through it takes 15 ms."""
    gc.collect()
    gc.freeze()


def release_memory() -> None:
    """Give back what nothing refers to any more; the C library would keep most of it for later."""
    gc.unfreeze()
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
