"""Id switches, fragmentations and identity scores of scenes whose figures are plain."""

import numpy as np

from cmr_ros.evaluation.identities import Identities, IdentityFigures

HAND = np.random.default_rng(0).uniform(0, 100, (21, 2))
LEFT, RIGHT = HAND, HAND + [300, 0]


def figures(*images):
    """Return the figures of images, each given as its true hands and those found."""
    identities = Identities()
    for true, found in images:
        identities.add(true, found)
    return identities.figures()


def test_hands_that_keep_their_ids():
    image = {"a": LEFT, "b": RIGHT}, {7: LEFT + 3, 8: RIGHT - 3}
    all_right = figures(image, image, image)
    assert all_right == IdentityFigures(true=6, found=6, right=6)
    assert all_right.idf1 == all_right.recall == 1


def test_ids_that_are_exchanged_are_two_switches():
    before = {"a": LEFT, "b": RIGHT}, {7: LEFT, 8: RIGHT}
    after = {"a": LEFT, "b": RIGHT}, {8: LEFT, 7: RIGHT}
    swapped = figures(before, before, after)
    assert swapped == IdentityFigures(true=6, found=6, right=4, switches=2)
    assert np.isclose(swapped.idf1, 4 / 6)


def test_a_hand_that_is_lost_for_an_image_is_a_fragmentation_and_no_switch():
    seen, missed = ({"a": LEFT}, {7: LEFT}), ({"a": LEFT}, {})
    assert figures(seen, missed, missed, seen) == IdentityFigures(
        true=4, found=2, right=2, fragmentations=1
    )


def test_nothing_is_held_against_an_image_that_does_not_show_the_hand():
    seen, hidden = ({"a": LEFT}, {7: LEFT}), ({}, {})
    assert figures(seen, hidden, seen) == IdentityFigures(true=2, found=2, right=2)
    again = {"a": LEFT}, {9: LEFT}
    assert figures(seen, hidden, again).switches == 1


def test_a_hand_stays_with_its_id_while_another_one_is_nearer():
    seen, both = ({"a": LEFT}, {7: LEFT}), ({"a": LEFT}, {7: LEFT + 12, 8: LEFT})
    assert figures(seen, both, both).switches == 0


def test_what_is_found_elsewhere_lowers_idf1_but_not_recall():
    false = figures(({"a": LEFT}, {7: LEFT, 8: RIGHT}))
    assert false.recall == 1 and np.isclose(false.idf1, 2 / 3)
    assert false + false == IdentityFigures(true=2, found=4, right=2)
    assert figures(({}, {})).idf1 == 0
