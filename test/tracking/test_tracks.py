"""Tracks: which hand is which, and where to look for it."""

from dataclasses import replace

import numpy as np
import pytest

from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.registration import HandSize
from cmr_ros.tracking.clock import ImageClock
from cmr_ros.tracking.tracks import PATIENCE_S, Observation, Side, Track, Tracker

PERIOD_S = 1 / 30


def joints_at(center, size=77.0):
    """Return joints (21, 2) of a hand, fingers up, whose palm lies around a pixel."""
    joints = np.zeros((21, 2))
    joints[:, 0] = np.linspace(-0.5, 0.5, 21)
    joints[:, 1] = np.where(np.arange(21) == 0, 0.5, -0.5)
    joints[9] = [0.0, -0.5]
    joints[0, 0] = 0.0
    return np.asarray(center) + size * joints


RIGHT = Side(Handedness.RIGHT, 0.9)


def observation(center=(320, 240), side=RIGHT, size=None, depth_m=0.5):
    return Observation(
        side=side,
        joints_px={0: joints_at(center)},
        root_m=np.array([0.0, 0.0, depth_m]),
        vertices_m=np.zeros((4, 3)),
        size=size,
    )


def show(tracker, now_s, *tracks_and_centers):
    """Let an image show tracks at image pixels."""
    for track, center in tracks_and_centers:
        track.update(observation(center), now_s, margin=None, smoothing_hz=0.0)
    tracker.keep([track for track, _ in tracks_and_centers], now_s)


def started(tracker, *centers, now_s=0.0):
    """Return tracks that an image has shown."""
    tracks = [tracker.start(Region(center, 200)) for center in centers]
    show(tracker, now_s, *zip(tracks, centers, strict=True))
    return tracks


def test_ids_are_never_used_again():
    tracker = Tracker()
    _, second = started(tracker, (100, 100), (400, 100))
    assert [track.id for track in tracker.seen] == [0, 1]
    show(tracker, 1.0, (second, (400, 100)))
    assert tracker.seen == [second] and tracker.lost == []
    tracker.reset()
    assert tracker.start(Region((0, 0), 1)).id == 2


def test_a_track_that_no_image_has_confirmed_does_not_live():
    tracker = Tracker()
    tracker.start(Region((100, 100), 200))
    tracker.keep([], 0.0)
    assert tracker.seen == tracker.lost == []


def test_a_lost_track_lives_on_for_a_while():
    tracker = Tracker()
    (track,) = started(tracker, (100, 100))
    tracker.keep([], PATIENCE_S - 0.01)
    assert tracker.seen == [] and tracker.lost == [track]
    tracker.keep([], PATIENCE_S + 0.01)
    assert tracker.lost == []


def test_of_two_tracks_on_one_hand_the_older_one_lives():
    tracker = Tracker()
    old, new = started(tracker, (100, 100), (400, 100))
    show(tracker, PERIOD_S, (new, (105, 102)), (old, (100, 100)))
    assert tracker.seen == [old] and tracker.lost == []


def test_a_track_that_comes_back_does_not_take_the_hand_of_one_that_was_followed():
    tracker = Tracker()
    old, new = started(tracker, (100, 100), (400, 100))
    show(tracker, PERIOD_S, (new, (300, 100)))
    show(tracker, 2 * PERIOD_S, (new, (105, 102)), (old, (100, 100)))
    assert tracker.seen == [new] and tracker.lost == []


def test_hands_that_are_followed_are_not_found_again():
    tracker = Tracker()
    (track,) = started(tracker, (100, 100))
    again, new = track.palms[0], Region((400, 100), 200)
    (first, where), (second, there) = tracker.targets([again, new], most=2)
    assert first is track and where == track.regions
    assert second.is_new and there == {0: new}


def test_a_track_that_went_astray_is_looked_for_where_it_was_detected():
    tracker = Tracker()
    (track,) = started(tracker, (100, 100))
    detected = Region(track.palms[0].center_px, 2 * track.palms[0].size_px)
    assert tracker.targets([detected], most=2) == [(track, {0: detected})]


def test_a_lost_track_is_looked_for_where_a_hand_was_detected_nearby():
    tracker = Tracker()
    (track,) = started(tracker, (100, 100))
    tracker.keep([], PERIOD_S)
    assert tracker.targets([], most=2) == [(track, track.regions)]
    x, y = track.regions[0].center_px
    size_px = track.regions[0].size_px
    near, far = Region((x + 0.9 * size_px, y), size_px), Region((x + 3 * size_px, y), size_px)
    assert tracker.targets([near], most=2) == [(track, {0: near})]
    (new, where), lost = tracker.targets([far], most=2)
    assert new.is_new and where == {0: far} and lost == (track, track.regions)


