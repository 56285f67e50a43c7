"""Opens and reads the files of strangers: text, JSON, YAML and numpy's arrays.

What a file may cost is bounded before it is read: it must be a regular file (a pipe would be waited
for, a device would never end) of a stated size, and neither its nesting nor its aliases make more
of it than it holds.  Whatever is wrong is one InputError that names the file and the remedy.
Pickles are read by `files.pickles`, images by `files.pictures`.
"""

from __future__ import annotations

import io
import json
import math
import os
import stat
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import yaml

from cmr_ros.errors import InputError, reason

#: Larger than any template, calibration or card: a file that big is none.
MAX_BYTES = 256 << 20
#: What the values of a JSON file may take, unless its reader allows more.
_MAX_JSON_MEMORY = 512 << 20
#: No file of ours nests deeper, or names more values by its aliases.
_MAX_DEPTH, _MAX_VALUES = 20, 20_000_000
#: A number of more digits is none that anybody measured.
_MAX_DIGITS = 40
#: Arrays of numbers and text; their items are their bytes, which no array of objects can say.
_PLAIN = "biufcSU"
_HEADER_2_0 = np.lib.format.read_array_header_2_0


def open_regular(path: Path | str, remedy: str, max_bytes: int = MAX_BYTES) -> BinaryIO:
    """Return an open regular file of at most max_bytes; raises InputError, which names the remedy.

    Pipes, devices, sockets and folders are refused without waiting for them.
    """
    try:
        # Without O_NONBLOCK the opening of a pipe waits for its other end.
        file = open(path, "rb", opener=lambda name, mode: os.open(name, mode | os.O_NONBLOCK))
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise InputError(f"{path}: {_why(error)}; {remedy}") from None
    status = os.fstat(file.fileno())
    problem = None
    if not stat.S_ISREG(status.st_mode):
        problem = "a pipe or device, not a file"
    elif status.st_size > max_bytes:
        problem = f"over {max_bytes / (1 << 20):g} MiB, more than such a file holds"
    if problem:
        file.close()
        raise InputError(f"{path}: {problem}; {remedy}")
    return file


def read_bytes(path: Path | str, remedy: str, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the content of a regular file of at most max_bytes; raises InputError."""
    with open_regular(path, remedy, max_bytes) as file, reading(path, "file", remedy):
        return file.read()


def _why(error: Exception) -> str:
    known = {FileNotFoundError: "no such file", IsADirectoryError: "a folder, not a file"}
    return known.get(type(error)) or getattr(error, "strerror", None) or reason(error)


@contextmanager
def reading(path: Path | str, what: str, remedy: str) -> Iterator[None]:
    """Turn whatever a reader raises inside the block into one InputError with path and remedy.

    Readers of damaged files fail in every way there is, so every exception counts as damage; that
    leaves no fault of our own code unseen only because the block holds a reader and nothing else.
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}; {remedy}") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply; {remedy}") from None
    except MemoryError:
        raise InputError(f"{path}: asks for more memory than there is; {remedy}") from None
    except Exception as error:
        raise InputError(f"{path}: not a readable {what} ({reason(error)}); {remedy}") from None


def read_json(
    path: Path | str,
    remedy: str,
    max_bytes: int = MAX_BYTES,
    max_memory: int = _MAX_JSON_MEMORY,
) -> Any:
    """Return the value in a JSON file.

    Args:
        path: of the file.
        remedy: what errors end with.
        max_bytes: of the file.
        max_memory: of its values in bytes, which may be 40 times the file.

    Raises:
        InputError: for a file that is missing, damaged or holds too much.

    """
    data = read_bytes(path, remedy, max_bytes)
    # What Python's objects take, estimated by what begins or follows one.
    memory = len(data) + 64 * data.count(b"[") + 256 * data.count(b"{") + 40 * data.count(b",")
    if memory > max_memory:
        raise InputError(f"{path}: its values take {memory >> 20} MiB, too many; {remedy}")
    with reading(path, "JSON file", remedy):
        return json.loads(data, parse_int=_integer)


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


