"""Where the finder looks, in which order, and what it hands on."""

import numpy as np
import pytest

from cmr_ros.geometry.crop import Region
from cmr_ros.tracking.detection import Detection
from cmr_ros.tracking.finder import HandFinder

IMAGE = np.zeros((480, 640, 3), np.uint8)


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


def looks(finder, image, count, known=()):
    return [finder(image, known) for _ in range(count)]


def test_it_knows_of_the_first_image_after_how_many_looks_it_has_been_everywhere():
    proposals = Proposals()
    proposals.longer_side = 100
    finder = HandFinder(proposals)
    with finder.still(IMAGE) as count:
        looks(finder, IMAGE, count)
    assert len(set(proposals.parts)) == 10


def test_the_costs_of_a_look_are_bounded_and_every_other_one_shows_the_whole_image():
    hands = [Detection(Region((60.0 + 90 * k, 200.0), 40.0), 0.1) for k in range(6)]
    proposals = Proposals(*hands)
    proposals.longer_side = 320
    finder = HandFinder(proposals)
    for count in range(30):
        finder(IMAGE, [])
        assert len(proposals.parts) == count + 1
        assert (proposals.parts[-1] == (0, 0, 640, 480)) == (count % 2 == 0)
        assert len(proposals.again) <= 3 * (count + 1)


def test_while_a_hand_is_followed_others_are_proposed():
    proposals = Proposals()
    looks(HandFinder(proposals), IMAGE, 12, [Region((100.0, 100.0), 50.0)])
    assert len(proposals.parts) == 12


def test_a_hand_proposed_twice_is_handed_on_once():
    better, worse = Region((320.0, 240.0), 250.0), Region((325.0, 240.0), 260.0)
    finder = HandFinder(Proposals(Detection(worse, 0.8), Detection(better, 0.9)))
    assert [hand.region for hand in finder(IMAGE, [])] == [better]


def test_a_place_that_is_no_hand_by_itself_is_not_looked_at_again_at_once():
    proposals = Proposals(Detection(Region((200, 150), 50), 0.2), second=[])
    finder = HandFinder(proposals)
    assert not any(looks(finder, IMAGE, 15)) and len(proposals.again) == 1
    assert not any(looks(finder, IMAGE, 15)) and len(proposals.again) == 2


def test_the_likeliest_of_all_parts_come_first_and_are_looked_at_by_themselves():
    hands = [Detection(Region((60.0 + 90 * k, 200.0), 40.0), 0.3 + 0.05 * k) for k in range(6)]
    proposals = Proposals(*hands)
    finder = HandFinder(proposals)
    finder(IMAGE, [])
    middles = [left + width / 2 for left, _, width, _ in proposals.again]
    np.testing.assert_allclose(middles, [510, 420, 330], atol=1)
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


def test_nothing_is_proposed_where_a_hand_is_followed():
    hand = Region((200, 150), 50)
    proposals = Proposals(Detection(hand, 0.9))
    assert not any(looks(HandFinder(proposals), IMAGE, 10, [hand])) and not proposals.again


def test_a_finger_of_a_hand_that_is_followed_is_no_proposal_but_a_hand_beside_it_is():
    hand, finger = Region((200.0, 200.0), 120.0), Detection(Region((220, 160), 40), 0.9)
    other = Detection(Region((240, 180), 100), 0.8)
    finder = HandFinder(Proposals(finger, other))
    assert finder(IMAGE, [hand]) == [other]


def test_an_arm_that_ends_in_a_hand_is_no_other_hand():
    hand, arm = Region((200.0, 150.0), 60.0), Region((210.0, 190.0), 150.0)
    finder = HandFinder(Proposals(Detection(arm, 0.9)))
    assert finder(IMAGE, [hand]) == []
    both = HandFinder(Proposals(Detection(arm, 0.8), Detection(hand, 0.9)))
    assert [one.region for one in both(IMAGE, [])] == [hand]


