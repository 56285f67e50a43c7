"""Writes serialised messages to an MCAP file that `ros2 bag`, Foxglove and Rerun open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cmr_ros.errors import InputError
from cmr_ros.files.bag import typestore
from cmr_ros.files.untrusted import read_yaml

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

_MARK = "cmr_ros demo"


@dataclass(frozen=True)
class Sent:
    """A message on a topic."""

    topic: str
    kind: str  # its type, as in "std_msgs/msg/Header"
    data: bytes  # serialised (CDR)
    time_ns: int


def write_bag(folder: Path, messages: Iterable[Sent]) -> Path:
    """Write messages to a bag, a folder with one MCAP file; return that file.

    A bag that this function made is replaced; raises InputError for any other folder or file.
    """
    check_bag(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    store = typestore()
    with TemporaryDirectory(prefix=".bag", dir=folder.parent) as scratch:
        made = Path(scratch) / folder.name
        _write(made, messages, store)
        if folder.exists():
            folder.rename(Path(scratch) / "old")
        made.rename(folder)
    (file,) = folder.glob("*.mcap")
    return file


def check_bag(folder: Path) -> None:
    """Raise InputError for a folder that exists, unless `write_bag` made it and nobody added to it.

    Bags carry a mark in their metadata.
    """
    if not folder.exists():
        return
    remedy = "move it away or name another --output"
    files = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if files <= {"metadata.yaml", f"{folder.name}.mcap"} and "metadata.yaml" in files:
        content = read_yaml(folder / "metadata.yaml", remedy)
        if _MARK in str(content):
            return
    raise InputError(f"{folder}: exists and was not made by `cmr demo`; {remedy}")


def _write(folder: Path, messages: Iterable[Sent], store: Typestore) -> None:
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    writer = Writer(folder, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    writer.set_custom_data("made_by", _MARK)
    connections = {}
    with writer:
        for sent in sorted(messages, key=lambda sent: sent.time_ns):
            if sent.topic not in connections:
                connections[sent.topic] = writer.add_connection(
                    sent.topic, sent.kind, typestore=store
                )
            writer.write(connections[sent.topic], sent.time_ns, sent.data)
