"""Reads arrays from MATLAB's files (level 5), after a look at what they will unpack to."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.untrusted import MAX_BYTES, read_bytes, reading

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
#: Classes of arrays: text and numbers.  Cells, structures and objects nest, as deep as a file says.
_PLAIN_CLASSES = (4, *range(6, 16))


def read_matlab(path: Path, names: Sequence[str], remedy: str) -> dict[str, np.ndarray]:
    """Return the named arrays of a MATLAB file; raises InputError, which ends with the remedy."""
    from scipy.io import loadmat

    data = read_bytes(path, remedy)
    with reading(path, "MATLAB file", remedy):
        _check(data)
        content = loadmat(io.BytesIO(data), variable_names=names)
        for name in names:
            if name not in content:
                raise InputError(f"entry {name!r} is missing")
        return {name: content[name] for name in names}


def _check(data: bytes) -> None:
    """Raise InputError for a file that nests or unpacks to too much, ValueError for another."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise ValueError("not of MATLAB's level 5")
    place, unpacked = _HEADER_BYTES, 0
    while place + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        start = data[place + 8 : place + 8 + 32]
        if kind == _COMPRESSED:
            packed = data[place + 8 : place + 8 + size]
            unpacker = zlib.decompressobj()
            start = unpacker.decompress(packed, 40)
            inner, _ = struct.unpack_from(f"{order}II", start)
            unpacked += len(start)
            while (rest := unpacker.unconsumed_tail) and unpacked <= MAX_BYTES:
                unpacked += len(unpacker.decompress(rest, 1 << 20))
            kind, start = inner, start[8:]
        if unpacked > MAX_BYTES:
            raise InputError(f"unpacks to over {MAX_BYTES >> 20} MiB")
        # The element starts with its flags (8 bytes of tag), whose lowest byte is the class.
        if kind == _MATRIX and struct.unpack_from(f"{order}I", start, 8)[0] & 0xFF not in (
            _PLAIN_CLASSES
        ):
            raise InputError("holds cells, structures or objects where arrays are expected")
        place += 8 + size
