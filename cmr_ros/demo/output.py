"""What a demonstration leaves behind: pictures, a video, meshes and everything published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from cmr_ros.demo.bag import Sent, write_bag
from cmr_ros.demo.play import DEBUG_IMAGE, HANDS
from cmr_ros.files.output import check_replaceable, write_ply
from cmr_ros.files.pictures import write_picture
from cmr_ros.files.playback import IMAGE_TOPIC
from cmr_ros.files.stamps import nanoseconds
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.msg import HandMesh, HandMeshArray
from cmr_ros.ros.pictures import to_rgb

#: Name of the bag in the output folder.
RECORDING = "recording"
_SHEET_COLUMNS, _SHEET_ROWS, _SHEET_WIDTH_PX = 4, 3, 1920


def write_all(folder: Path, sent: Sequence[Sent], faces: np.ndarray) -> list[Path]:
    """Write what there is to show of a demonstration and return the files and folders made.

    sent: all messages of camera and node, in the order of time.  faces: (F, 3) of the template.
    """
    start_ns = next(message.time_ns for message in sent if message.topic == IMAGE_TOPIC)
    made = [write_bag(folder / RECORDING, sent)]
    drawn = [message for message in sent if message.topic == DEBUG_IMAGE]
    if drawn:
        made.append(_write_sheet(folder / "contact_sheet.png", drawn, start_ns))
        made += _write_video(folder / "overlay.mp4", drawn)
    return made + _write_meshes(folder / "meshes", sent, faces, start_ns)


def _image(message: Sent) -> Image:
    return deserialize_message(message.data, Image)


def _write_sheet(path: Path, drawn: Sequence[Sent], start_ns: int) -> Path:
    """Write twelve pictures, evenly spread over time, with the seconds since the start."""
    count = _SHEET_COLUMNS * _SHEET_ROWS
    width = _SHEET_WIDTH_PX // _SHEET_COLUMNS
    tiles = []
    for index in np.unique(np.linspace(0, len(drawn) - 1, count).round().astype(int)):
        image = _image(drawn[index])
        size = (width, width * image.height // image.width)
        tile = cv2.resize(to_rgb(image), size, interpolation=cv2.INTER_AREA)
        text = f"{(nanoseconds(image.header.stamp) - start_ns) / 1e9:.1f} s"
        place = (8, size[1] - 10)
        cv2.putText(tile, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 4, cv2.LINE_AA)
        cv2.putText(tile, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255,) * 3, 1, cv2.LINE_AA)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _SHEET_COLUMNS)
    rows = [np.hstack(tiles[i : i + _SHEET_COLUMNS]) for i in range(0, len(tiles), _SHEET_COLUMNS)]
    write_picture(path, np.vstack(rows))
    return path


def _write_video(path: Path, drawn: Sequence[Sent]) -> list[Path]:
    """Write the pictures as MP4; return nothing where this OpenCV has no encoder for it."""
    first = _image(drawn[0])
    duration_s = max((drawn[-1].time_ns - drawn[0].time_ns) * 1e-9, 0.1)
    rate_hz = max((len(drawn) - 1) / duration_s, 1.0)  # that of the camera, less pictures skipped
    path.parent.mkdir(parents=True, exist_ok=True)
    check_replaceable(path, b"ftyp", offset=4)
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*"mp4v"), rate_hz, (first.width, first.height)
    )
    if not writer.isOpened():
        return []
    for message in drawn:
        writer.write(cv2.cvtColor(to_rgb(_image(message)), cv2.COLOR_RGB2BGR))
    writer.release()
    return [path]


def _write_meshes(
    folder: Path, sent: Sequence[Sent], faces: np.ndarray, start_ns: int
) -> list[Path]:
    """Write the meshes of one picture per second as PLY."""
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
    return [folder] if any(seconds.values()) else []


def _write_mesh(folder: Path, second: int, hand: HandMesh, faces: np.ndarray) -> None:
    side = Handedness(hand.handedness)
    if side is Handedness.LEFT:
        faces = faces[:, ::-1]  # left hands are mirrored
    name = f"second_{second}_{side.name.lower()}_{hand.track_id}.ply"
    write_ply(folder / name, np.reshape(hand.vertices, (-1, 3)), faces)
