"""What a demonstration leaves behind: pictures, a video, meshes and everything published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from cmr_ros.demo.bag import Sent, write_bag
from cmr_ros.demo.play import DEBUG_IMAGE, HANDS
from cmr_ros.errors import InputError
from cmr_ros.files.output import check_replaceable, write_ply
from cmr_ros.files.pictures import write_picture
from cmr_ros.files.playback import IMAGE_TOPIC
from cmr_ros.files.stamps import nanoseconds
from cmr_ros.files.video import VideoWriter
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.msg import HandMesh, HandMeshArray
from cmr_ros.ros.pictures import to_rgb

#: Names in the output folder.
RECORDING, VIDEO, SHEET, MESHES = "recording", "overlay.mp4", "contact_sheet.png", "meshes"
_SHEET_COLUMNS, _SHEET_ROWS, _SHEET_WIDTH_PX = 4, 3, 1920


def write_all(
    folder: Path, sent: Sequence[Sent], faces: np.ndarray, recorded_ns: Mapping[int, int]
) -> list[str]:
    """Write what there is to show of a demonstration; return a line for each file and folder.

    Args:
        folder: to write to.
        sent: all messages of camera and node, in the order of time.
        faces: (F, 3) of the template.
        recorded_ns: of the stamp of an image, the one in the recording.

    """
    start_ns = next(message.time_ns for message in sent if message.topic == IMAGE_TOPIC)
    made = [f"wrote {write_bag(folder / RECORDING, sent)}"]
    drawn = {
        recorded_ns[nanoseconds(_image(message).header.stamp)]: message
        for message in sent
        if message.topic == DEBUG_IMAGE
    }
    if drawn:
        made.append(f"wrote {_write_sheet(folder / SHEET, drawn)}")
        try:
            with VideoWriter(folder / VIDEO) as video:
                for stamp_ns, message in drawn.items():
                    video.write(to_rgb(_image(message)), stamp_ns)
            made.append(f"wrote {folder / VIDEO}")
        except InputError as error:  # without PyAV
            made.append(f"no video: {error}")
    if _write_meshes(folder / MESHES, sent, faces, start_ns):
        made.append(f"wrote {folder / MESHES}")
    return made


def _image(message: Sent) -> Image:
    return deserialize_message(message.data, Image)


def _write_sheet(path: Path, drawn: Mapping[int, Sent]) -> Path:
    """Write twelve pictures, evenly spread over time, with the seconds since the start."""
    stamps_ns = list(drawn)
    count = _SHEET_COLUMNS * _SHEET_ROWS
    width = _SHEET_WIDTH_PX // _SHEET_COLUMNS
    tiles = []
    for index in np.unique(np.linspace(0, len(drawn) - 1, count).round().astype(int)):
        image = _image(drawn[stamps_ns[index]])
        size = (width, width * image.height // image.width)
        tile = cv2.resize(to_rgb(image), size, interpolation=cv2.INTER_AREA)
        text = f"{(stamps_ns[index] - stamps_ns[0]) / 1e9:.1f} s"
        place = (8, size[1] - 10)
        cv2.putText(tile, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 4, cv2.LINE_AA)
        cv2.putText(tile, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255,) * 3, 1, cv2.LINE_AA)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _SHEET_COLUMNS)
    rows = [np.hstack(tiles[i : i + _SHEET_COLUMNS]) for i in range(0, len(tiles), _SHEET_COLUMNS)]
    write_picture(path, np.vstack(rows))
    return path


def _write_meshes(folder: Path, sent: Sequence[Sent], faces: np.ndarray, start_ns: int) -> bool:
    """Write the meshes of one picture per second as PLY; return whether there are any."""
    for old in folder.glob("second_*_*_*.ply"):
        check_replaceable(old, b"ply\n")
        old.unlink()
    seconds = {}
    for message in sent:
        if message.topic == HANDS:
            hands = deserialize_message(message.data, HandMeshArray).hands
            second = (message.time_ns - start_ns) // 1_000_000_000
            if len(hands) >= len(seconds.get(second, ())):
                seconds[second] = hands
    for second, hands in seconds.items():
        for hand in hands:
            _write_mesh(folder, second, hand, faces)
    return any(map(len, seconds.values()))


def _write_mesh(folder: Path, second: int, hand: HandMesh, faces: np.ndarray) -> None:
    side = Handedness(hand.handedness)
    if side is Handedness.LEFT:
        faces = faces[:, ::-1]  # left hands are mirrored
    name = f"second_{second}_{side.name.lower()}_{hand.track_id}.ply"
    write_ply(folder / name, np.reshape(hand.vertices, (-1, 3)), faces)
