"""Finds the files that come with the package, wherever it was installed to."""

from __future__ import annotations

from pathlib import Path

from cmr_ros.errors import InputError


def find(*parts: str) -> Path:
    """Return the path of a shared file or folder, in parts such as "config", "hand.yaml".

    It lies beside the package in a checkout, and in share/cmr_ros of the prefix that the package
    was installed to by pip or colcon.  Raises InputError if it is not there.
    """
    package = Path(__file__).parents[1]
    roots = [package.parent, *(prefix / "share" / "cmr_ros" for prefix in package.parents)]
    for root in roots:
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise InputError(
        f"{'/'.join(parts)}: neither in {roots[0]} nor in share/cmr_ros of a prefix above "
        f"{package}; install the package again"
    )
