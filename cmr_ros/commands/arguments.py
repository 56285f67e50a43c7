"""Kinds of arguments that several commands have."""

from __future__ import annotations

from argparse import ArgumentTypeError


def seed(text: str) -> int:
    """Return the number to start random numbers from."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)
