"""Tracks: which hand is which, and where to look for it."""

from dataclasses import replace

import numpy as np
import pytest

from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.registration import HandSize
from cmr_ros.tracking.clock import ImageClock
from cmr_ros.tracking.tracker import PATIENCE_S, Tracker
from cmr_ros.tracking.tracks import Observation, Side, Track

PERIOD_S = 1 / 30


def joints_at(center, size=77.0):
    """Return joints (21, 2) of a hand, fingers up, whose palm lies around a pixel."""
    joints = np.zeros((21, 2))
    joints[:, 0] = np.linspace(-0.5, 0.5, 21)
    joints[:, 1] = np.where(np.arange(21) == 0, 0.5, -0.5)
    joints[9] = [0.0, -0.5]
    joints[0, 0] = 0.0
    return np.asarray(center) + size * joints


RIGHT, LEFT = Side(Handedness.RIGHT, 0.9), Side(Handedness.LEFT, 0.1)


def observation(center=(320, 240), side=RIGHT, size=None, depth_m=0.5):
    return Observation(
        side=side,
        joints_px={0: joints_at(center)},
        root_m=np.array([0.0, 0.0, depth_m]),
        vertices_m=np.zeros((4, 3)),
        size=size,
    )


def show(tracker, now_s, *tracks_and_centers):
    """Let an image show something in the crops of tracks, hands at image pixels or more of it."""
    seen = [
        (track, one if isinstance(one, Observation) else observation(one))
        for track, one in tracks_and_centers
    ]
    owners = tracker.assign(seen, now_s)
    for owner, (_, one) in zip(owners, seen, strict=True):
        if owner is not None:
            owner.update(one, now_s, margin=None, smoothing_hz=0.0)
    tracker.keep([owner for owner in owners if owner is not None], now_s)


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


def test_of_two_tracks_on_one_hand_the_one_lives_that_was_there():
    tracker = Tracker()
    old, new = started(tracker, (100, 100), (400, 100))
    for image in range(1, 10):
        show(tracker, image * PERIOD_S, (old, (395, 102)), (new, (400, 100)))
        assert tracker.seen == [new] and tracker.lost == [old]
    show(tracker, PATIENCE_S + PERIOD_S, (old, (395, 102)), (new, (400, 100)))
    assert tracker.seen == [new] and tracker.lost == []


def test_a_hand_that_moves_unlike_any_other_keeps_its_track():
    tracker = Tracker()
    (track,) = started(tracker, (100, 100))
    show(tracker, PERIOD_S, (track, (400, 300)))
    assert tracker.seen == [track]


def test_crops_that_show_each_others_hands_change_no_track():
    tracker = Tracker()
    left, right = started(tracker, (100, 100), (250, 100))
    show(tracker, PERIOD_S, (left, (250, 100)), (right, (100, 100)))
    assert tracker.seen == [left, right]
    assert left.palms[0].center_px[0] < 150 < right.palms[0].center_px[0]


@pytest.mark.parametrize(
    "found, is_it",
    [
        (observation((110, 100)), True),
        (observation((900, 100)), False),
        (replace(observation((250, 100)), right_probability=0.98), True),
        (replace(observation((250, 100)), right_probability=0.02, side=LEFT), False),
        (observation((110, 100), depth_m=1.5), False),
    ],
)
def test_a_lost_hand_is_known_by_its_place_its_side_and_its_distance(found, is_it):
    tracker = Tracker()
    (track,) = started(tracker, (100, 100))
    tracker.keep([], PERIOD_S)
    new = tracker.start(Region((110, 100), 200))
    show(tracker, 2 * PERIOD_S, (new, found))
    assert tracker.seen == ([track] if is_it else [new])


def test_hands_that_are_followed_are_not_found_again():
    tracker = Tracker()
    (track,) = started(tracker, (100, 100))
    again, new = track.palms[0], Region((400, 100), 200)
    (first, where), (second, there) = tracker.targets([again, new], most=2, now_s=0.0)
    assert first is track and where == track.regions
    assert second.is_new and there == {0: new}


def test_a_track_that_went_astray_is_looked_for_where_it_was_detected():
    tracker = Tracker()
    (track,) = started(tracker, (100, 100))
    detected = Region(track.palms[0].center_px, 2 * track.palms[0].size_px)
    assert tracker.targets([detected], most=2, now_s=0.0) == [(track, {0: detected})]


def test_tracks_are_looked_for_where_their_motion_takes_them():
    tracker = Tracker()
    (track,) = started(tracker, (100, 100))
    for image in range(1, 10):
        show(tracker, image * PERIOD_S, (track, (100 + 10 * image, 100)))
    (_, seen), *_ = tracker.targets([], most=2, now_s=10 * PERIOD_S)
    assert seen[0].center_px[0] - track.regions[0].center_px[0] == pytest.approx(10, abs=1.5)
    tracker.keep([], 10 * PERIOD_S)
    (_, lost), *_ = tracker.targets([], most=2, now_s=12 * PERIOD_S)
    assert lost[0].center_px[0] - track.regions[0].center_px[0] == pytest.approx(30, abs=6)


