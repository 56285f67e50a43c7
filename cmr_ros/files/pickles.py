"""Reads pickles without running anything in them: no code, no class and no type of the file's own.

The published template (`transform.pkl`), MANO (`MANO_RIGHT.pkl`) and RHD's
annotations come as pickles.  Numpy's arrays are made here, of plain types and just as many bytes as
they take; objects of scipy and chumpy become stand-ins that keep their state, so neither package is
needed; whatever else a file asks for is refused.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.pickle_machine import Function, Machine, Pieces
from cmr_ros.files.untrusted import check_extent, read_bytes, reading

_MAX_BYTES = 160 << 20
#: No dense joint regressor has more numbers.
_MAX_DENSE = 8 << 20
_REMEDY = "expected the published file"
#: Numbers, texts of a fixed length, and objects, which must then be listed.
_PLAIN_TYPE = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d{0,3}|O[48]?")
_LAST_CHARACTER = 0x10FFFF


class StandIn:
    """An object whose class is not loaded: it keeps its state and does nothing."""

    def __init__(self, *_: Any):
        """Ignore the arguments that the real class would take."""
        self.state: dict[str, Any] = {}


class Sparse(StandIn):
    """A sparse matrix by coordinates, or compressed along rows or columns."""

    #: Compressed formats: which of (row, column) the pointers count.
    pointer_axis: int | None = None

    def triplets(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return rows, columns and values; KeyError or ValueError if they are none."""
        state = self.state
        if self.pointer_axis is None:
            pair = state["coords"] if "coords" in state else (state["row"], state["col"])
            row, column = map(_indices, pair)
        else:
            index, pointers = _indices(state["indices"]), _indices(state["indptr"])
            counts = np.diff(pointers)
            if len(counts) == 0 or counts.min() < 0 or counts.sum() != len(index):
                raise ValueError("a sparse matrix whose pointers do not fit its indices")
            pointed = np.repeat(np.arange(len(counts)), counts)
            row, column = (pointed, index) if self.pointer_axis == 0 else (index, pointed)
        value = array(state["data"])
        if not row.shape == column.shape == value.shape:
            raise ValueError("a sparse matrix whose indices and values differ in number")
        return row, column, value

    def dense(self) -> np.ndarray:
        """Return the matrix as an array; KeyError or ValueError if it is none."""
        rows, columns = self.state.get("_shape", self.state.get("shape"))
        row, column, value = self.triplets()
        if not 0 < rows * columns <= _MAX_DENSE:
            raise ValueError(f"a sparse matrix of {rows}x{columns}")
        if row.size and (row.max() >= rows or column.max() >= columns):
            raise ValueError("a sparse matrix with an index beyond its shape")
        matrix = np.zeros((rows, columns))
        np.add.at(matrix, (row, column), value)
        return matrix


def _indices(value: Any) -> np.ndarray:
    indices = array(value)
    if indices.ndim != 1 or indices.dtype.kind not in "iu" or (indices.size and indices.min() < 0):
        raise ValueError("a sparse matrix whose indices are none")
    return indices.astype(np.int64)


class _ByRow(Sparse):
    pointer_axis = 0


class _ByColumn(Sparse):
    pointer_axis = 1


class _Type:
    """A type of numpy's by its name; of what a file says of it the order of bytes alone counts."""

    def __init__(self, name: Any, *_: Any):
        if not isinstance(name, str) or not _PLAIN_TYPE.fullmatch(name):
            raise InputError(f"refused, it asks for arrays of the type {name!r}")
        self.name, self.order = name, "="

    def set_state(self, state: Any) -> None:
        _, order, *parts = state
        if order not in ("<", ">", "|", "=") or any(part is not None for part in parts[:3]):
            raise InputError("refused, it asks for arrays of a made-up type")
        self.order = order

    def made(self) -> np.dtype:
        return np.dtype(self.name[0] if self.name[0] == "O" else self.order + self.name)


