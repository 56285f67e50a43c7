"""Reads arrays of numbers and of text from MATLAB's files (level 5).

After MathWorks' "MAT-File Format".  SciPy's reader ends the process at damaged types of data.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.untrusted import MAX_BYTES, read_bytes, reading

_HEADER_BYTES = 128
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
#: Types of data, by their numbers; the last two are text.
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8"}
_TYPES |= {13: "u8", 16: "u1", 17: "u2"}
_TEXT = 4
#: Classes of arrays of numbers: what the values become, however few bytes they are stored in.
_CLASSES = dict(enumerate("f8 f4 i1 u1 i2 u2 i4 u4 i8 u8".split(), start=6))
_COMPLEX = 0x800
_MOST_DIMENSIONS = 8


def read_matlab(path: Path, names: Sequence[str], remedy: str) -> dict[str, np.ndarray]:
    """Return the named arrays of a MATLAB file; raises InputError, which ends with the remedy.

    Text has one string a row.
    """
    data = read_bytes(path, remedy)
    with reading(path, "MATLAB file", remedy):
        arrays = dict(_arrays(data, names))
        for name in names:
            if name not in arrays:
                raise InputError(f"entry {name!r} is missing")
        return arrays


def _arrays(data: bytes, names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of these names; InputError or ValueError for what is damaged."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise ValueError("not of MATLAB's level 5")
    left = MAX_BYTES
    for kind, content in _elements(data[_HEADER_BYTES:], order):
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            unpacked = unpacker.decompress(content, left)
            left -= len(unpacked)
            if not left or unpacker.unconsumed_tail:
                raise InputError(f"unpacks to over {MAX_BYTES >> 20} MiB")
            kind, content = next(_elements(unpacked, order))
        if kind == _MATRIX:
            name, parts = _named(content, order)
            if name in names:
                yield name, _array(parts, order)


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of elements that follow each other."""
    place = 0
    while place + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        start = place + 8
        if kind >> 16:  # a small one: both in one word, the content in the other
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
            if size > 4:
                raise ValueError("a small element of more than 4 bytes")
        content = data[start : start + size]
        if len(content) < size:
            raise ValueError("cut off")
        yield kind, content
        # All but compressed ones fill whole words of 8 bytes.
        place = start + size + (0 if kind == _COMPRESSED else -(start + size) % 8)


def _named(content: bytes, order: str) -> tuple[str, list[tuple[int, bytes]]]:
    """Return the name and the elements of an array; those after the first four do not matter."""
    parts = []
    for part in _elements(content, order):
        parts.append(part)
        if len(parts) == 4:
            break
    kinds = [kind for kind, _ in parts[:3]]
    if kinds != [_UINT32, _INT32, _INT8]:
        raise ValueError("an array without flags, sizes or a name")
    return parts[2][1].decode("ascii"), parts


def _array(parts: Sequence[tuple[int, bytes]], order: str) -> np.ndarray:
    (_, flags), (_, sizes), _, (stored_as, values) = parts
    (word,) = struct.unpack_from(f"{order}I", flags)
    kind = "u2" if word & 0xFF == _TEXT else _CLASSES.get(word & 0xFF)
    if kind is None or word & _COMPLEX or stored_as not in _TYPES:
        raise InputError("holds something else where numbers or text are expected")
    shape = np.frombuffer(sizes, f"{order}i4").tolist()
    if not 2 <= len(shape) <= _MOST_DIMENSIONS or min(shape) < 0:
        raise ValueError(f"an array of shape {shape}")
    stored = np.frombuffer(values, order + _TYPES[stored_as])
    array = stored.astype(kind).reshape(shape, order="F")
    if word & 0xFF == _TEXT:
        return np.array(["".join(map(chr, row.ravel())) for row in array])
    return array
