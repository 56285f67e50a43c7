"""Looks beside the images: taken once, errors included, and forgotten when asked to."""

import threading

import numpy as np
import pytest

from cmr_ros import HandPipeline
from cmr_ros.errors import InputError
from cmr_ros.stages import listening
from cmr_ros.tracking.lookout import Lookout
from support.scenes import frames_of


def until(condition):
    for _ in range(3000):
        if (value := condition()) is not None:
            return value
        threading.Event().wait(0.01)
    raise AssertionError("in vain")


def test_a_result_is_there_once_it_is_found():
    lookout, go, heard = Lookout("look"), threading.Event(), []
    lookout.start(lambda: go.wait(30) and 5)
    assert lookout.is_looking and lookout.take() is None
    go.set()
    with listening(lambda name, duration_s: heard.append((name, duration_s > 0))):
        assert until(lookout.take) == 5
    assert heard == [("look", True)]
    assert not lookout.is_looking and lookout.take() is None


def test_errors_are_raised_where_the_result_is_taken():
    def fail():
        raise InputError("broken")

    lookout = Lookout("look")
    lookout.start(fail)
    with pytest.raises(InputError, match="broken"):
        until(lookout.take)
    lookout.start(lambda: 1)
    assert until(lookout.take) == 1


def test_a_look_that_is_dropped_has_ended():
    lookout, ended = Lookout("look"), []
    lookout.start(lambda: ended.append(1))
    lookout.drop()
    assert ended == [1] and not lookout.is_looking


def test_a_second_hand_is_found_while_the_first_is_followed():
    camera, frames = frames_of(hands=2, count=1)
    picture, one = frames[0].picture(), frames[0].picture()
    pipeline = HandPipeline(looks_beside=True, detection_interval=1)
    first, second = pipeline(picture, camera)
    left, top, right, bottom = (
        int(edge) for pair in (first.joints_px.min(axis=0) - 40, first.joints_px.max(axis=0) + 40)
        for edge in pair
    )  # fmt: skip
    one[max(top, 0) : bottom, max(left, 0) : right] = 127
    pipeline.reset()
    (alone,) = pipeline(one, camera)
    assert np.linalg.norm(alone.joints_m - second.joints_m, axis=1).mean() < 0.05

    def two():
        hands = pipeline(picture, camera)
        return hands if len(hands) == 2 else None

    hands = until(two)
    assert hands[0].track_id == alone.track_id, "the known one is followed meanwhile"
    # A look that is under way at the end does no harm.
    pipeline(one, camera)
    pipeline.reset()
    assert len(pipeline(picture, camera)) == 2
