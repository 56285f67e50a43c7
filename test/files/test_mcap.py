"""Recordings in MCAP: read as rosbags reads them, and never unpacked without a bound."""

import struct
import tracemalloc

import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed")
import lz4.frame
from rosbags.highlevel import AnyReader

from cmr_ros.errors import InputError
from cmr_ros.files import mcap
from cmr_ros.model import weights

zstd = pytest.importorskip("backports.zstd", reason="Python 3.14 has its own")

MAGIC = b"\x89MCAP0\r\n"


def text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode()


def record(opcode: int, data: bytes = b"") -> bytes:
    return struct.pack("<BQ", opcode, len(data)) + data


def message(data: bytes, channel: int = 0) -> bytes:
    return record(5, struct.pack("<HIQQ", channel, 0, 0, 0) + data)


SCHEMA = record(3, struct.pack("<H", 1) + text("pkg/msg/Kind") + text("ros2msg") + text(""))
CHANNEL = record(4, struct.pack("<HH", 0, 1) + text("/topic") + text("cdr") + text(""))


def chunk(packed: bytes, compression: str, size: int, checksum: int = 0) -> bytes:
    head = struct.pack("<QQQI", 0, 0, size, checksum) + text(compression)
    return record(6, head + struct.pack("<Q", len(packed)) + packed)


def read(tmp_path, *records: bytes):
    path = tmp_path / "hostile.mcap"
    path.write_bytes(MAGIC + b"".join(records) + record(2, bytes(20)) + MAGIC)
    return list(mcap.messages(path, "remedy"))


def test_messages_are_those_that_rosbags_reads():
    path = weights.find("demo.mcap")
    with AnyReader([path]) as reader:
        expected = sorted((c.topic, c.msgtype, bytes(raw)) for c, _, raw in reader.messages())
    assert sorted(mcap.messages(path, "remedy")) == expected


@pytest.mark.parametrize(
    ("name", "compress"),
    [("", bytes), ("zstd", zstd.compress), ("lz4", lz4.frame.compress)],
)
def test_chunks_are_unpacked(tmp_path, name, compress):
    inside = SCHEMA + CHANNEL + message(b"first") + message(b"second")
    found = read(tmp_path, record(1), chunk(compress(inside), name, len(inside)), message(b"third"))
    assert found == [("/topic", "pkg/msg/Kind", data) for data in (b"first", b"second", b"third")]


@pytest.mark.parametrize("compress", [zstd.compress, lz4.frame.compress])
@pytest.mark.parametrize("claim", [1000, 400 << 20, 2**64 - 1])
def test_bombs_are_refused_before_they_are_unpacked(tmp_path, compress, claim):
    name = "zstd" if compress is zstd.compress else "lz4"
    bomb = chunk(compress(bytes(400 << 20)), name, claim)
    tracemalloc.start()
    with pytest.raises(InputError, match="hostile.mcap: (it unpacks to|a chunk is not)"):
        read(tmp_path, bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20


def test_chunks_count_together(tmp_path, monkeypatch):
    monkeypatch.setattr(mcap, "_MAX_UNPACKED", 10_000)
    inside = record(7, bytes(4000))
    one = chunk(zstd.compress(inside), "zstd", len(inside))
    assert read(tmp_path, one, one) == []
    with pytest.raises(InputError, match="unpacks to over"):
        read(tmp_path, one, one, one)


def test_records_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(mcap, "_MAX_RECORDS", 5)
    assert len(read(tmp_path, SCHEMA, CHANNEL, *[message(b"")] * 3)) == 3
    with pytest.raises(InputError, match="over 5 records"):
        read(tmp_path, SCHEMA, CHANNEL, *[message(b"")] * 4)


INSIDE = SCHEMA + CHANNEL
TWO_FRAMES = zstd.compress(INSIDE) + zstd.compress(INSIDE)


@pytest.mark.parametrize(
    "records",
    {
        "smaller than claimed": chunk(zstd.compress(INSIDE), "zstd", len(INSIDE) + 1),
        "larger than claimed": chunk(zstd.compress(INSIDE), "zstd", len(INSIDE) - 1),
        "not compressed, larger": chunk(INSIDE, "", len(INSIDE) - 1),
        "more than one frame": chunk(TWO_FRAMES, "zstd", 2 * len(INSIDE)),
        "cut off": chunk(zstd.compress(INSIDE)[:-3], "zstd", len(INSIDE)),
        "rubbish": chunk(b"rubbish", "lz4", 100),
        "another compression": chunk(INSIDE, "xz", len(INSIDE)),
        "checksum": chunk(INSIDE, "", len(INSIDE), checksum=1),
        "a chunk in a chunk": chunk(chunk(b"", "", 0), "", len(chunk(b"", "", 0))),
        "record beyond the chunk": chunk(struct.pack("<BQ", 5, 2**40), "", 9),
        "record beyond the file": struct.pack("<BQ", 12, 2**63),
        "no channel": message(b"data"),
        "no schema": CHANNEL,
        "an empty schema": record(3),
        "text beyond its record": record(3, struct.pack("<HI", 1, 2**32 - 1)),
        "a short message": INSIDE + record(5),
        "another encoding": SCHEMA + CHANNEL.replace(b"cdr", b"xml"),
    }.items(),
    ids=lambda item: item[0],
)
def test_damage_is_named(tmp_path, records):
    with pytest.raises(InputError, match="hostile.mcap: .*; remedy"):
        read(tmp_path, records[1])


def test_a_file_without_its_end_is_refused(tmp_path):
    path = tmp_path / "cut.mcap"
    path.write_bytes(MAGIC + INSIDE)
    with pytest.raises(InputError, match="ends early"):
        list(mcap.messages(path, "remedy"))
