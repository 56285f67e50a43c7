"""Reads what torch.save wrote, tensors and plain values, without torch.load.

torch.load(weights_only=True) runs no code of a file, but a file may still choose how much memory it
takes, make tensors that are none (sparse, quantised, without data) and nest until the process ends.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from cmr_ros.errors import InputError
from cmr_ros.files.pickle_machine import Function, Machine, Pieces
from cmr_ros.files.untrusted import check_extent, open_regular, reading

#: With an optimiser's state a checkpoint holds three numbers for each parameter.
_MAX_BYTES = 16 << 30
_MAX_PICKLE_BYTES = 64 << 20
#: How files up to torch 1.5 start: the pickle of a number.
_OLD_MAGIC = 0x1950A86A20F9469CFC6C
_OLD_START = b"\x80\x02\x8a\x0a" + _OLD_MAGIC.to_bytes(10, "little")
_TYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def read_torch_file(path: Path | str, remedy: str) -> Any:
    """Return the tensors, on the CPU, and plain values of a file that torch.save wrote.

    Raises InputError, which ends with the remedy, for a file that is missing, damaged, or asks for
    more than that.
    """
    with open_regular(path, remedy, _MAX_BYTES) as file:
        with reading(path, "checkpoint", remedy):
            start = file.read(len(_OLD_START))
            file.seek(0)
            content = _read_old(file) if start == _OLD_START else _read_zip(file)
    check_extent(content, path, remedy)
    return content


@dataclass(frozen=True)
class _Key:
    """Names the numbers of tensors: how a pickle refers to them."""

    name: str
    dtype: torch.dtype
    count: int

    @classmethod
    def read(cls, entry: Any) -> _Key:
        what, dtype, name, _, count = entry[:5]
        if what != "storage" or not isinstance(dtype, torch.dtype) or not isinstance(name, str):
            raise ValueError("a tensor without numbers")
        return cls(name, dtype, _whole(count))

    @property
    def size(self) -> int:
        return self.count * self.dtype.itemsize


def _read_zip(file: BinaryIO) -> Any:
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        folders = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")]
        (folder,) = folders
        order = folder + "byteorder"
        if order in entries and archive.read(order) != b"little":
            raise InputError("written by a machine of another byte order")
        left = file.seek(0, 2)
        known: dict[_Key, torch.Tensor] = {}

        def numbers(entry: Any) -> torch.Tensor:
            nonlocal left
            key = _Key.read(entry)
            if key not in known:
                stored = entries[f"{folder}data/{key.name}"]
                left -= key.size  # entries that share their bytes unpack to more than the file
                if stored.compress_type != zipfile.ZIP_STORED or left < 0:
                    raise InputError("refused, it unpacks to more than itself")
                known[key] = _flat(archive.read(stored), key)
            return known[key]

        pickled = entries[f"{folder}data.pkl"]
        if pickled.file_size > _MAX_PICKLE_BYTES:
            raise InputError("refused, its pickle is longer than that of any network")
        return _run(Pieces(archive.read(pickled)), numbers, _tensor)


def _read_old(file: BinaryIO) -> Any:
    """Read a file up to torch 1.5: five pickles, and the numbers behind them."""
    stream = Pieces(file.read())
    keys: dict[str, _Key] = {}

    def remember(entry: Any) -> None:
        key = _Key.read(entry)
        if keys.setdefault(key.name, key) != key or (len(entry) > 5 and entry[5] is not None):
            raise InputError("refused, its tensors share numbers in a way that is not needed")

    for _ in range(3):
        _run(stream, remember, _tensor)
    start = stream.tell()
    _run(stream, remember, lambda *_: None)  # a first time, to learn what follows
    known = {}
    for name in _run(stream, remember, _tensor):
        key = keys[name]
        if struct.unpack("<q", stream.read(8)) != (key.count,):
            raise ValueError("the numbers of its tensors are missing")
        known[key] = _flat(io.BytesIO.read(stream, key.size), key)
    stream.seek(start)
    return _run(stream, lambda entry: known[_Key.read(entry)], _tensor)


def _flat(data: bytes, key: _Key) -> torch.Tensor:
    if len(data) != key.size:
        raise ValueError("the numbers of its tensors are missing")
    if not data:  # frombuffer takes no empty buffers
        return torch.empty(0, dtype=key.dtype)
    return torch.frombuffer(bytearray(data), dtype=key.dtype)


def _run(stream: Pieces, numbers: Callable[[Any], Any], tensor: Callable[..., Any]) -> Any:
    known = {
        ("torch._utils", "_rebuild_tensor"): Function(tensor),
        ("torch._utils", "_rebuild_tensor_v2"): Function(tensor),
        ("torch._utils", "_rebuild_parameter"): Function(lambda data, *_: data),
        ("collections", "OrderedDict"): Function(_dictionary),
        ("torch", "Size"): Function(tuple),
    }

    def find(module: str, name: str) -> Any:
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        if (module, name) not in known:
            raise InputError(f"refused, it asks for {module}.{name}, which weights do not need")
        return known[module, name]

    return Machine(find, _set_state, numbers).run(stream)


def _dictionary(*items: Any) -> dict[Any, Any]:
    if items:
        raise InputError("refused, it makes a dictionary in a way that is not needed")
    return {}


def _set_state(target: Any, _: Any) -> None:
    # What hangs on a network's dictionary, versions of its layers, is no parameter.
    if not isinstance(target, dict):
        raise InputError("refused, it sets the state of what has none")


def _tensor(numbers: Any, offset: Any, size: Any, stride: Any, *_: Any) -> torch.Tensor:
    """Return a view of numbers; ValueError if it reaches beyond them or repeats them."""
    size, stride = ([_whole(length) for length in lengths] for lengths in (size, stride))
    reach = sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    count = math.prod(size)
    if count > len(numbers) or (count and _whole(offset) + reach >= len(numbers)):
        raise ValueError("a tensor of more numbers than there are")
    return numbers.as_strided(size, stride, offset if count else 0)


def _whole(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"a size of {value!r}")
    return value