class _Loader(yaml.SafeLoader):
    """Plain values only: no aliases, which multiply, and no dates or numbers to base 60."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has aliases (*name), write the values out")
        return super().compose_node(parent, index)

    def construct_scalar(self, node: Any) -> Any:
        is_number = node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
        if is_number and (len(node.value) > _MAX_DIGITS or ":" in node.value):
            raise yaml.YAMLError("a number to base 60, or of too many digits")
        return super().construct_scalar(node)


def read_yaml(path: Path | str, remedy: str, max_bytes: int = 1 << 16) -> Any:
    """Return the first document in a YAML or JSON file; raises InputError."""
    return parse_yaml(read_bytes(path, remedy, max_bytes), path, remedy)


def parse_yaml(text: bytes | str, name: Path | str, remedy: str) -> Any:
    """Return the first document in a text; raises InputError, which begins with the name."""
    with reading(name, "YAML or JSON text", remedy):
        return next(yaml.load_all(text, _Loader), None)


def check_extent(value: Any, path: Path | str, remedy: str) -> None:
    """Raise InputError if a nested value is too deep, or unfolds to too much.

    Values that a pickle names twice are one object; whoever walks through them meets them twice.
    """
    left = _MAX_VALUES
    waiting = [iter([value])]
    while waiting:
        entry = next(waiting[-1], waiting)
        if entry is waiting:
            waiting.pop()
            continue
        left -= 1
        if left < 0 or len(waiting) > _MAX_DEPTH:
            raise InputError(f"{path}: nested too deep or unfolds to too much; {remedy}")
        entry = getattr(entry, "state", entry)
        if isinstance(entry, Mapping):
            waiting.append(iter(entry.values()))
        elif isinstance(entry, (list, tuple)):
            waiting.append(iter(entry))
        elif isinstance(entry, np.ndarray) and entry.dtype == object:
            waiting.append(iter(entry.ravel().tolist()))


def read_npz(
    path: Path | str, remedy: str, names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Return all arrays of an .npz file, or those of the given names.

    Raises InputError, which ends with the remedy, for a file that is missing, damaged, unpacks to
    far more than itself, holds objects instead of numbers, or lacks one of the names.
    """
    with open_regular(path, remedy, max_bytes=1 << 36) as file:
        # What is not compressed is as large as its file: no small file unpacks to it.
        allowed = max(MAX_BYTES, os.fstat(file.fileno()).st_size)
        with reading(path, ".npz", remedy):
            if file.read(6) == b"\x93NUMPY":
                raise InputError("a single array, not an .npz of several")
            with zipfile.ZipFile(file) as archive:
                entries = {
                    entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()
                }
                for name in names or ():
                    if name not in entries:
                        raise InputError(f"the array {name!r} is missing")
                wanted = list(entries) if names is None else names
                if sum(entries[name].file_size for name in wanted) > allowed:
                    raise InputError(f"unpacks to over {MAX_BYTES >> 20} MiB")
                return {name: _entry(archive, entries[name]) for name in wanted}


def _entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    if entry.flag_bits & 1:
        raise ValueError(f"{entry.filename} is encrypted")
    # numpy compresses by deflating; others (LZMA) need memory that no header states.
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} is compressed in a way that numpy does not write")
    with archive.open(entry) as file:
        return _array(file, entry.file_size)


def read_npy(path: Path | str, remedy: str, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Return the array of an .npy file; raises InputError."""
    data = read_bytes(path, remedy, max_bytes)
    with reading(path, ".npy", remedy):
        return _array(io.BytesIO(data), len(data))


def _array(file: Any, size: int) -> np.ndarray:
    """Read an array from a file of a size in bytes; ValueError if it is not a whole plain array."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the format")
    header = np.lib.format.read_array_header_1_0
    shape, columns_first, kind = (header if version == (1, 0) else _HEADER_2_0)(file)
    if kind.kind not in _PLAIN or kind.subdtype:
        raise ValueError(f"an array of {kind}, expected numbers")
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count * kind.itemsize > size:
        raise ValueError(f"the shape {shape} asks for more than the file holds")
    data = bytearray(count * kind.itemsize)
    if file.readinto(data) != len(data):
        raise ValueError("it ends early")
    array = np.frombuffer(data, kind)
    return array.reshape(shape[::-1]).T if columns_first else array.reshape(shape)
