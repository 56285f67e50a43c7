"""`cmr infer`: find the hands in pictures, a video or a camera of one's own."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.calibration import read_calibration
from cmr_ros.files.exif import horizontal_fov_deg
from cmr_ros.geometry.camera import Camera
from cmr_ros.hand import Hand
from cmr_ros.model.template import HandTemplate
from cmr_ros.pipeline import HandPipeline
from cmr_ros.sources import CameraDevice, Source, SourceImage, open_files
from cmr_ros.viewing.hand_bag import HandBag
from cmr_ros.viewing.results import (
    JsonLines,
    Meshes,
    OverlayFolder,
    OverlayPicture,
    OverlayVideo,
    Result,
)
from cmr_ros.viewing.viewer import RerunViewer

_HEADING = "hand     score   wrist x, y, z [m]          +- [mm]         rms [px]  registration"
_INTRINSICS = "give --hfov DEG (webcams have 55 to 78, phones about 65) or --camera-info FILE"


def add_arguments(parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="pictures, folders, patterns ('*.jpg'), or one video or recording (.mcap)",
    )
    parser.add_argument(
        "--camera", metavar="N", help="a camera of this machine: 0, or /dev/video0; Ctrl-C ends it"
    )
    parser.add_argument(
        "--camera-size", type=_size, metavar="WxH", help="size of its images, as in 1280x720"
    )
    intrinsics = parser.add_mutually_exclusive_group()
    intrinsics.add_argument(
        "--camera-info",
        type=Path,
        metavar="FILE",
        help="calibration: camera_calibration, a dump of camera_info, OpenCV, Kalibr, RealSense, K",
    )
    intrinsics.add_argument(
        "--hfov",
        type=float,
        metavar="DEG",
        help="horizontal field of view, if not calibrated; depth is only as good as this number "
        "(default: from the EXIF data of a photograph)",
    )
    parser.add_argument(
        "--rectified", action="store_true", help="the image is rectified: use P instead of K and D"
    )
    parser.add_argument("--model", type=Path, help="exact (default), lite, or a model folder")
    parser.add_argument("--max-hands", type=int, default=2)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="PATH",
        help="draw the hands: a .png or .jpg for one picture, a folder for several, "
        "an .mp4 or .gif for a video or camera",
    )
    parser.add_argument(
        "--scene", action="store_true", help="show the hands in 3D beside the images of a video"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a line of JSON per image")
    parser.add_argument("--ply", type=Path, metavar="DIR", help="write a mesh per hand there")
    parser.add_argument("--glb", type=Path, metavar="DIR", help="write a mesh per hand there")
    parser.add_argument(
        "--mcap", type=Path, metavar="FILE", help="write all for `ros2 bag` and Foxglove"
    )
    parser.add_argument("--rrd", type=Path, metavar="FILE", help="write all for the Rerun viewer")


def run(args) -> int:
    """Print what was found and write what was asked for; 1 where files could not be read."""
    if bool(args.files) == bool(args.camera):
        raise InputError("name pictures or a video, or a camera (--camera 0); one of the two")
    if args.camera:
        source: Source = CameraDevice(args.camera, args.camera_size)
    else:
        source = open_files(args.files)
    if source.is_sequence and not (source.camera or args.camera_info or args.hfov is not None):
        raise InputError(f"a video does not tell its camera's field of view; {_INTRINSICS}")
    _check_outputs(args, source)
    pipeline = HandPipeline(args.model, max_hands=args.max_hands)
    with ExitStack() as stack:
        results = [stack.enter_context(one) for one in _results(args, source, pipeline.template)]
        found = _follow if source.is_sequence else _search
        try:
            for image, camera, hands in found(args, pipeline, source):
                for result in results:
                    result.add(image, camera, hands)
        except KeyboardInterrupt:  # what is written so far is whole
            if not args.camera:
                print("cmr infer: stopped before the end", file=sys.stderr)
                return 130
    for problem in source.unreadable:
        print(f"cmr infer: {problem}", file=sys.stderr)
    return 1 if source.unreadable else 0


def _check_outputs(args, source: Source) -> None:
    inputs = {path.resolve() for path in source.paths}
    for output in filter(None, (args.output, args.json, args.mcap, args.rrd)):
        if output.resolve() in inputs:
            raise InputError(f"{output}: is the image itself; name another file to write")
    if args.output and args.output.resolve() in {path.parent for path in inputs}:
        raise InputError(f"{args.output}: holds the images themselves; name another folder")
    if args.output and source.is_sequence and args.output.suffix not in (".mp4", ".gif"):
        raise InputError(f"{args.output}: of a video an .mp4 or .gif is made")
    if args.output and source.count != 1 and not source.is_sequence and args.output.suffix:
        raise InputError(f"{args.output}: of {source.count} pictures; name a folder")


def _results(args, source: Source, template: HandTemplate) -> Iterator[Result]:
    if args.output and source.is_sequence:
        yield OverlayVideo(args.output, template, args.scene)
    elif args.output and args.output.suffix:
        yield OverlayPicture(args.output, template)
    elif args.output:
        yield OverlayFolder(args.output, template)
    if args.json:
        yield JsonLines(args.json)
    for kind in ("ply", "glb"):
        if folder := getattr(args, kind):
            yield Meshes(folder, template, kind)
    if args.mcap:
        yield HandBag(args.mcap, template)
    if args.rrd:
        yield RerunViewer(template.faces[0], args.rrd)


_Found = tuple[SourceImage, Camera, list[Hand]]


def _search(args, pipeline: HandPipeline, source: Source) -> Iterator[_Found]:
    """Yield each picture with the hands in it, which are printed; keep what is wrong for the end.

    Raises InputError where there is but one picture, and it cannot be used.
    """
    print(_HEADING)
    for image in _with_progress(source):
        height, width = image.picture.shape[:2]
        try:
            camera = _camera(args, width, height, image.path)
            hands = pipeline.search(image.picture, camera)
        except InputError as error:
            source.unreadable.append(str(error))
            continue
        if source.count != 1:
            _say(f"{image.path}:")
        for line in [_row(hand) for hand in hands] or ["no hand found"]:
            _say(line)
        yield image, camera, hands
    if source.count == 1 and source.unreadable:
        raise InputError(source.unreadable.pop())


def _follow(args, pipeline: HandPipeline, source: Source) -> Iterator[_Found]:
    """Yield each image of a video or camera with the hands in it; print a summary."""
    times_s, with_hands, ids = [], 0, set()
    camera_of_size = lru_cache(lambda width, height: _camera(args, width, height, None))
    is_given = args.camera_info or args.hfov is not None
    try:
        for image in _with_progress(source):
            height, width = image.picture.shape[:2]
            camera = None if is_given else source.camera
            camera = camera or camera_of_size(width, height)
            start_s = time.perf_counter()
            hands = pipeline(image.picture, camera, image.stamp_ns * 1e-9)
            times_s.append(time.perf_counter() - start_s)
            with_hands += bool(hands)
            ids |= {hand.track_id for hand in hands}
            yield image, camera, hands
    finally:
        if times_s:
            print(
                f"{len(times_s)} images, {with_hands} of them with hands, {len(ids)} hands "
                f"followed; {1000 * np.median(times_s):.0f} ms an image (median)"
            )


def _camera(args, width: int, height: int, photograph: Path | None) -> Camera:
    if args.camera_info:
        return read_calibration(args.camera_info, (width, height), args.rectified)
    hfov_deg = args.hfov
    if hfov_deg is None and photograph:
        hfov_deg = horizontal_fov_deg(photograph, width, height)
        if hfov_deg is None:
            raise InputError(f"{photograph}: no focal length in its EXIF data; {_INTRINSICS}")
        _say(f"{photograph}: {hfov_deg:.1f} degrees wide, as its EXIF data say")
    return Camera.from_fov(width, height, hfov_deg)


def _with_progress(source: Source) -> Iterable[SourceImage]:
    """Return the source, with a bar and the time left on a terminal."""
    if source.count == 1:
        return source
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        return source
    return tqdm(source, total=source.count, unit="image", disable=None, dynamic_ncols=True)


def _say(line: str) -> None:
    """Print a line, with room for the bar below it."""
    if sys.stderr.isatty() and sys.stdout.isatty():
        print("\r\033[K", end="", flush=True)
    print(line)


def _row(hand: Hand) -> str:
    xyz = " ".join(f"{value:7.3f}" for value in hand.joints_m[0])
    sigma_mm = 1000 * np.sqrt(np.diag(hand.root_covariance_m2))
    sigma = " ".join(f"{value:4.0f}" for value in sigma_mm)
    return (
        f"{hand.handedness.name.lower():8s} {hand.score:5.2f}  {xyz}    {sigma}"
        f"   {hand.rms_px:8.1f}  {hand.registration}"
    )


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)