def test_a_place_that_is_clear_by_itself_is_handed_on_as_it_is_seen_then():
    proposal, second = (Detection(Region((x, 100), 40), 0.9) for x in (100, 104))
    finder = HandFinder(Proposals(proposal, second=[second]))
    assert finder(IMAGE, []) == [second]


def test_a_clear_place_that_has_not_become_a_hand_is_handed_on_once_more():
    clear = Detection(Region((100, 100), 40), 0.9)
    finder = HandFinder(Proposals(clear))
    assert [len(found) for found in looks(finder, IMAGE, 10)] == [1, 1, *[0] * 8]


def test_large_images_are_looked_at_in_parts_too():
    proposals = Proposals()
    finder = HandFinder(proposals)
    looks(finder, np.zeros((1080, 1920, 3), np.uint8), 20)
    covered = np.zeros((1080, 1920), bool)
    for left, top, width, height in proposals.parts:
        if width < 1920:
            covered[top : top + height, left : left + width] = True
    assert covered.all() and (0, 0, 1920, 1080) in proposals.parts


def test_a_new_image_size_starts_from_the_beginning():
    proposals = Proposals()
    proposals.longer_side = 320
    finder = HandFinder(proposals)
    looks(finder, IMAGE, 7)
    finder(np.zeros((600, 800, 3), np.uint8), [])
    assert proposals.parts[-1] == (0, 0, 800, 600)


@pytest.mark.parametrize("is_still", [False, True])
def test_large_images_are_scaled_down_and_regions_are_the_originals(is_still):
    image = np.zeros((3072, 4096, 3), np.uint8)
    # in an image of half the size
    proposals = Proposals(Detection(Region((1023.75, 511.75), 900.0), 0.9))
    finder = HandFinder(proposals)
    if is_still:
        with finder.still(image):
            (hand,) = finder(image, [])
    else:
        (hand,) = finder(image, [])
    assert proposals.parts[0] == (0, 0, 2048, 1536)
    assert hand.region.center_px == (2048.0, 1024.0) and hand.region.size_px == 1800.0


def test_a_followed_hand_in_a_large_image_is_not_proposed():
    proposals = Proposals(Detection(Region((200.0, 150.0), 50.0), 0.4))
    image = np.zeros((4096, 4096, 3), np.uint8)
    assert not any(looks(HandFinder(proposals), image, 30, [Region((400.5, 300.5), 100.0)]))


def test_places_that_others_name_are_looked_at_first_with_what_is_around_them():
    proposals = Proposals()
    finder = HandFinder(proposals)
    finder(IMAGE, [], [(300, 200, 100, 50), (600, 400, 100, 200)])
    finder(IMAGE, [])
    finder(IMAGE, [])
    assert proposals.parts == [(280, 180, 140, 90), (560, 360, 80, 120), (0, 0, 640, 480)]


@pytest.mark.parametrize("place", [(700, 0, 50, 50), (0, 500, 50, 50), (100, 100, 0, 0)])
def test_places_that_show_nothing_are_passed_over(place):
    proposals = Proposals()
    HandFinder(proposals)(IMAGE, [], [place], everywhere=False)
    assert proposals.parts == []


def test_nothing_but_named_places_is_looked_at_if_that_is_wanted():
    hand = Region((320.0, 220.0), 60.0)
    proposals = Proposals(Detection(hand, 0.4))
    finder = HandFinder(proposals)
    for _ in range(10):
        assert finder(IMAGE, [], everywhere=False) == []
    assert not proposals.parts
    found = finder(IMAGE, [], [(300, 200, 50, 60)], everywhere=False)
    assert [detection.region for detection in found] == [hand]


def test_places_are_named_in_pixels_of_the_image_and_only_so_many_wait():
    proposals = Proposals()
    finder = HandFinder(proposals)
    image = np.zeros((3000, 4096, 3), np.uint8)  # seen at half its size
    finder(image, [], [(1000 + k, 1000, 500, 500) for k in range(40)])
    assert proposals.parts[0][2:] == (350, 350)
    looks(finder, image, 15)
    finder(image, [])
    assert sum(part[2:] == (350, 350) for part in proposals.parts) <= 16
