"""Where the finder looks, in which order, and what it hands on."""

import numpy as np
import pytest

from cmr_ros.geometry.crop import Region
from cmr_ros.tracking.detection import Detection, Window
from cmr_ros.tracking.finder import HandFinder

IMAGE = np.zeros((480, 640, 3), np.uint8)


class Palms:
    """Stands in for the palm detector: sees hands that fill some of a window, but not all."""

    def __init__(self, *hands):
        self.hands, self.windows = hands, []

    def __call__(self, picture, window, size_px=192):
        self.windows.append(window)
        return [Detection(hand, 0.9) for hand in self.hands if _seen(hand, window)]


class Proposals:
    """Stands in for the project's detector: proposes the given hands wherever it looks.

    second: what it says of places by themselves, by default the same.
    """

    longer_side = 640

    def __init__(self, *hands, second=None):
        self.hands, self.parts = hands, []
        self.second, self.again = second, []

    def __call__(self, picture, part, longer_side=None):
        if longer_side is None:
            self.parts.append(part)
            return list(self.hands)
        self.again.append(part)
        return list(self.hands if self.second is None else self.second)


def _seen(hand: Region, window: Window) -> bool:
    corners = hand.corners_px() + 0.5 - [window.left, window.top]
    inside = (corners > 0).all() and (corners < window.side).all()
    return inside and 0.3 < hand.size_px / window.side < 0.9


def looks(finder, image, count, known=()):
    return [finder(image, known) for _ in range(count)]


@pytest.mark.parametrize("size", [300.0, 500.0, 700.0])
def test_hands_near_the_camera_are_met_by_some_window(size):
    finder = HandFinder(Palms(Region((320.0, 240.0), size)), Proposals())
    with finder.still(IMAGE) as count:
        assert any(looks(finder, IMAGE, count))


def test_it_knows_of_the_first_image_after_how_many_looks_it_has_been_everywhere():
    palms, proposals = Palms(), Proposals()
    proposals.longer_side = 100
    finder = HandFinder(palms, proposals)
    with finder.still(IMAGE) as count:
        looks(finder, IMAGE, count)
    assert len(palms.windows) >= 2 and len(set(proposals.parts)) == 10


def test_the_costs_of_a_look_are_bounded_and_every_sixth_one_shows_a_larger_part():
    palms, proposals = Palms(), Proposals(Detection(Region((100, 100), 40), 0.4))
    finder = HandFinder(palms, proposals)
    for count in range(30):
        palms.windows.clear()
        proposals.parts.clear()
        finder(IMAGE, [])
        shows_all = count % 6 == 0
        assert len(palms.windows) <= 1
        assert sum(window.side >= 320 for window in palms.windows) == shows_all
        assert len(proposals.parts) == (count == 0 or not shows_all)


def test_the_whole_image_is_looked_at_with_and_without_a_border():
    palms = Palms()
    looks(HandFinder(palms, Proposals()), IMAGE, 24)
    assert [window == Window.around(640, 480) for window in palms.windows] == [True, False] * 2


def test_while_a_hand_is_followed_others_are_proposed():
    palms, proposals = Palms(), Proposals()
    looks(HandFinder(palms, proposals), IMAGE, 12, [Region((100.0, 100.0), 50.0)])
    assert len(proposals.parts) == 12 and not palms.windows


def test_each_look_beside_a_followed_hand_shows_the_whole_image_and_a_part():
    proposals = Proposals()
    proposals.longer_side = 320
    looks(HandFinder(Palms(), proposals), IMAGE, 4, [Region((100.0, 100.0), 50.0)])
    assert len(proposals.parts) == 8 and len(set(proposals.parts)) == 5
    assert all(part == (0, 0, 640, 480) for part in proposals.parts[::2])


def test_a_hand_seen_twice_is_handed_on_once():
    better, worse = Region((320.0, 240.0), 250.0), Region((325.0, 240.0), 260.0)
    palms = Palms(better, worse)
    assert [hand.region for hand in HandFinder(palms, Proposals())(IMAGE, [])] == [better]


