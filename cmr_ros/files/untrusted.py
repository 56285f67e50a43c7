"""Reads files of strangers without running anything in them: numpy's archives, and pickles.

The published template (`transform.pkl`) and MANO (`MANO_RIGHT.pkl`) come as pickles.  Only numpy's
arrays are made real; objects of scipy and chumpy become stand-ins that keep their state, so neither
package is needed, and whatever else a file asks for is refused.
"""

from __future__ import annotations

import _codecs
import copyreg
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmr_ros.errors import InputError

#: Larger than any template: a file that big is none.
MAX_BYTES = 256 << 20
_RECONSTRUCT = np.ndarray(0).__reduce__()[0]
_SCALAR = np.float64(0).__reduce__()[0]
_HARMLESS = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _codecs.encode,
    # As Python 2 calls them, which wrote MANO.
    ("copy_reg", "_reconstructor"): copyreg._reconstructor,
    ("__builtin__", "object"): object,
} | {
    (f"numpy.{core}.multiarray", name): function
    for core in ("core", "_core")
    for name, function in (("_reconstruct", _RECONSTRUCT), ("scalar", _SCALAR))
}


class StandIn:
    """An object whose class is not loaded: it keeps its state and does nothing."""

    state: dict[str, Any] = {}

    def __new__(cls, *_: Any):
        """Ignore the arguments that the real class would take."""
        return super().__new__(cls)

    def __init__(self, *_: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}


class Sparse(StandIn):
    """A sparse matrix by coordinates, or compressed along rows or columns."""

    #: Compressed formats: which of (row, column) the pointers count.
    pointer_axis: int | None = None

    def triplets(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return rows, columns and values."""
        state = self.state
        if self.pointer_axis is None:
            row, column = state["coords"] if "coords" in state else (state["row"], state["col"])
            return row, column, state["data"]
        index = state["indices"]
        pointed = np.repeat(np.arange(len(state["indptr"]) - 1), np.diff(state["indptr"]))
        row, column = (pointed, index) if self.pointer_axis == 0 else (index, pointed)
        return row, column, state["data"]

    def dense(self) -> np.ndarray:
        """Return the matrix as an array."""
        matrix = np.zeros(self.state.get("_shape", self.state.get("shape")))
        row, column, value = self.triplets()
        np.add.at(matrix, (row, column), value)
        return matrix


class _ByRow(Sparse):
    pointer_axis = 0


class _ByColumn(Sparse):
    pointer_axis = 1


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _HARMLESS:
            return _HARMLESS[module, name]
        if module.startswith("scipy.sparse"):
            return {"csr": _ByRow, "csc": _ByColumn, "coo": Sparse}.get(name[:3], StandIn)
        if module.startswith("chumpy"):
            return StandIn
        raise InputError(f"it asks for {module}.{name}, which a template does not need")


def read_npz(
    path: Path | str, remedy: str, names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Return all arrays of an .npz file, or those of the given names.

    Raises InputError, which ends with the remedy, for a file that is missing, damaged, unpacks to
    far more than itself, holds objects instead of numbers, or lacks one of the names.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise InputError(f"{path}: a single array, not an .npz of several; {remedy}")
            # What is not compressed is as large as its file: no small file unpacks to it.
            allowed = max(MAX_BYTES, Path(path).stat().st_size)
            if sum(info.file_size for info in file.zip.infolist()) > allowed:
                raise InputError(f"{path}: unpacks to over {MAX_BYTES >> 20} MiB; {remedy}")
            return {name: file[name] for name in (file.files if names is None else names)}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}") from None
    except KeyError as error:
        raise InputError(f"{path}: {error.args[0]}; {remedy}") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable .npz ({error}); {remedy}") from None


def read_pickle(path: Path | str) -> dict[str, Any]:
    """Return the dictionary in a pickle, its arrays real and everything else a stand-in.

    Raises InputError for a file that is missing, damaged, too large, or wants to run code.
    """
    try:
        if Path(path).stat().st_size > MAX_BYTES:
            raise InputError(f"larger than {MAX_BYTES >> 20} MiB")
        with open(path, "rb") as file:
            content = _Unpickler(file, encoding="latin1").load()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except InputError as error:
        raise InputError(f"{path}: refused, {error}") from None
    except Exception as error:  # damaged pickles fail in every way there is
        raise InputError(f"{path}: not a readable pickle ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no dictionary, so it is not what was asked for")
    return content


def array(value: Any) -> np.ndarray:
    """Return an array, sparse matrix or chumpy array of a pickle as a numpy array."""
    if isinstance(value, Sparse):
        return value.dense()
    if isinstance(value, StandIn):
        value = value.state["x"]
    return np.asarray(value)