def test_no_more_targets_than_wanted_and_lost_ones_last():
    tracker = Tracker()
    first, second = started(tracker, (100, 100), (500, 100))
    show(tracker, PERIOD_S, (second, (500, 100)))
    new = Region((300, 500), 200)
    assert [track for track, _ in tracker.targets([new], most=3)][::2] == [second, first]
    assert first not in dict(tracker.targets([new], most=2))


def test_a_palm_is_known_in_each_view_that_shows_it():
    tracker = Tracker()
    both, right = tracker.start(Region((100, 100), 200)), tracker.start(Region((0, 0), 200), view=1)
    seen = observation((100, 100))
    both.update(
        replace(seen, joints_px={0: joints_at((100, 100)), 1: joints_at((60, 100))}),
        0.0, margin=None, smoothing_hz=0.0,
    )  # fmt: skip
    right.update(
        replace(seen, joints_px={1: joints_at((300, 100))}), 0.0, margin=None, smoothing_hz=0.0
    )
    tracker.keep([both, right], 0.0)
    assert tracker.seen == [both, right]
    # What the second view detects is the first track's, the second one's, or new.
    known = [both.palms[1], right.palms[1]]
    assert dict(tracker.targets(known, most=4, view=1)) == {
        both: both.regions, right: right.regions
    }  # fmt: skip
    # The same place in the first view is another hand's.
    *_, (new, where) = tracker.targets([right.palms[1]], most=4, view=0)
    assert new.is_new and set(where) == {0}
    # Two tracks that come to the same palm in any view are one.
    right.update(
        replace(seen, joints_px={1: joints_at((61, 100))}), 0.1, margin=None, smoothing_hz=0.0
    )
    tracker.keep([both, right], 0.1)
    assert tracker.seen == [both] and tracker.lost == []


def test_handedness_has_hysteresis():
    side = Side().updated(0.9)
    assert side == Side(Handedness.RIGHT, 0.9)
    side = side.updated(0.1)  # one doubtful image
    assert side.handedness is Handedness.RIGHT
    for _ in range(10):
        side = side.updated(0.1)
    assert side.handedness is Handedness.LEFT
    assert side.updated(0.9).handedness is Handedness.LEFT


def test_smoothing_begins_afresh_when_a_hand_changes_sides():
    track = Track(0, {0: Region((0, 0), 1)}, {0: Region((0, 0), 1)})

    def depth_m(side, depth, now_s):
        seen = observation(side=Side(side, 0.5), depth_m=depth)
        return track.update(seen, now_s, margin=None, smoothing_hz=1.0)[0][2]

    assert depth_m(Handedness.RIGHT, 0.5, 0.0) == pytest.approx(0.5)
    assert 0.5 < depth_m(Handedness.RIGHT, 0.52, PERIOD_S) < 0.519
    assert depth_m(Handedness.LEFT, 0.52, 2 * PERIOD_S) == pytest.approx(0.52)


def test_a_learned_hand_size_is_never_known_better_than_the_network_errs():
    track = Track(0, {0: Region((0, 0), 1)}, {0: Region((0, 0), 1)})
    track.update(observation(), 0.0, margin=None, smoothing_hz=0.0)
    assert track.size is None
    track.update(observation(size=HandSize(0.17, 0.001)), 0.1, margin=None, smoothing_hz=0.0)
    assert track.size.length_m == 0.17 and 0.01 < track.size.deviation < 0.02
    track.update(observation(size=HandSize(0.18, 0.08)), 0.2, margin=None, smoothing_hz=0.0)
    track.update(observation(), 0.3, margin=None, smoothing_hz=0.0)
    assert track.size == HandSize(0.18, 0.08, is_measured=True)


@pytest.mark.parametrize(
    "stamps, passed_s",
    [
        ([5.0, 5.1, 5.3], 0.3),
        ([5.0, 5.1, 5.09, 5.2], 0.1 + PERIOD_S + 0.1),
        ([None, None, None], 2 * PERIOD_S),
        ([0.0, 0.0, 0.0], 2 * PERIOD_S),
        ([1.7e9, 1.7e9 + 0.5], 0.5),
    ],
)
def test_the_clock_never_runs_backwards(stamps, passed_s):
    clock = ImageClock()
    assert clock.advance(stamps[0])
    start_s = clock.now_s
    for stamp_s in stamps[1:]:
        before_s = clock.now_s
        assert clock.advance(stamp_s)
        assert clock.now_s > before_s
    assert clock.now_s - start_s == pytest.approx(passed_s, abs=1e-6)


@pytest.mark.parametrize("stamps", [(5.0, 6.5), (5.0, 1.0), (1.7e9, 3.0), (5.0, 3700.0)])
def test_the_clock_notices_another_scene(stamps):
    clock = ImageClock()
    assert clock.advance(stamps[0])
    assert not clock.advance(stamps[1])
    assert clock.advance(stamps[1] + 0.03)
