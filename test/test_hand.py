"""Names of hands."""

from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand import frame_names
from support.made_up_hands import hand


def test_frame_names_are_few_and_stay_with_the_older_hand():
    left, right = Handedness.LEFT, Handedness.RIGHT
    hands = [hand(7, left), hand(8, right), hand(5, left), hand(6, Handedness.UNKNOWN)]
    assert frame_names(hands) == ["hand_left_2", "hand_right", "hand_left", "hand_unknown"]
    assert frame_names(hands[:2]) == ["hand_left", "hand_right"]
