"""Writes animated GIFs, small enough for a page, by PyAV (package `av`)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.output import PendingFile

#: A GIF counts in hundredths of a second.
_STEP_S = Fraction(8, 100)
_MAX_IMAGES = 750  # a minute
_COLORS = 200
#: A pixel that changes less, of 255, keeps its colour: noise would make the file three times as
#: large.
_NOISE = 12


class GifWriter:
    """Writes images as a GIF that repeats for ever; a context manager.

    It takes 12.5 images a second and leaves out those between.  The file appears at the end.
    """

    def __init__(self, path: Path | str):
        """Take the file to write; InputError without PyAV or for a file of another kind."""
        try:
            import av
        except ModuleNotFoundError as error:
            raise InputError(
                "writing a GIF needs the Python package 'av': pip install av"
            ) from error
        self._av, self._target = av, PendingFile(path, b"GIF8")
        self._images: list[np.ndarray] = []
        self._start_ns = 0

    def __enter__(self) -> GifWriter:
        return self

    def write(self, picture: np.ndarray, stamp_ns: int) -> None:
        """Add an image.

        Args:
            picture: RGB (height, width, 3) uint8, of the first one's size.
            stamp_ns: when it is shown, in nanoseconds since any fixed time.

        Raises:
            InputError: where there are too many for a GIF.

        """
        if not self._images:
            self._start_ns = stamp_ns
        due = int((stamp_ns - self._start_ns) * 1e-9 / float(_STEP_S) + 1e-6)
        if due < len(self._images):
            return
        if due >= _MAX_IMAGES:
            raise InputError(f"{self._target.path}: a GIF holds a minute; name an .mp4")
        shown = picture
        if self._images:
            last = self._images[-1]
            change = np.abs(np.subtract(picture, last, dtype=np.int16)).max(axis=2, keepdims=True)
            shown = np.where(change > _NOISE, picture, last)
            self._images += [last] * (due - len(self._images))
        self._images.append(shown)

    def __exit__(self, *error: Any) -> None:
        """Choose the colours and write the file, also when interrupted."""
        if not self._images:
            return
        height, width = self._images[0].shape[:2]
        partial = str(self._target.partial)
        with self._target.writing(), self._av.open(partial, "w") as container:
            stream = container.add_stream("gif", rate=1 / _STEP_S)
            stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
            for frame in self._colored(width, height):
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        self._target.finish()

    def _colored(self, width: int, height: int) -> Iterator[Any]:
        """Yield the images in the colours that suit all of them best."""
        graph = self._av.filter.Graph()
        first = graph.add_buffer(width=width, height=height, format="rgb24", time_base=_STEP_S)
        split, use, last = (
            graph.add("split"),
            graph.add("paletteuse", "dither=none"),
            graph.add("buffersink"),
        )
        palette = graph.add("palettegen", f"max_colors={_COLORS}")
        first.link_to(split)
        split.link_to(palette, 0)
        split.link_to(use, 1, 0)
        palette.link_to(use, 0, 1)
        use.link_to(last)
        graph.configure()
        for number, image in enumerate(self._images):
            frame = self._av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, _STEP_S
            first.push(frame)
        first.push(None)
        try:
            while True:
                yield last.pull()
        except self._av.EOFError:
            return
