"""Depth pictures: which belongs to which picture, and which fit it."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
from sensor_msgs.msg import Image

from cmr_ros.errors import InputError
from cmr_ros.geometry.camera import Camera
from cmr_ros.ros.depth import DepthInput


class Timer:
    """Stands in for a ROS timer; it ticks when the test says so."""

    def __init__(self, callback):
        self.callback, self.runs = callback, True

    def cancel(self):
        self.runs = False

    def reset(self):
        self.runs = True

    def is_canceled(self):
        return not self.runs

    def tick(self, times=100):
        for _ in range(times):
            if self.runs:
                self.callback()


class StandIn:
    """Stands in for a node, so that arrivals have an order.  answers: (picture, depth) in ms."""

    def __init__(self):
        self.answers = []
        self.input = DepthInput(self, lambda *pair: self.answers.append(tuple(map(ms, pair))))

    def create_subscription(self, kind, topic, callback, qos, **_):
        self.on_depth = callback
        return SimpleNamespace(topic_name=f"/camera/{topic}", qos_profile=qos)

    def resolve_topic_name(self, topic):
        return f"/camera/{topic}"

    def create_timer(self, period_s, callback, clock):
        self.timer = Timer(callback)
        return self.timer

    def picture(self, *stamps_ms):
        for stamp_ms in stamps_ms:
            self.input.pair(stamped(stamp_ms))

    def depth(self, *stamps_ms):
        for stamp_ms in stamps_ms:
            self.on_depth(stamped(stamp_ms), {"publication_sequence_number": None})


def stamped(stamp_ms: int) -> Image:
    image = Image()
    image.header.stamp.sec = 1_700_000_000 + stamp_ms // 1000
    image.header.stamp.nanosec = stamp_ms % 1000 * 1_000_000
    return image


def ms(image):
    if image is None:
        return None
    stamp = image.header.stamp
    return (stamp.sec - 1_700_000_000) * 1000 + stamp.nanosec // 1_000_000


def test_either_may_come_first():
    node = StandIn()
    node.depth(1000)
    node.picture(1000)
    assert node.answers == [(1000, 1000)], "at once"
    node.picture(1033)
    assert len(node.answers) == 1
    node.depth(1033)
    node.timer.tick()
    assert node.answers[1:] == [(1033, 1033)], "once"


def test_depth_ahead_of_slow_pictures_is_kept():
    node = StandIn()
    node.depth(1000, 1033, 1067, 1100)
    node.picture(1000, 1033)
    assert node.answers == [(1000, 1000), (1033, 1033)]


def test_a_picture_waits_for_its_own_depth_though_the_last_one_is_near():
    node = StandIn()
    node.depth(1000)
    node.picture(1017)
    assert not node.answers
    node.depth(1017)
    assert node.answers == [(1017, 1017)]


def test_sensors_that_run_freely_get_the_nearest():
    node = StandIn()
    node.depth(1000)
    node.picture(1012)
    node.depth(1033)
    assert node.answers == [(1012, 1000)]
    node.picture(1045)
    node.timer.tick()
    assert node.answers[1:] == [(1045, 1033)]


def test_a_late_timer_does_not_overtake_depth_that_has_come():
    node = StandIn()
    node.picture(1000)
    node.timer.tick(times=1)
    node.depth(1000)
    assert node.answers == [(1000, 1000)]


def test_what_is_missing_or_far_is_waited_for_once():
    node = StandIn()
    node.picture(1000)
    assert not node.answers
    node.timer.tick()
    assert node.answers == [(1000, None)]
    node.timer.tick()
    assert len(node.answers) == 1
    node.picture(1033)
    node.depth(1100)
    assert node.answers[1:] == [(1033, None)], "nothing nearer can come any more"


def test_the_newest_picture_takes_the_place_of_one_that_waits_but_no_longer_wait():
    node = StandIn()
    node.picture(1000)
    node.timer.reset = lambda: pytest.fail("a new wait: with fast pictures it would never end")
    node.picture(1017)
    node.timer.tick()
    assert node.answers == [(1017, None)]


def test_a_recording_that_begins_again_keeps_its_depth():
    node = StandIn()
    for stamp_ms in (90_000, 90_033, 90_067, 1000, 1033, 1067):
        node.picture(stamp_ms)
        node.depth(stamp_ms)
    assert node.answers[3:] == [(1000, 1000), (1033, 1033), (1067, 1067)]
    node.depth(500)  # before the image this time
    node.picture(1100)
    node.depth(1100)
    assert node.answers[6:] == [(1100, 1100)]


def test_images_without_stamps_get_the_newest_depth():
    node = StandIn()
    node.input.pair(Image())
    assert not node.answers
    node.depth(1000)
    assert node.answers[-1][1] == 1000
    node.depth(1033, 1067)
    node.input.pair(Image())
    assert node.answers[-1][1] == 1067
    for _ in range(20):
        node.input.pair(Image())
    assert node.answers[-1][1] is None, "it has gone"


def test_what_is_forgotten_is_not_answered():
    node = StandIn()
    node.picture(1000)
    node.input.forget()
    node.depth(1000)
    node.timer.tick()
    assert node.answers == []


def test_depth_that_has_gone_is_not_waited_for_until_it_is_back():
    node = StandIn()
    for stamp_ms in range(1000, 2000, 33):
        node.picture(stamp_ms)
        waits = not node.timer.is_canceled()
        node.timer.tick()
    assert not waits and {depth for _, depth in node.answers} == {None}
    with pytest.raises(InputError, match="nothing arrives on /camera/depth"):
        node.input.read(None, CAMERA, "optical")
    node.depth(2000)
    node.picture(2033)
    assert not node.timer.is_canceled()
    node.depth(2033)
    assert node.answers[-1] == (2033, 2033)


CAMERA = Camera.from_fov(4, 3, 60.0)


def depth_image(width=4, height=3, frame="optical", encoding="16UC1", depth_mm=1500) -> Image:
    data = np.full((height, width), depth_mm, "<u2").tobytes()
    image = Image(width=width, height=height, step=2 * width, encoding=encoding, data=data)
    image.header.frame_id = frame
    return image


def test_an_aligned_depth_picture_is_read_in_metres():
    depth_m = StandIn().input.read(depth_image(), CAMERA, "optical")
    assert depth_m.shape == (3, 4) and depth_m == pytest.approx(1.5)


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"width": 8}, "8x3.*4x3.*registered.*align_depth.enable"),
        ({"frame": "infrared"}, "'infrared'.*'optical'.*registered.*align_depth.enable"),
        ({"encoding": "rgb8"}, "'rgb8'.*16UC1.*32FC1"),
    ],
)
def test_depth_that_is_not_aligned_is_named(fields, words):
    with pytest.raises(InputError, match=f"/camera/depth.*{words}"):
        StandIn().input.read(depth_image(**fields), CAMERA, "optical")


def test_depth_that_never_fits_is_named():
    node = StandIn()
    node.depth(1000)
    node.picture(1500)
    node.timer.tick()
    assert node.answers == [(1500, None)]
    with pytest.raises(InputError, match="/camera/depth has a timestamp within 20 ms.*enable_sync"):
        node.input.read(None, CAMERA, "optical")
