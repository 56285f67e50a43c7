"""Subscriptions: the quality of service that hears everybody, and messages counted."""

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from cmr_ros.ros.subscription import NewestSubscription, PolledSubscription, fitting


def quality(words: str) -> QoSProfile:
    reliable = ReliabilityPolicy.RELIABLE if "reliable" in words else ReliabilityPolicy.BEST_EFFORT
    kept = DurabilityPolicy.TRANSIENT_LOCAL if "latched" in words else DurabilityPolicy.VOLATILE
    return QoSProfile(depth=3, reliability=reliable, durability=kept)


@pytest.mark.parametrize(
    "wished, latched, offered, expected",
    [
        ("reliable", False, [], "reliable"),
        ("reliable", False, ["reliable"], "reliable"),
        ("reliable", False, ["best-effort"], "best-effort"),
        ("reliable", False, ["reliable", "best-effort"], "best-effort"),
        ("best-effort", False, ["reliable"], "best-effort"),
        ("reliable", False, ["reliable latched"], "reliable"),
        ("reliable", True, ["reliable latched"], "reliable latched"),
        ("reliable", True, ["reliable latched", "reliable"], "reliable"),
        ("reliable", True, ["best-effort latched"], "best-effort latched"),
        ("reliable latched", False, ["reliable latched"], "reliable latched"),
        ("reliable latched", False, ["reliable"], "reliable"),
    ],
)
def test_the_quality_of_service_hears_every_publisher(wished, latched, offered, expected):
    found = fitting(quality(wished), [quality(one) for one in offered], latched)
    assert found == quality(expected)


class Subscription:
    """What the stand-in subscribes."""

    def __init__(self, topic_name, handle, qos, call, group):
        self.topic_name, self.handle, self.qos, self.call = topic_name, handle, qos, call
        self._group = group
        group.add_entity(self)

    @property
    def is_read(self):
        return self._group.can_execute(self)


class StandIn:
    """Stands in for a node whose topic has the publishers it is told of."""

    def __init__(self):
        self.offered, self.subscribed, self.log = [], [], []
        self.waiting = [None]

    def create_subscription(self, kind, topic, callback, qos, callback_group, **_):
        taken = SimpleNamespace(take_message=lambda kind, raw: self.waiting.pop(0))
        made = Subscription(f"/camera/{topic}", taken, qos, callback, callback_group)
        self.subscribed.append(made)
        return made

    def destroy_subscription(self, subscription):
        self.subscribed.append(None)

    def resolve_topic_name(self, topic):
        return f"/camera/{topic}"

    def get_publishers_info_by_topic(self, topic):
        return [SimpleNamespace(qos_profile=quality(words)) for words in self.offered]

    def get_logger(self):
        return SimpleNamespace(info=self.log.append)


@pytest.fixture
def node():
    return StandIn()


@pytest.fixture
def images(node):
    node.heard = []
    return NewestSubscription(node, None, "image_raw", node.heard.append)


def test_publishers_that_come_and_go_are_followed(node, images):
    for offered, expected in [
        (["best-effort"], "best-effort"),
        ([], "best-effort"),
        (["reliable"], "reliable"),
    ]:
        node.offered = offered
        images.adapt()
        assert node.subscribed[-1].qos.reliability == quality(expected).reliability
    (told,) = node.log
    assert "/camera/image_raw is published best-effort" in told and "fastdds.xml" in told


def test_messages_are_left_unread_while_closed_and_old_ones_are_dropped(node, images):
    assert node.subscribed[-1].is_read
    images.close()
    assert not node.subscribed[-1].is_read and not images.is_open
    node.waiting = [("old", {}), None]
    images.open()
    assert node.subscribed[-1].is_read and ("old", {}) not in node.waiting
    assert len(node.subscribed) == 1, "a new subscription gets its first message late"


def test_what_is_closed_adapts_and_stays_closed(node, images):
    images.close()
    node.offered = ["best-effort"]
    images.adapt()
    renewed = node.subscribed[-1]
    assert renewed.qos.reliability == ReliabilityPolicy.BEST_EFFORT
    assert not renewed.is_read


def call(node, *numbers):
    for number in numbers:
        node.subscribed[-1].call("image", {"publication_sequence_number": number})


def test_skipped_messages_are_counted(node, images):
    call(node, 17, 18, 21)
    assert images.published() == 5 and len(node.heard) == 3
    call(node, 25)
    assert images.published() == 4 and images.published() == 0


def test_another_publisher_or_none_that_counts_is_no_gap(node, images):
    call(node, 1_000_000, 3, 4, None, None)
    assert images.published() == 5
    images.close()
    images.open()
    call(node, 90)
    assert images.published() == 1, "what was published meanwhile was not wanted"


def test_polled_messages_wait_until_they_are_taken(node):
    infos = PolledSubscription(node, None, "camera_info", history=2)
    node.waiting = [("first", {}), ("second", {}), ("third", {}), None]
    assert infos.take() == ["first", "second"]
    assert infos.take() == ["third"]
