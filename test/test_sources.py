"""What a user names becomes images: files, folders, patterns, videos, cameras."""

import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.files.pictures import write_picture
from cmr_ros.files.video import VideoWriter
from cmr_ros.sources import CameraDevice, open_files


@pytest.fixture
def folder(tmp_path):
    for index, name in enumerate(("b.png", "a.JPG", "deep/a.png")):
        write_picture(tmp_path / name, np.full((8, 12, 3), 10 * index, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path


def names(source):
    return [image.name for image in source]


def test_a_folder_gives_its_pictures_and_names_the_unreadable(folder):
    source = open_files([str(folder)])
    assert source.count == 3 and not source.is_sequence
    assert names(source) == ["a", "b"]
    (problem,) = source.unreadable
    assert "broken.png: not an image" in problem


def test_patterns_and_files_add_up_under_different_names(folder):
    source = open_files([str(folder / "**" / "a.*"), str(folder / "b.png")])
    assert names(source) == ["a", "a_2", "b"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(folder):
    (folder / "b.png").rename(folder / "hand[1].png")
    assert names(open_files([str(folder / "hand[1].png")])) == ["hand[1]"]


def test_a_video_is_a_sequence_with_times(folder):
    path = folder / "clip.mp4"
    with VideoWriter(path) as writer:
        for index in range(3):
            writer.write(np.full((8, 12, 3), 80 * index, np.uint8), index * 50_000_000)
    source = open_files([str(path)])
    assert source.is_sequence and source.count == 3
    images = list(source)
    assert [image.name for image in images] == ["clip_000000", "clip_000001", "clip_000002"]
    assert [image.stamp_ns for image in images] == [0, 50_000_000, 100_000_000]
    with pytest.raises(InputError, match="one video at a time"):
        open_files([str(path), str(folder / "b.png")])


def test_a_video_that_is_cut_short_is_named(tmp_path):
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (30, 48, 64, 3), np.uint8)
    with VideoWriter(whole) as writer:
        for index, picture in enumerate(noise):
            writer.write(picture, index * 40_000_000)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    for path, is_cut in ((whole, False), (cut, True)):
        source = open_files([str(path)])
        count = len(list(source))
        assert (count < 20) == is_cut
        assert source.unreadable == is_cut * [f"{path}: ends after {count} of 30 images"]


@pytest.mark.parametrize(
    "name, message", [("*.tiff", "no file matches"), ("empty", "no picture in this folder")]
)
def test_nothing_there_is_one_error(folder, name, message):
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        open_files([str(folder / name)])


@pytest.mark.parametrize("device", ["97", "/dev/video97", "/dev/null"])
def test_a_camera_that_is_not_there_is_one_error(capfd, device):
    with pytest.raises(InputError, match=r"no camera that can be opened \(present: "):
        CameraDevice(device)
    assert capfd.readouterr().err == ""
