"""Where images come from, with their times: files, folders, videos, recordings and cameras."""

from __future__ import annotations

import glob
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files import playback
from cmr_ros.files.pictures import quiet, read_picture
from cmr_ros.files.video import VIDEO_SUFFIXES, VideoReader
from cmr_ros.geometry.camera import Camera

#: Some containers estimate how many images they hold: this share will do.
_ALL = 0.9
#: What is taken of a folder.
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class SourceImage:
    """An image and where it is from."""

    #: Unique in its source; may be part of the name of a file: "photo", "clip_000012".
    name: str
    #: Since the start of a video, since the epoch for a camera; pictures are a second apart.
    stamp_ns: int
    #: RGB (height, width, 3) uint8.
    picture: np.ndarray
    #: The file, where it has one of its own.
    path: Path | None = None


class Source(Protocol):
    """Yields images, once."""

    #: Whether hands may be followed from one image to the next.
    is_sequence: bool
    #: That of all images, where it comes with them.
    camera: Camera | None
    #: How many images there are, as far as known.
    count: int | None
    #: The files that it reads.
    paths: Sequence[Path]
    #: What could not be read, and why; grows while images are taken.
    unreadable: list[str]

    def __iter__(self) -> Iterator[SourceImage]: ...


class PictureFiles:
    """Pictures that have nothing to do with each other; unreadable ones are left out."""

    is_sequence = False
    camera = None

    def __init__(self, paths: Sequence[Path]):
        self.paths = paths
        self.count: int | None = len(paths)
        self.unreadable: list[str] = []

    def __iter__(self) -> Iterator[SourceImage]:
        names: set[str] = set()
        for index, path in enumerate(self.paths):
            try:
                picture = read_picture(path)
            except InputError as error:
                self.unreadable.append(str(error))
                continue
            yield SourceImage(_unique(path.stem, names), index * 10**9, picture, path)


class VideoFile:
    """The images of a video; raises InputError for a file that is none."""

    is_sequence = True
    camera = None

    def __init__(self, path: Path):
        self._video = VideoReader(path)
        self.paths: Sequence[Path] = [path]
        self.count = self._video.count
        self.unreadable: list[str] = []

    def __iter__(self) -> Iterator[SourceImage]:
        stem, read = self.paths[0].stem, 0
        for stamp_ns, picture in self._video:
            yield SourceImage(f"{stem}_{read:06d}", stamp_ns, picture)
            read += 1
        if self.count and read < _ALL * self.count:
            self.unreadable.append(f"{self.paths[0]}: ends after {read} of {self.count} images")


class RecordingFile:
    """The images of a recording in MCAP with their camera; raises InputError for a file of others.

    Recordings are those that `cmr synth recording` and `cmr infer --mcap` write.
    """

    is_sequence = True

    def __init__(self, path: Path):
        self.camera, self._frames = playback.read(path)
        self.count: int | None = len(self._frames)
        self.paths: Sequence[Path] = [path]
        self.unreadable: list[str] = []

    def __iter__(self) -> Iterator[SourceImage]:
        stem = self.paths[0].stem
        for index, frame in enumerate(self._frames):
            yield SourceImage(f"{stem}_{index:06d}", frame.stamp_ns, frame.picture())


class CameraDevice:
    """The images of a camera of Video4Linux, for ever.

    Raises InputError where there is no camera, it is in use, or it stops to deliver.
    """

    is_sequence = True
    camera = None
    count = None
    paths: Sequence[Path] = ()

    def __init__(self, device: str, size: tuple[int, int] | None = None):
        """Open a camera by number ("0") or file ("/dev/video0"), with a width and height."""
        self.unreadable: list[str] = []
        self._file = f"/dev/video{device}" if device.isdecimal() else device
        with quiet():
            self._capture = cv2.VideoCapture(self._file, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            present = ", ".join(sorted(glob.glob("/dev/video*"))) or "none"
            raise InputError(
                f"{self._file}: no camera that can be opened (present: {present}); is it plugged "
                "in, free, and may this user read it (group video)?"
            )
        # Uncompressed images of this size come at 5 per second over USB 2.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        if size:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest image, not the oldest

    def __iter__(self) -> Iterator[SourceImage]:
        index = 0
        try:
            while True:
                read, picture = self._capture.read()
                if not read:
                    raise InputError(
                        f"{self._file}: the camera delivers no images; plug it in again"
                    )
                stamp_ns = time.time_ns()
                rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
                yield SourceImage(f"camera_{index:06d}", stamp_ns, rgb)
                index += 1
        finally:
            self._capture.release()


def open_files(names: Sequence[str]) -> PictureFiles | VideoFile | RecordingFile:
    """Return what a user named: one video or recording, or pictures, folders and patterns.

    Raises InputError for a folder or pattern without pictures, and for a video among others.
    """
    paths = [path for name in names for path in _expand(name)]
    films = [path for path in paths if path.suffix.lower() in (*VIDEO_SUFFIXES, ".mcap")]
    if not films:
        return PictureFiles(paths)
    if len(paths) > 1:
        raise InputError(f"{films[0]}: one video at a time, and no pictures with it")
    return RecordingFile(paths[0]) if films[0].suffix.lower() == ".mcap" else VideoFile(paths[0])


def _expand(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        found = sorted(one for one in path.iterdir() if one.suffix.lower() in PICTURE_SUFFIXES)
        if not found:
            raise InputError(f"{path}: no picture in this folder ({', '.join(PICTURE_SUFFIXES)})")
        return found
    if glob.has_magic(name) and not path.exists():
        found = sorted(Path(one) for one in glob.glob(name, recursive=True))
        if not found:
            raise InputError(f"{name}: no file matches this pattern")
        return [one for one in found if not one.is_dir()]
    return [path]


def _unique(stem: str, taken: set[str]) -> str:
    """Return a name like the stem that is not taken yet, and take it."""
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}_{number}", number + 1
    taken.add(name)
    return name
