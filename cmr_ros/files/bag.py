"""Writes messages of ROS to an MCAP file, without ROS (package `rosbags`)."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files import share
from cmr_ros.files.output import PendingFile
from cmr_ros.geometry.camera import Camera

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

_START = b"\x89MCAP"


class BagWriter:
    """Writes messages as they come to one MCAP file that `ros2 bag` and Foxglove open.

    A context manager; the file appears at its end.  store: of the types that can be written.
    """

    def __init__(self, path: Path | str):
        """Take the file to write; InputError without rosbags or for a file of another kind."""
        path = Path(path)
        if path.suffix != ".mcap":
            raise InputError(f"{path}: recordings are .mcap files")
        self._target = PendingFile(path, _START)
        self.store = typestore()
        from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

        with self._target.writing():
            self._scratch = TemporaryDirectory(prefix=".bag", dir=path.parent)
            self._folder = Path(self._scratch.name) / path.stem
            self._writer = Writer(
                self._folder, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP
            )
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
        self._connections: dict[str, Any] = {}

    def __enter__(self) -> BagWriter:
        return self

    def write(self, topic: str, message: Any, time_ns: int) -> None:
        """Write a message to a topic."""
        kind = message.__msgtype__
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self.store
            )
        data = self.store.serialize_cdr(message, kind)
        with self._target.writing():
            self._writer.write(self._connections[topic], time_ns, data)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file, also when interrupted; without a single message there is none."""
        with self._scratch, self._target.writing():
            self._writer.close()
            (written,) = self._folder.glob("*.mcap")
            written.replace(self._target.partial)
        if self._connections:
            self._target.finish()
        else:
            self._target.abandon()


def typestore() -> Typestore:
    """Return the definitions of ROS's messages and of our own; InputError without rosbags."""
    try:
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore
    except ModuleNotFoundError as error:
        raise InputError(
            "recordings need the Python package 'rosbags': pip install rosbags"
        ) from error

    store = get_typestore(Stores.ROS2_HUMBLE)
    for path in share.find("msg", "HandMesh.msg").parent.glob("*.msg"):
        store.register(get_types_from_msg(path.read_text(), f"cmr_ros/msg/{path.stem}"))
    return store


class Messages:
    """Builds the messages that belong to one image; `header` is its own."""

    def __init__(self, store: Typestore, stamp_ns: int, frame_id: str):
        """Take what knows the types, and the image's time and frame."""
        self._types = store.types
        stamp = self.new("builtin_interfaces/msg/Time", *divmod(stamp_ns, 10**9))
        self.header = self.new("std_msgs/msg/Header", stamp, frame_id)

    def new(self, kind: str, *fields: Any, **named: Any) -> Any:
        """Return a message of a type such as "std_msgs/msg/Header" with all its fields."""
        return self._types[kind](*fields, **named)

    def picture(self, picture: np.ndarray, quality: int) -> Any:
        """Return an RGB picture (height, width, 3) uint8 as a CompressedImage, a JPEG."""
        settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
        code = cv2.imencode(".jpg", picture[..., ::-1], settings)[1].ravel()
        return self.new("sensor_msgs/msg/CompressedImage", self.header, "jpeg", code)

    def camera_info(self, camera: Camera, baseline_m: float = 0.0) -> Any:
        """Return the CameraInfo of images that are not rectified.

        baseline_m: how far the camera stands to the right of another one that looks the same way.
        """
        shift = np.array([[-camera.matrix[0, 0] * baseline_m], [0], [0]])
        return self.new(
            "sensor_msgs/msg/CameraInfo",
            header=self.header,
            height=camera.height,
            width=camera.width,
            distortion_model=camera.distortion_model,
            d=camera.distortion,
            k=camera.matrix.ravel(),
            r=np.eye(3).ravel(),
            p=np.hstack([camera.matrix, shift]).ravel(),
            binning_x=0,
            binning_y=0,
            roi=self.new("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False),
        )

    def points(self, positions: np.ndarray) -> list[Any]:
        """Return positions (N, 3) as Points."""
        return [self.new("geometry_msgs/msg/Point", *one) for one in positions.tolist()]
