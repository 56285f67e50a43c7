"""Videos in files: read by OpenCV, written as H.264 in MP4 by PyAV (package `av`)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from cmr_ros.errors import InputError, reason
from cmr_ros.files.image_header import MAX_PIXELS
from cmr_ros.files.output import PendingFile
from cmr_ros.files.pictures import LONGEST_SIDE_PX, quiet
from cmr_ros.files.untrusted import open_regular

#: Endings of videos, as they are recognised in a folder or on a command line.
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
_REMEDY = "expected a video: MP4, MOV, MKV, WebM or AVI"
_MAX_BYTES = 64 << 30
#: Place and bytes that each of these formats has near its start.  FFmpeg opens a hundred others,
#: and among them playlists, which name other files and addresses.
_MARKS = ((4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (0, b"\x1a\x45\xdf\xa3"), (8, b"AVI "))
#: Of the time stamps in a written video.
_TICKS_PER_SECOND = 90_000
#: Primaries and transfer of HDTV, in the numbers of ITU-T H.273.
_BT_709 = 1


class VideoReader:
    """The images of a video file with their times; iterates once.

    rate_hz: mean number of images per second.  count: of the images, as the file says; None where
    it does not.  Raises InputError for a file that is missing, no video, or too large an image.
    """

    def __init__(self, path: Path | str):
        self._path = path
        with open_regular(path, _REMEDY, _MAX_BYTES) as file:
            start = file.read(12)
        if not any(start[at:].startswith(mark) for at, mark in _MARKS):
            raise InputError(f"{path}: not a video that can be read; {_REMEDY}")
        with quiet():
            self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise InputError(f"{path}: damaged, or of a codec that OpenCV lacks; {_REMEDY}")
        width, height = (
            int(self._capture.get(side))
            for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        if width * height > MAX_PIXELS or max(width, height) > LONGEST_SIDE_PX:
            raise InputError(f"{path}: images of {width}x{height} pixels are too large; scale down")
        rate_hz = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate_hz = rate_hz if 0.1 <= rate_hz <= 1000 else 30.0
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.count = count if count > 0 else None

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield nanoseconds since the video's start, and RGB (height, width, 3) uint8.

        Raises InputError for a video without a single image, or whose images change their size.
        """
        shape, last_ns = None, -1
        while True:
            with quiet():
                read, picture = self._capture.read()
            if not read:
                break
            if picture.shape != (shape or picture.shape):
                raise InputError(f"{self._path}: its images change their size; cut it there")
            shape = picture.shape
            # Some containers know no times; then the rate has to do.
            stamp_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
            if stamp_ns <= last_ns:
                stamp_ns = last_ns + round(1e9 / self.rate_hz) if last_ns >= 0 else 0
            last_ns = stamp_ns
            yield stamp_ns, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        self._capture.release()
        if shape is None:
            raise InputError(f"{self._path}: no image can be read from it; {_REMEDY}")


class VideoWriter:
    """Writes images as an MP4 that browsers play (H.264, 4:2:0); a context manager.

    The file appears when all is written; an MP4 of that name is replaced.
    """

    def __init__(self, path: Path | str):
        """Take the file to write; InputError without PyAV or for a file of another kind."""
        try:
            import av
        except ModuleNotFoundError as error:
            raise InputError(
                "writing video needs the Python package 'av': pip install av"
            ) from error
        self._av = av
        if Path(path).suffix != ".mp4":
            raise InputError(f"{path}: videos are written as .mp4")
        self._target = PendingFile(path, b"ftyp", offset=4)
        options = {"movflags": "+faststart"}
        with self._target.writing():
            self._container = av.open(str(self._target.partial), "w", options=options)
        self._stream = None
        self._start_ns = self._last = 0

    def __enter__(self) -> VideoWriter:
        return self

    def write(self, picture: np.ndarray, stamp_ns: int) -> None:
        """Add an image.

        Args:
            picture: RGB (height, width, 3) uint8, of the first one's size; an odd last row or
                column is left out, since colours are stored for two by two pixels.
            stamp_ns: when it is shown, in nanoseconds since any fixed time.

        """
        height, width = (side // 2 * 2 for side in picture.shape[:2])
        if self._stream is None:
            self._stream = self._begin(width, height)
            self._start_ns, self._last = stamp_ns, -1
        frame = self._av.VideoFrame.from_ndarray(
            np.ascontiguousarray(picture[:height, :width]), format="rgb24"
        )
        colors = self._av.video.reformatter
        frame = frame.reformat(
            format="yuv420p",
            dst_colorspace=colors.Colorspace.ITU709,
            dst_color_range=colors.ColorRange.MPEG,
        )
        ticks = round((stamp_ns - self._start_ns) * _TICKS_PER_SECOND / 1e9)
        frame.pts = self._last = max(ticks, self._last + 1)
        frame.time_base = Fraction(1, _TICKS_PER_SECOND)
        with self._target.writing():
            self._container.mux(self._stream.encode(frame))

    def _begin(self, width: int, height: int):
        options = {"preset": "veryfast", "crf": "20"}
        try:
            stream = self._container.add_stream("libx264", options=options)
        except ValueError as error:  # PyAV's own wheels have it
            raise InputError(
                f"{self._target.path}: this PyAV has no encoder for H.264 ({reason(error)}); "
                "pip install --force-reinstall av"
            ) from None
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS_PER_SECOND)
        # Players guess what is not said, and differently for large and small images.
        context, colors = stream.codec_context, self._av.video.reformatter
        context.color_range, context.colorspace = colors.ColorRange.MPEG, colors.Colorspace.ITU709
        context.color_primaries = context.color_trc = _BT_709
        return stream

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file, also when interrupted; without a single image there is none."""
        with self._target.writing():
            if self._stream is not None:
                self._container.mux(self._stream.encode())
            self._container.close()
        if self._stream is None:
            self._target.abandon()
        else:
            self._target.finish()