def test_a_proposal_is_looked_at_enlarged_and_what_palms_say_of_it_is_handed_on():
    hand = Region((200.0, 150.0), 50.0)
    finder = HandFinder(Palms(hand), Proposals(Detection(Region((204.0, 149.0), 45.0), 0.2)))
    found = [hands for hands in looks(finder, IMAGE, 2) if hands]
    assert [detection.region for detection in found[0]] == [hand]


def test_the_same_place_is_not_looked_at_again_at_once():
    palms = Palms()
    finder = HandFinder(palms, Proposals(Detection(Region((200, 150), 50), 0.4)))
    looks(finder, IMAGE, 15)
    assert sum(window.side < 100 for window in palms.windows) == 1
    looks(finder, IMAGE, 15)
    assert sum(window.side < 100 for window in palms.windows) == 2


def test_the_likeliest_of_all_parts_come_first_and_are_looked_at_by_themselves():
    hands = [Detection(Region((60.0 + 90 * k, 200.0), 40.0), 0.3 + 0.05 * k) for k in range(6)]
    proposals = Proposals(*hands)
    finder = HandFinder(Palms(), proposals)
    finder(IMAGE, [])
    middles = [left + width / 2 for left, _, width, _ in proposals.again]
    np.testing.assert_allclose(middles, [510, 420], atol=1)
    assert all(40 < width < 100 for _, _, width, _ in proposals.again)
    looks(finder, IMAGE, 4)
    assert {left + width // 2 for left, _, width, _ in proposals.again} == {
        60,
        150,
        240,
        330,
        420,
        510,
    }


def test_what_is_no_hand_by_itself_is_not_shown_to_the_palm_detector():
    palms = Palms(Region((100.0, 100.0), 40.0))
    proposals = Proposals(Detection(Region((100, 100), 40), 0.25), second=[])
    assert not any(looks(HandFinder(palms, proposals), IMAGE, 4))
    assert not any(window.side < 100 for window in palms.windows)


def test_nothing_is_proposed_where_a_hand_is_followed():
    hand = Region((200, 150), 50)
    palms = Palms()
    finder = HandFinder(palms, Proposals(Detection(hand, 0.9)))
    looks(finder, IMAGE, 10, [hand])
    assert not any(window.side < 100 for window in palms.windows)


def test_a_finger_of_a_hand_that_is_followed_is_no_proposal_but_a_hand_beside_it_is():
    hand, finger = Region((200.0, 200.0), 120.0), Detection(Region((220, 160), 40), 0.9)
    other = Detection(Region((240, 180), 100), 0.8)
    finder = HandFinder(Palms(), Proposals(finger, other))
    assert finder(IMAGE, [hand]) == [other]


def test_an_arm_that_ends_in_a_hand_is_no_other_hand():
    hand, arm = Region((200.0, 150.0), 60.0), Region((210.0, 190.0), 150.0)
    finder = HandFinder(Palms(), Proposals(Detection(arm, 0.9)))
    assert finder(IMAGE, [hand]) == []
    both = HandFinder(Palms(), Proposals(Detection(arm, 0.8), Detection(hand, 0.9)))
    assert [one.region for one in both(IMAGE, [])] == [hand]


def test_a_place_that_is_clear_by_itself_is_handed_on_as_it_is_seen_then():
    proposal, second = (Detection(Region((x, 100), 40), 0.9) for x in (100, 104))
    palms = Palms()
    finder = HandFinder(palms, Proposals(proposal, second=[second]))
    assert finder(IMAGE, []) == [second]
    finder(IMAGE, [second.region])
    assert not any(window.side < 100 for window in palms.windows)


def test_a_clear_place_that_did_not_become_a_hand_is_shown_to_the_palm_detector():
    clear, better = Detection(Region((100, 100), 40), 0.9), Region((104.0, 100.0), 44.0)
    finder = HandFinder(Palms(better), Proposals(clear))
    assert finder(IMAGE, []) == [clear]
    assert [hand.region for hand in finder(IMAGE, [])] == [better]
    assert not any(looks(finder, IMAGE, 10))


