"""Writes serialised messages to an MCAP file that `ros2 bag`, Foxglove and Rerun open."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cmr_ros.files import share

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore


@dataclass(frozen=True)
class Sent:
    """A message on a topic."""

    topic: str
    kind: str  # its type, as in "std_msgs/msg/Header"
    data: bytes  # serialised (CDR)
    time_ns: int


def write_bag(folder: Path, messages: Iterable[Sent]) -> Path:
    """Write messages to a new bag, a folder with one MCAP file; return that file."""
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    store = _typestore()
    writer = Writer(folder, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    connections = {}
    with writer:
        for sent in sorted(messages, key=lambda sent: sent.time_ns):
            if sent.topic not in connections:
                connections[sent.topic] = writer.add_connection(
                    sent.topic, sent.kind, typestore=store
                )
            writer.write(connections[sent.topic], sent.time_ns, sent.data)
    (file,) = folder.glob("*.mcap")
    return file


def _typestore() -> Typestore:
    """Return the definitions of ROS's messages and of our own."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    for path in share.find("msg", "HandMesh.msg").parent.glob("*.msg"):
        store.register(get_types_from_msg(path.read_text(), f"cmr_ros/msg/{path.stem}"))
    return store