def test_no_more_targets_than_wanted_and_lost_ones_last():
    tracker = Tracker()
    first, second = started(tracker, (100, 100), (500, 100))
    show(tracker, PERIOD_S, (second, (500, 100)))
    new = Region((300, 500), 200)
    assert [track for track, _ in tracker.targets([new], most=3, now_s=PERIOD_S)][::2] == [
        second,
        first,
    ]
    assert first not in dict(tracker.targets([new], most=2, now_s=PERIOD_S))


def test_a_palm_is_known_in_each_view_that_shows_it():
    tracker = Tracker()
    both, right = tracker.start(Region((100, 100), 200)), tracker.start(Region((0, 0), 200), view=1)
    seen = observation((100, 100))
    both_seen = replace(seen, joints_px={0: joints_at((100, 100)), 1: joints_at((60, 100))})
    both.update(both_seen, 0.0, margin=None, smoothing_hz=0.0)
    right.update(
        replace(seen, joints_px={1: joints_at((300, 100))}), 0.0, margin=None, smoothing_hz=0.0
    )
    tracker.keep([both, right], 0.0)
    assert tracker.seen == [both, right]
    # What the second view detects is the first track's, the second one's, or new.
    known = [both.palms[1], right.palms[1]]
    assert dict(tracker.targets(known, most=4, now_s=0.0, view=1)) == {
        both: both.regions, right: right.regions
    }  # fmt: skip
    # The same place in the first view is another hand's.
    *_, (new, where) = tracker.targets([right.palms[1]], most=4, now_s=0.0, view=0)
    assert new.is_new and set(where) == {0}
    # What comes to the same palm in any view is one hand.
    again = replace(seen, joints_px={1: joints_at((61, 100))})
    assert tracker.assign([(both, both_seen), (right, again)], 0.1) == [both, None]


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


class Stage:
    """Hands that are seen as a camera does: what is nearer hides what is behind it.

    Crops show the hand nearest to their middle that can be seen; every fifth image detections show
    all of those.
    """

    def __init__(self, tracker, hide_px=60.0):
        self._tracker, self._hide_px, self._images = tracker, hide_px, 0

    def show(self, hands, rng):
        """Show hands, by name (x, y, distance, side); return the name for each id."""
        now_s = self._images * PERIOD_S
        visible = {
            name: hand for name, hand in hands.items()
            if not any(
                np.hypot(*np.subtract(hand[:2], other[:2])) < self._hide_px and other[2] < hand[2]
                for other in hands.values()
            )
        }  # fmt: skip
        palms = {name: observation(hand[:2]).palms[0] for name, hand in visible.items()}
        seen, shown = [], {}
        detections = [] if self._images % 5 else list(palms.values())
        for track, regions in self._tracker.targets(detections, len(hands), now_s):
            away = {
                name: np.hypot(*np.subtract(palm.center_px, regions[0].center_px))
                for name, palm in palms.items()
            }
            name = min(away, key=away.get)
            if away[name] < 90:
                x, y, depth_m, side = hands[name]
                center, depth_m = (x, y) + rng.normal(0, 2, 2), depth_m * (1 + rng.normal(0, 0.02))
                seen.append((track, observation(center, side, depth_m=depth_m)))
                shown[len(seen) - 1] = name
        owners = self._tracker.assign(seen, now_s)
        for owner, (_, one) in zip(owners, seen, strict=True):
            if owner is not None:
                owner.update(one, now_s, margin=None, smoothing_hz=0.0)
        self._tracker.keep([owner for owner in owners if owner is not None], now_s)
        self._images += 1
        return {owner.id: shown[i] for i, owner in enumerate(owners) if owner is not None}


@pytest.mark.parametrize("far_side", [LEFT, RIGHT])
@pytest.mark.parametrize("speed_px_s", [250, 500])
def test_ids_stay_when_a_hand_passes_behind_another(far_side, speed_px_s):
    stage, rng = Stage(Tracker()), np.random.default_rng(0)
    names = []
    for image in range(int(500 / speed_px_s / PERIOD_S)):
        way = speed_px_s * image * PERIOD_S
        hands = {"near": (70 + way, 240, 0.45, RIGHT), "far": (570 - way, 245, 0.6, far_side)}
        names.append(stage.show(hands, rng))
    assert names[0] == names[-1] and len(names[-1]) == 2
    assert any("far" not in shown.values() for shown in names)


def test_ten_hands_that_move_about_keep_their_ids():
    stage, rng = Stage(Tracker()), np.random.default_rng(1)
    paths = rng.uniform([100, 100], [1800, 900], (10, 2)), rng.uniform(-150, 150, (10, 2))
    owner: dict[int, str] = {}
    switches = met = hidden = 0
    for image in range(90):
        places = paths[0] + paths[1] * image * PERIOD_S
        hands = {
            str(i): (*place, 0.5 + 0.1 * i, (RIGHT, LEFT)[i % 2]) for i, place in enumerate(places)
        }
        shown = stage.show(hands, rng)
        switches += sum(owner.setdefault(id_, name) != name for id_, name in shown.items())
        met, hidden = met + len(shown), hidden + (len(shown) < 10)
    assert switches == 0 and len(owner) == 10 and met > 850 and hidden > 5