def test_a_clear_proposal_stands_where_the_palm_detector_sees_nothing():
    clear, unclear = Detection(Region((100, 100), 40), 0.9), Detection(Region((400, 300), 40), 0.2)
    finder = HandFinder(Palms(), Proposals(clear, unclear))
    found = [hand for hands in looks(finder, IMAGE, 10) for hand in hands]
    assert found == [clear]


def test_large_images_are_looked_at_in_parts_too():
    proposals = Proposals()
    finder = HandFinder(Palms(), proposals)
    looks(finder, np.zeros((1080, 1920, 3), np.uint8), 23)
    covered = np.zeros((1080, 1920), bool)
    for left, top, width, height in proposals.parts:
        if width < 1920:
            covered[top : top + height, left : left + width] = True
    assert covered.all()
    assert [part == (0, 0, 1920, 1080) for part in proposals.parts] == [True, False] * 10


def test_a_new_image_size_starts_from_the_beginning():
    palms = Palms()
    finder = HandFinder(palms, Proposals())
    looks(finder, IMAGE, 7)
    finder(np.zeros((240, 320, 3), np.uint8), [])
    assert palms.windows[-1] == Window.around(320, 240)


@pytest.mark.parametrize("is_still", [False, True])
def test_large_images_are_scaled_down_and_regions_are_the_originals(is_still):
    image = np.zeros((3072, 4096, 3), np.uint8)
    palms = Palms(Region((1023.75, 511.75), 900.0))  # in an image of half the size
    finder = HandFinder(palms, Proposals())
    if is_still:
        with finder.still(image):
            (hand,) = finder(image, [])
    else:
        (hand,) = finder(image, [])
    assert palms.windows[0] == Window.around(2048, 1536)
    assert hand.region.center_px == (2048.0, 1024.0) and hand.region.size_px == 1800.0


def test_a_followed_hand_in_a_large_image_is_not_proposed():
    palms = Palms()
    finder = HandFinder(palms, Proposals(Detection(Region((200.0, 150.0), 50.0), 0.4)))
    looks_at = np.zeros((4096, 4096, 3), np.uint8)
    looks(finder, looks_at, 30, [Region((400.5, 300.5), 100.0)])
    assert all(window.side > 100 for window in palms.windows)


def test_places_that_others_name_are_looked_at_first_with_what_is_around_them():
    proposals = Proposals()
    finder = HandFinder(Palms(), proposals)
    finder(IMAGE, [], [(300, 200, 100, 50), (600, 400, 100, 200)])
    finder(IMAGE, [])
    finder(IMAGE, [])
    assert proposals.parts == [(280, 180, 140, 90), (560, 360, 80, 120), (0, 0, 640, 480)]


@pytest.mark.parametrize("place", [(700, 0, 50, 50), (0, 500, 50, 50), (100, 100, 0, 0)])
def test_places_that_show_nothing_are_passed_over(place):
    proposals = Proposals()
    HandFinder(Palms(), proposals)(IMAGE, [], [place], everywhere=False)
    assert proposals.parts == []


def test_nothing_but_named_places_is_looked_at_if_that_is_wanted():
    hand = Region((320.0, 220.0), 60.0)
    palms, proposals = Palms(hand), Proposals(Detection(hand, 0.4))
    finder = HandFinder(palms, proposals)
    for _ in range(10):
        assert finder(IMAGE, [], everywhere=False) == []
    assert not palms.windows and not proposals.parts
    found = finder(IMAGE, [], [(300, 200, 50, 60)], everywhere=False)
    assert [detection.region for detection in found] == [hand]


def test_places_are_named_in_pixels_of_the_image_and_only_so_many_wait():
    proposals = Proposals()
    finder = HandFinder(Palms(), proposals)
    image = np.zeros((3000, 4096, 3), np.uint8)  # seen at half its size
    finder(image, [], [(1000 + k, 1000, 500, 500) for k in range(40)])
    assert proposals.parts[0][2:] == (350, 350)
    looks(finder, image, 15)
    finder(image, [])
    assert sum(part[2:] == (350, 350) for part in proposals.parts) <= 16
