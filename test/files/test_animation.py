"""GIFs: small, in time, and never over a file of another kind."""

import cv2
import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.files.animation import GifWriter


def frames_of(path):
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    while True:
        read, picture = capture.read()
        if not read:
            return
        yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def disc(x):
    picture = np.full((60, 80, 3), (40, 90, 60), np.uint8)
    return cv2.circle(picture, (x, 30), 9, (230, 180, 40), -1)


def test_a_gif_has_every_other_image_of_25_a_second(tmp_path):
    path = tmp_path / "new" / "moving.gif"
    with GifWriter(path) as gif:
        for index in range(9):
            gif.write(disc(10 + 6 * index), 10**18 + index * 40_000_000)
    shown = list(frames_of(path))
    assert len(shown) == 5 and [file.name for file in path.parent.iterdir()] == ["moving.gif"]
    for index, picture in enumerate(shown):
        assert np.abs(picture.astype(int) - disc(10 + 12 * index)).mean() < 3
    assert b"NETSCAPE2.0\x03\x01\x00\x00" in path.read_bytes()  # repeats for ever


def test_noise_is_not_stored(tmp_path):
    rng = np.random.default_rng(1)
    sizes = []
    for name, sd in (("still", 0), ("noisy", 2), ("changing", 30)):
        with GifWriter(tmp_path / f"{name}.gif") as gif:
            for index in range(8):
                noise = rng.normal(0, sd, (60, 80, 3))
                gif.write(np.uint8(np.clip(disc(30) + noise, 0, 255)), index * 80_000_000)
        sizes.append((tmp_path / f"{name}.gif").stat().st_size)
    assert sizes[1] < 0.3 * sizes[2]


def test_what_is_too_long_is_cut_and_said(tmp_path):
    with pytest.raises(InputError, match="holds a minute"), GifWriter(tmp_path / "l.gif") as gif:
        gif.write(disc(30), 0)
        gif.write(disc(40), 61 * 10**9)
    assert len(list(frames_of(tmp_path / "l.gif"))) == 1


def test_files_of_another_kind_stay(tmp_path):
    (tmp_path / "note.gif").write_text("remember the milk")
    with pytest.raises(InputError, match="another kind"):
        GifWriter(tmp_path / "note.gif")