def _set_array(array: np.ndarray, state: Any) -> None:
    """Fill an empty array; ValueError unless the state has just what shape and type ask for."""
    _, shape, kind, columns_first, content = state
    dtype = kind.made()
    count = math.prod(_size(length) for length in shape)
    if dtype.hasobject:
        fits = isinstance(content, list) and len(content) == count
    else:
        content = _raw(content)
        fits = len(content) == count * dtype.itemsize
    if array.size or len(shape) > 8 or not fits:
        raise ValueError(f"an array of shape {shape} with other contents")
    if dtype.kind == "U" and count:
        characters = np.frombuffer(content, dtype.str[0] + "u4")
        if characters.max() > _LAST_CHARACTER:
            raise ValueError("a text of characters that do not exist")
    # All of it is our own now: a plain type, and as many bytes as it takes.
    array.__setstate__((1, tuple(shape), dtype, bool(columns_first), content))


def _size(length: Any) -> int:
    if not isinstance(length, int) or length < 0:
        raise ValueError(f"an array with a side of {length!r}")
    return length


def _raw(content: Any) -> bytes:
    """Return bytes; Python 2 wrote them as text."""
    return content.encode("latin1") if isinstance(content, str) else bytes(content)


def _empty_array(kind: Any, *_: Any) -> np.ndarray:
    if kind is not np.ndarray:
        raise InputError("refused, it asks for a kind of array of its own")
    return np.ndarray(0)


def _array_of(buffer: Any, kind: _Type, shape: tuple[int, ...], order: str) -> np.ndarray:
    array = np.ndarray(0)
    _set_array(array, (1, shape, kind, order == "F", buffer))
    return array


def _scalar(kind: _Type, content: Any) -> np.generic:
    if kind.made().hasobject:
        raise InputError("refused, it asks for a number of an unknown type")
    return _array_of(content, kind, (), "C")[()]


def _encoded(text: str = "", _: str = "latin1") -> bytes:
    return text.encode("latin1")


def _object(kind: Any, *_: Any) -> StandIn:
    if not (isinstance(kind, Function) and kind.call in _STAND_INS):
        raise InputError("refused, it makes an object of a class that is not needed")
    return kind.call()


_STAND_INS = (StandIn, Sparse, _ByRow, _ByColumn)
_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): Function(_Type),
    ("_codecs", "encode"): Function(_encoded),
    # As Python 2 calls them, which wrote MANO.
    ("copy_reg", "_reconstructor"): Function(_object),
    ("__builtin__", "object"): object,
    ("__builtin__", "bytes"): Function(_encoded),
} | {
    (f"numpy.{core}.{module}", name): Function(function)
    for core in ("core", "_core")
    for module, name, function in (
        ("multiarray", "_reconstruct", _empty_array),
        ("multiarray", "scalar", _scalar),
        ("numeric", "_frombuffer", _array_of),
    )
}


def _find(module: str, name: str) -> Any:
    if (module, name) in _KNOWN:
        return _KNOWN[module, name]
    if module.startswith("scipy.sparse"):
        return Function({"csr": _ByRow, "csc": _ByColumn, "coo": Sparse}.get(name[:3], StandIn))
    if module.startswith("chumpy"):
        return Function(StandIn)
    raise InputError(f"refused, it asks for {module}.{name}, which is not needed")


def _set_state(target: Any, state: Any) -> None:
    if isinstance(target, np.ndarray):
        _set_array(target, state)
    elif isinstance(target, _Type):
        target.set_state(state)
    elif isinstance(target, StandIn):
        target.state = state if isinstance(state, dict) else {}
    else:
        raise InputError("refused, it sets the state of what has none")


def read_pickle(
    path: Path | str, remedy: str = _REMEDY, max_instructions: int = 500_000
) -> dict[str, Any]:
    """Return the dictionary in a pickle, its arrays real and everything else a stand-in.

    Raises InputError, which ends with the remedy, for a file that is missing, damaged, too large,
    or asks for more than plain values and arrays.
    """
    data = read_bytes(path, remedy, _MAX_BYTES)
    with reading(path, "pickle", remedy):
        content = Machine(_find, _set_state, max_instructions=max_instructions).run(Pieces(data))
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no dictionary; {remedy}")
    check_extent(content, path, remedy)
    return content


def array(value: Any) -> np.ndarray:
    """Return an array, sparse matrix or chumpy array of a pickle as a numpy array.

    Raises KeyError or ValueError for anything else.
    """
    if isinstance(value, Sparse):
        return value.dense()
    if isinstance(value, StandIn):
        value = value.state["x"]
    if not isinstance(value, (np.ndarray, np.generic)) or value.dtype == object:
        raise ValueError(f"{type(value).__name__} is no array of numbers")
    return np.asarray(value)
