"""Reads the files of data sets; what is missing or damaged is one error that names the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.matlab import read_matlab
from cmr_ros.files.untrusted import read_json

#: Annotations of whole training sets, which are read into memory.
_LARGEST_FILE, MAX_JSON_MEMORY = 2 << 30, 16 << 30
#: What entries raise that are missing, misshapen or no numbers.
_WRONG_ENTRY = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, InputError)


@dataclass(frozen=True)
class Source:
    """A data set on disk."""

    folder: Path
    name: str
    origin: str  # where people get it

    def file(self, *parts: str) -> Path:
        """Return the path of a file or folder of the set; InputError if it is not there."""
        path = self.folder.joinpath(*parts)
        if not path.exists():
            raise self.error(path, "no such file")
        return path

    def json(self, *parts: str) -> Any:
        """Return the content of a JSON file of the set."""
        path = self.folder.joinpath(*parts)
        return read_json(path, self._remedy, _LARGEST_FILE, MAX_JSON_MEMORY)

    def mat(self, *parts: str, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Return the named arrays of a MATLAB file of the set."""
        return read_matlab(self.folder.joinpath(*parts), names, self._remedy)

    def error(self, path: Path, problem: str) -> InputError:
        """Return the error for a file of the set."""
        return InputError(f"{path}: {problem}; {self._remedy}")

    @property
    def _remedy(self) -> str:
        return f"expected {self.name}, from {self.origin}"

    @contextmanager
    def entry(self, what: str) -> Iterator[None]:
        """Turn missing or misshapen entries inside the block into one error that names `what`."""
        try:
            yield
        except _WRONG_ENTRY as error:
            raise self.error(self.folder / what, f"{error!r}") from error


def points(values: Any, count: int | None = None, unit_m: float = 1.0) -> np.ndarray:
    """Return finite points (N, 3) in metres; ValueError when they are not `count` such points."""
    array = np.array(values)
    if array.dtype.kind not in "iuf":
        raise ValueError("points that are no numbers")
    array = array.astype(np.float64)
    if array.ndim != 2 or array.shape[1] != 3 or count not in (None, len(array)):
        raise ValueError(f"points {array.shape}, expected ({count or 'N'}, 3)")
    if not np.isfinite(array).all():
        raise ValueError("points are not all finite")
    return unit_m * array


def intrinsics(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    """Return K (3, 3) of focal lengths and a principal point.

    Args:
        fx: focal length along x in pixels.
        fy: focal length along y in pixels.
        cx: x of the principal point in pixels, pixel centres at integers.
        cy: y of the principal point.
    """
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=np.float64)
