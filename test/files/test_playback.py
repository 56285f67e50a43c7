"""Recordings read back, and answers scored against their truth."""

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed")
from cmr_ros.errors import InputError
from cmr_ros.files import playback
from cmr_ros.geometry.skeleton import Handedness
from support.made_up_hands import flat_right_hand
from support.recordings import write_recording


def found(joints) -> playback.FoundHand:
    return playback.FoundHand(0, Handedness.RIGHT, 0.9, joints, joints, np.eye(3))


def test_a_recording_is_read_as_it_was_written(tmp_path):
    pictures = [np.full((48, 64, 3), level, np.uint8) for level in (40, 200)]
    truth = [[flat_right_hand()], [flat_right_hand() + 1, flat_right_hand() + 2]]
    path = write_recording(tmp_path / "bag", pictures, truth, rate_hz=10)
    camera, frames = playback.read(path)
    assert (camera.width, camera.height, camera.matrix[0, 0]) == (64, 48, 60.0)
    assert [frame.stamp_ns - frames[0].stamp_ns for frame in frames] == [0, 100_000_000]
    assert abs(int(frames[1].picture()[0, 0, 0]) - 200) < 3
    assert [len(frame.truth) for frame in frames] == [1, 2]
    np.testing.assert_allclose(frames[1].truth[1], truth[1][1])
    topics = [message[0] for message in frames[0].messages]
    assert topics == [playback.INFO_TOPIC, playback.IMAGE_TOPIC]


def test_what_is_no_recording_is_named(tmp_path):
    rubbish = tmp_path / "rubbish.mcap"
    rubbish.write_bytes(b"rubbish")
    for path in (rubbish, tmp_path / "missing.mcap"):
        with pytest.raises(InputError, match=path.name):
            playback.read(path)
    with pytest.raises(InputError, match="no image or no camera"):
        playback.read(write_recording(tmp_path / "bag", [], [], rate_hz=10))


def test_a_picture_that_cannot_be_decoded_is_named():
    broken = playback.Frame(7, jpeg=np.frombuffer(b"broken", np.uint8))
    with pytest.raises(InputError, match="7 ns"):
        broken.picture()


def test_colours_are_rgb():
    jpeg = cv2.imencode(".jpg", np.full((8, 8, 3), (255, 0, 0), np.uint8))[1].ravel()
    assert playback.Frame(0, jpeg=jpeg).picture()[0, 0, 2] > 200


def test_the_nearest_hands_are_compared():
    a, b = flat_right_hand(), flat_right_hand() + [0.3, 0, 0]
    answer = playback.answer(0.02, [found(b + [0, 0, 0.01]), found(a + [0, 0.03, 0.04])], [a, b])
    np.testing.assert_allclose(sorted(answer.errors_mm), [10, 50])
    assert (answer.missed, answer.extra, answer.latency_s) == (0, 0, 0.02)


def test_far_hands_may_be_farther_off():
    hand = flat_right_hand()
    for depth_m, same in ((0.6, 0), (3.0, 1)):
        true, seen = hand + [0, 0, depth_m], hand + [0, 0, depth_m + 0.4]
        answer = playback.answer(0.02, [found(seen)], [true])
        assert (len(answer.errors_mm), answer.missed, answer.extra) == (same, 1 - same, 1 - same)
    assert answer.errors_share == pytest.approx([0.4 / 3], rel=0.01)


def test_recordings_of_one_camera_follow_each_other(tmp_path):
    picture = np.zeros((48, 64, 3), np.uint8)
    paths = [write_recording(tmp_path / name, [picture] * 2, [[]] * 2, rate_hz=10) for name in "ab"]
    _, frames = playback.read_all(paths)
    steps_ms = np.diff([frame.stamp_ns for frame in frames]) / 1e6
    np.testing.assert_allclose(steps_ms, [100, 40, 100])
    wide = write_recording(tmp_path / "c", [np.zeros((48, 80, 3), np.uint8)], [[]], rate_hz=10)
    with pytest.raises(InputError, match="of another camera"):
        playback.read_all([*paths, wide])


def test_a_far_hand_is_missed_and_extra():
    a = flat_right_hand()
    answer = playback.answer(0.02, [found(a + [0, 0, 0.5])], [a])
    assert (answer.errors_mm, answer.missed, answer.extra) == ([], 1, 1)
    assert playback.answer(0.02, [], [a]).missed == 1
    assert playback.answer(0.02, [found(a)], []).extra == 1


def test_summary():
    a = flat_right_hand() + [0, 0, 0.5]
    answers = [
        playback.answer(0.01, [found(a)], [a]),
        None,
        playback.answer(0.03, [found(a + [0, 0.02, 0])], [a]),
    ]
    summary = playback.summarise(answers)
    assert (summary.sent, summary.dropped, summary.hands) == (3, 1, 2)
    assert summary.depth_m == 0.5
    assert summary.error_mm == pytest.approx(10)
    assert summary.latency_ms == pytest.approx(20)
    assert np.isnan(playback.summarise([None]).latency_ms)
