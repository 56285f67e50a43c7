"""Reads recordings in MCAP, unpacking no more than a stated amount.

Records are taken in the order of the file. The index and the summary at its end are not used: they
may name the same chunk again and again, or claim other sizes than it has.

Source: https://mcap.dev/spec
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cmr_ros.errors import InputError
from cmr_ros.files.untrusted import open_regular, reading

_MAGIC = b"\x89MCAP0\r\n"
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK = 0x02, 0x03, 0x04, 0x05, 0x06
_READ = (_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK)
_MAX_FILE = 2 << 30
#: What all chunks may unpack to, unless the file itself is larger; images hardly compress.
_MAX_UNPACKED = 256 << 20
#: Hours of images; a kilobyte unpacks to millions of records that are alike.
_MAX_RECORDS = 1_000_000


def messages(path: Path | str, remedy: str) -> Iterator[tuple[str, str, bytes]]:
    """Yield topic, type ("sensor_msgs/msg/Image") and serialised message (CDR), as they come.

    Raises InputError, which ends with the remedy, for a file that is missing, damaged, cut off, or
    unpacks to far more than itself.
    """
    with (
        open_regular(path, remedy, _MAX_FILE) as file,
        reading(path, "recording in MCAP", remedy),
    ):
        types: dict[int, str] = {}
        channels: dict[int, tuple[str, str]] = {}
        for count, (opcode, data) in enumerate(_records(file)):
            if count == _MAX_RECORDS:
                raise InputError(f"it has over {_MAX_RECORDS} records")
            if opcode == _MESSAGE:
                (number,) = struct.unpack_from("<H", data)
                yield *channels[number], data[22:]
            elif opcode == _SCHEMA:
                (number,) = struct.unpack_from("<H", data)
                types[number] = _text(data, 2)[0]
            elif opcode == _CHANNEL:
                number, schema = struct.unpack_from("<HH", data)
                topic, end = _text(data, 4)
                encoding, _ = _text(data, end)
                if encoding != "cdr":
                    raise InputError(f"{topic} is encoded in {encoding!r}, expected 'cdr'")
                channels[number] = (topic, types[schema])


def _records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield opcode and content of all records before the footer, those in chunks too."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise InputError("it does not begin as MCAP")
    size = os.fstat(file.fileno()).st_size
    left = max(_MAX_UNPACKED, size)
    for opcode, data in _split(file, size):
        if opcode == _FOOTER:
            return
        if opcode != _CHUNK:
            yield opcode, data
            continue
        unpacked = _unpack(data, left)
        left -= len(unpacked)
        for inner, record in _split(io.BytesIO(unpacked), len(unpacked)):
            if inner == _CHUNK:
                raise InputError("a chunk within a chunk")
            yield inner, record
    raise InputError("it ends early")


def _split(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield opcode and content of the records in `end` bytes; no content of those not needed."""
    while file.tell() < end:
        opcode, size = struct.unpack("<BQ", file.read(9))
        if size > end - file.tell():
            raise InputError("it ends within a record")
        if opcode in _READ:
            yield opcode, file.read(size)
        else:
            file.seek(size, os.SEEK_CUR)
            yield opcode, b""


def _unpack(chunk: bytes, max_bytes: int) -> bytes:
    """Return the records of a chunk; InputError for more than max_bytes or than it claims."""
    size, checksum = struct.unpack_from("<QI", chunk, 16)
    compression, at = _text(chunk, 28)
    (packed_size,) = struct.unpack_from("<Q", chunk, at)
    packed = chunk[at + 8 : at + 8 + packed_size]
    if size > max_bytes:
        raise InputError(f"it unpacks to over {_MAX_UNPACKED >> 20} MiB")
    if not compression:
        data = packed
    else:
        decompressor = _decompressor(compression)
        # One byte more than is claimed shows that there is more.
        data = decompressor.decompress(packed, size + 1)
        if not decompressor.eof or decompressor.unused_data:
            raise InputError(f"a chunk is not the {size} bytes that it claims")
    if len(data) != size or (checksum and zlib.crc32(data) != checksum):
        raise InputError("a chunk is damaged")
    return data


def _decompressor(name: str) -> Any:
    makers: dict[str, Callable] = {"zstd": _zstd, "lz4": _lz4}
    if name not in makers:
        raise InputError(f"a chunk is compressed with {name!r}, expected zstd or lz4")
    return makers[name]()


def _zstd() -> Any:
    try:
        from compression.zstd import ZstdDecompressor  # Python 3.14
    except ModuleNotFoundError:
        from backports.zstd import ZstdDecompressor  # with rosbags
    return ZstdDecompressor()


def _lz4() -> Any:
    from lz4.frame import LZ4FrameDecompressor  # with rosbags

    return LZ4FrameDecompressor()


def _text(data: bytes, at: int) -> tuple[str, int]:
    """Return the text at a place and the place after it."""
    (size,) = struct.unpack_from("<I", data, at)
    end = at + 4 + size
    if end > len(data):
        raise InputError("a text ends early")
    return data[at + 4 : end].decode(), end
