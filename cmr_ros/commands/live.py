"""`cmr live`: watch the hands before a camera, in a window or in the browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files import playback
from cmr_ros.files.calibration import read_calibration
from cmr_ros.geometry.camera import Camera
from cmr_ros.model import weights
from cmr_ros.pipeline import HandPipeline
from cmr_ros.sources import CameraDevice, open_files
from cmr_ros.viewing.drawing import overlay
from cmr_ros.viewing.shown import ShownImage
from cmr_ros.viewing.viewers import VIEWERS, WEB, installed_viewer, open_viewer

#: That of many webcams.
_ASSUMED_HFOV_DEG = 65.0
_LONGEST_PAUSE_S = 1.0

#: The stamp of an image in nanoseconds, and the image (height, width, 3) uint8 RGB.
_Stamped = tuple[int, np.ndarray]


def add_arguments(parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "file", nargs="?", type=Path, help="video or recording (MCAP) to play instead of a camera"
    )
    parser.add_argument("--camera", default="0", metavar="DEV", help="/dev/videoN or N (default 0)")
    parser.add_argument(
        "--topic", help="image topic of ROS 2 instead of a camera; camera_info lies beside it"
    )
    calibration = parser.add_mutually_exclusive_group()
    calibration.add_argument(
        "--camera-info", type=Path, metavar="FILE", help="calibration, as for `cmr infer`"
    )
    calibration.add_argument(
        "--hfov",
        type=float,
        metavar="DEG",
        help=f"horizontal field of view, if not calibrated (default {_ASSUMED_HFOV_DEG:g}); "
        "depth is only as good as this number",
    )
    parser.add_argument("--model", type=Path, help="exact (default), lite, or a model folder")
    parser.add_argument("--max-hands", type=int, default=2)
    parser.add_argument(
        "--viewer", choices=VIEWERS, help="default: rerun if it is installed, else web: the browser"
    )
    parser.add_argument(
        "--web", action="store_const", dest="viewer", const=WEB, help="in the browser"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address that web and foxglove are served on (default: this machine alone can watch)",
    )
    parser.add_argument("--port", type=int, help="its port (default: 8080 for web)")


def run(args) -> None:
    """Show hands until Ctrl-C."""
    try:
        _run(args)
    except KeyboardInterrupt:
        pass


def _run(args) -> None:
    if args.topic:
        _run_topic(args)
        return
    camera, images = _open(args)
    if args.camera_info or args.hfov:
        camera = None  # another one than the recording's
    pipeline = HandPipeline(args.model, max_hands=args.max_hands, looks_beside=True)
    note = ""
    if not (camera or args.camera_info or args.hfov):
        note = f"depths assume a horizontal field of view of {_ASSUMED_HFOV_DEG:g}° (--hfov)"
    faces = pipeline.template.faces[0]
    kind = args.viewer or installed_viewer()
    with closing(open_viewer(kind, args.host, args.port, note)) as viewer:
        print(f"{viewer.invitation} Ctrl-C ends.", flush=True)
        for stamp_ns, picture in images:
            if viewer.is_watched:
                camera = camera or _camera(args, picture)
                hands = pipeline(picture, camera, stamp_ns * 1e-9)
                drawn = overlay(picture, hands, pipeline.template, camera)
                viewer.show(ShownImage(drawn, hands, faces, stamp_ns, camera=camera))


def _run_topic(args) -> None:
    if args.file or args.camera_info:
        raise InputError("--topic brings its own images and camera_info; leave the files away")
    from cmr_ros.ros.live import show_topic

    node = [f"max_hands:={args.max_hands}"]
    node += [f"assume_hfov_deg:={args.hfov}"] if args.hfov else []
    node += [f"model:={weights.hand_network(args.model).resolve()}"] if args.model else []
    viewer = [f"viewer:={args.viewer or installed_viewer()}", f"host:={args.host}"]
    show_topic(args.topic, node, [*viewer, f"port:={args.port or 0}"])


def _open(args) -> tuple[Camera | None, Iterator[_Stamped]]:
    """Return the images and, where they come with it, their camera."""
    if args.file is None:
        device = CameraDevice(args.camera)
        return None, ((image.stamp_ns, image.picture) for image in device)
    if args.file.suffix.lower() == ".mcap":
        camera, frames = playback.read(args.file)
        return camera, _paced(lambda: ((frame.stamp_ns, frame.picture()) for frame in frames))
    name = str(args.file)
    if not open_files([name]).is_sequence:
        raise InputError(f"{name}: neither a video nor a recording; `cmr infer` takes pictures")
    return None, _paced(lambda: ((image.stamp_ns, image.picture) for image in open_files([name])))


def _paced(play: Callable[[], Iterator[_Stamped]]) -> Iterator[_Stamped]:
    """Play over and over, at the rate of the stamps or as slowly as images are taken."""
    while True:
        last_ns = None
        for stamp_ns, picture in play():
            now_s = time.monotonic()
            if last_ns is None:
                due_s = now_s
            else:
                due_s = max(due_s + min((stamp_ns - last_ns) * 1e-9, _LONGEST_PAUSE_S), now_s)
            time.sleep(due_s - now_s)
            last_ns = stamp_ns
            yield stamp_ns, picture


def _camera(args, picture: np.ndarray) -> Camera:
    height, width = picture.shape[:2]
    if args.camera_info:
        return read_calibration(args.camera_info, (width, height))
    return Camera.from_fov(width, height, args.hfov or _ASSUMED_HFOV_DEG)
