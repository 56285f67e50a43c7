"""Tracks."""

from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.registration import HandSize
from cmr_ros.tracking.tracks import Tracker


def tracks_at(tracker, *centers):
    return [tracker.start(Region(center, 200)) for center in centers]


def test_ids_are_never_used_again():
    tracker = Tracker()
    tracker.keep(tracks_at(tracker, (100, 100), (400, 100)))
    assert [track.id for track in tracker.tracks] == [0, 1]
    tracker.keep(tracker.tracks[1:])
    tracker.keep([*tracker.tracks, *tracks_at(tracker, (100, 100))])
    assert [(track.id, track.age) for track in tracker.tracks] == [(1, 3), (2, 1)]
    tracker.keep([])
    assert tracker.tracks == [] and tracker.start(Region((0, 0), 1)).id == 3


def test_two_tracks_on_one_hand_become_the_older_one():
    tracker = Tracker()
    old, new = tracks_at(tracker, (100, 100), (400, 100))
    tracker.keep([new, old])
    new.palm = Region((105, 102), 210, 0.1)
    tracker.keep([new, old])
    assert tracker.tracks == [old]


def test_hands_that_are_followed_are_not_found_again():
    tracker = Tracker()
    tracker.keep(tracks_at(tracker, (100, 100)))
    seen, new = Region((110, 95), 220, -0.2), Region((300, 100), 200)
    assert tracker.associate([seen, new]) == [new]
    assert tracker.tracks[0].region.size_px == 200


def test_a_track_that_went_astray_is_put_back():
    tracker = Tracker()
    tracker.keep(tracks_at(tracker, (100, 100)))
    detected = Region((100, 80), 400)
    assert tracker.associate([detected]) == []
    assert tracker.tracks[0].region is tracker.tracks[0].palm is detected


def test_handedness_of_a_followed_hand_has_hysteresis():
    (track,) = tracks_at(Tracker(), (0, 0))
    track.decide(0.9)
    assert track.handedness is Handedness.RIGHT
    track.believe(0.1)  # one doubtful picture
    assert track.handedness is Handedness.RIGHT
    for _ in range(10):
        track.believe(0.1)
    assert track.handedness is Handedness.LEFT
    track.believe(0.9)
    assert track.handedness is Handedness.LEFT
    track.decide(0.6)  # a close look
    assert track.handedness is Handedness.RIGHT and track.right == 0.6


def test_a_learned_hand_size_is_never_known_better_than_the_network_errs():
    (track,) = tracks_at(Tracker(), (0, 0))
    assert track.size is None
    track.learn_size(HandSize(0.17, 0.001), 0.0)
    assert track.size.length_m == 0.17 and 0.01 < track.size.deviation < 0.02
    track.learn_size(HandSize(0.17, 0.001), 0.06)
    assert track.size.deviation == 0.06
    track.learn_size(HandSize(0.18, 0.08), 0.06)
    assert track.size == HandSize(0.18, 0.08)
