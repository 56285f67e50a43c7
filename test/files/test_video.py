"""Videos: what is written can be read again, by browsers too; what is none is refused."""

import cv2
import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.files.video import VideoReader, VideoWriter

STAMPS_NS = [0, 40_000_000, 80_000_000, 330_000_000, 370_000_000]  # a camera that paused


def bars(index, size=(48, 64)):
    picture = np.full((*size, 3), (200, 40, 40), np.uint8)
    picture[:, 10 * index : 10 * index + 8] = (30, 60, 220)
    return picture


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "new" / "video.mp4"
    with VideoWriter(path) as writer:
        for index, stamp_ns in enumerate(STAMPS_NS):
            writer.write(bars(index), 10**18 + stamp_ns)
    return path


def test_a_written_video_has_its_images_and_their_times(video):
    reader = VideoReader(video)
    assert reader.count == len(STAMPS_NS)
    stamps_ns, pictures = zip(*reader, strict=True)
    assert np.abs(np.subtract(stamps_ns, STAMPS_NS)).max() < 1e6
    errors = [np.abs(p.astype(float) - bars(i)).mean() for i, p in enumerate(pictures)]
    assert max(errors) < 12
    assert [path.name for path in video.parent.iterdir()] == ["video.mp4"]


def test_browsers_play_it(video):
    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)
    codec = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little")
    assert codec in (b"h264", b"avc1")
    layout = int(capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT)).to_bytes(4, "little")
    assert layout == b"I420"
    data = video.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "a page could not start before its end"


def test_odd_sizes_lose_their_last_row(tmp_path):
    with VideoWriter(tmp_path / "odd.mp4") as writer:
        writer.write(bars(1, (49, 65)), 0)
    ((_, picture),) = VideoReader(tmp_path / "odd.mp4")
    assert picture.shape == (48, 64, 3)


def test_interrupted_videos_hold_what_was_written(tmp_path):
    with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / "cut.mp4") as writer:
        writer.write(bars(0), 0)
        writer.write(bars(1), 40_000_000)
        raise KeyboardInterrupt
    assert len(list(VideoReader(tmp_path / "cut.mp4"))) == 2


def test_without_images_there_is_no_video(tmp_path):
    with VideoWriter(tmp_path / "none.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_files_of_another_kind_stay(tmp_path):
    note = tmp_path / "note.mp4"
    note.write_text("remember the milk")
    with pytest.raises(InputError, match="another kind"):
        VideoWriter(note)
    with pytest.raises(InputError, match=r"written as \.mp4"):
        VideoWriter(tmp_path / "video.avi")


PLAYLIST = b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "not a video"),
        (PLAYLIST, "not a video"),
        (b"\x00\x00\x00\x20ftypisom" + bytes(100), "damaged"),
        (b"\x1a\x45\xdf\xa3" + bytes(100), "damaged"),
    ],
)
def test_what_is_no_video_is_refused_in_silence(tmp_path, capfd, content, message):
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        VideoReader(path)
    assert capfd.readouterr().err == ""


def test_a_video_cut_off_is_refused(video):
    whole = video.read_bytes()
    video.write_bytes(whole[: whole.index(b"mdat")])
    with pytest.raises(InputError, match="no image can be read"):
        list(VideoReader(video))
