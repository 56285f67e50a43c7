"""Gives memory back to the system."""

from __future__ import annotations

import ctypes
import gc


def release_memory() -> None:
    """Give back what nothing refers to any more; the C library would keep most of it for later."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
