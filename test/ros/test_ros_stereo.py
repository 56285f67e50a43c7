"""A second camera: what a node makes of it over DDS, and what it says where it cannot be used."""

import copy

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
pytest.importorskip("rosbags", reason="rosbags is not installed")
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage
from tf2_msgs.msg import TFMessage

from cmr_ros.files import playback
from cmr_ros.model import weights
from cmr_ros.msg import HandMeshArray
from cmr_ros.ros.pictures import decompress, to_image
from support.peer import PATIENCE_S, Diagnostics, NodeProcess, Peer, value_of

KINDS = {"image_raw/compressed": CompressedImage, "camera_info": CameraInfo}
OFFSET_NS = 3_000_000


class StereoDriver:
    """Plays two camera drivers; what the second one sends can be spoilt."""

    def __init__(self, namespace):
        self.peer = Peer(namespace)
        *_, frames = playback.read_stereo(weights.find("demo_stereo.mcap"))
        self.frame = frames[4]
        self.messages = {
            topic.removeprefix("/camera/"): deserialize_message(
                raw, KINDS[topic.removeprefix("/camera/").removeprefix("right/")]
            )
            for topic, _, raw in self.frame.messages
        }
        self.publishers = {
            topic: self.peer.publisher(type(message), topic)
            for topic, message in self.messages.items()
        }
        self.hands = self.peer.listen(HandMeshArray, "hand_node/hands")
        self.diagnostics = Diagnostics(self.peer)
        self.stamp_ns = 1000 * 10**9
        self.reset()

    def reset(self):
        self.has_right, self.offset_ns = True, OFFSET_NS
        self.spoil = lambda topic, message: None

    def wait_for_node(self):
        self.peer.spin_until(
            lambda: all(one.get_subscription_count() for one in self.publishers.values()),
            "the subscriptions",
        )

    def send(self):
        """Send both cameras' images of one moment; return the first one's stamp."""
        self.stamp_ns += 40_000_000
        stamp = Time(sec=self.stamp_ns // 10**9, nanosec=self.stamp_ns % 10**9)
        for topic, message in sorted(self.messages.items(), reverse=True):
            right = topic.startswith("right")
            if right and not self.has_right:
                continue
            message = copy.deepcopy(message)
            later_ns = self.stamp_ns + self.offset_ns
            own = Time(sec=later_ns // 10**9, nanosec=later_ns % 10**9) if right else stamp
            message.header.stamp = own
            self.spoil(topic, message)
            self.publishers[topic].publish(message)
        return stamp

    def ask_until(self, condition, what):
        """Ask until the condition holds for hands that come back; return them."""

        def holds(answer):
            return answer.hands and condition(answer.hands)

        return self.peer.ask(self.send, self.hands, holds, what).hands

    def warns(self, *words) -> bool:
        return self.diagnostics.tell(DiagnosticStatus.WARN, "placed by one view", *words)

    def one_view_until_warned(self, *words):
        """Ask until hands are placed by one view, and a warning says so."""

        def holds(hands):
            return not triangulated(hands) and self.warns(*words)

        return self.ask_until(holds, f"one view, and a warning of {words}")


def triangulated(hands):
    return [hand.registration for hand in hands if "stereo" in hand.registration]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nodes")
    node = NodeProcess("two", folder, "-p", "use_stereo:=true", "-p", "transport:=compressed")
    driver = StereoDriver("two")
    try:
        driver.wait_for_node()
        yield driver
    finally:
        driver.peer.close()
        node.stop()
    assert "Traceback" not in node.log, node.log


@pytest.fixture
def driver(running):
    running.reset()
    return running


def test_two_cameras_place_the_hand(driver):
    (hand,) = driver.ask_until(triangulated, "a hand placed by two views")
    wrist = np.array([hand.joints[0].x, hand.joints[0].y, hand.joints[0].z])
    assert np.linalg.norm(wrist - driver.frame.truth[0][0]) < 0.012
    later = "second image later by, ms"
    driver.ask_until(
        lambda _: value_of(driver.diagnostics.newest, later) == "3.0", "the offset in time"
    )


def exchanged(topic, message):
    if topic == "right/camera_info":
        message.p[3] *= -1


def in_millimetres(topic, message):
    if topic == "right/camera_info":
        message.p[3] *= 1000


def without_baseline(topic, message):
    if topic == "right/camera_info":
        message.p[3] = 0.0


def of_another_size(topic, message):
    if topic == "right/camera_info":
        message.width, message.height = 320, 240
        message.k[2], message.k[5] = 160.0, 120.0


def black(topic, message):
    if topic == "right/image_raw/compressed":
        picture = to_image(decompress(message), message.header)
        message.format = "png"
        message.data = _png(np.zeros((picture.height, picture.width, 3), np.uint8))


def _png(picture):
    import cv2

    return cv2.imencode(".png", picture)[1].tobytes()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (exchanged, ["left and right exchanged"]),
        (in_millimetres, ["/two/right/camera_info", "120 m apart", "millimetres"]),
        (without_baseline, ["no baseline", "/tf_static", "camera_right_optical_frame"]),
        (of_another_size, ["640x480", "320x240", "one camera"]),
        (black, ["/two/right/image_raw/compressed", "nearly black"]),
    ],
)
def test_what_cannot_be_used_is_named_and_one_view_goes_on(driver, spoil, words):
    driver.spoil = spoil
    driver.one_view_until_warned(*words)
    driver.reset()
    driver.ask_until(triangulated, "both views again")


def test_a_second_camera_that_is_silent_or_late_is_named_and_one_view_goes_on(driver):
    driver.offset_ns = 500_000_000
    driver.one_view_until_warned("within 10 ms", "stereo_tolerance_s", "synchronise")
    driver.has_right = False
    driver.one_view_until_warned("nothing arrives on /two/right/image_raw/compressed")
    driver.reset()
    driver.ask_until(triangulated, "both views again")


def test_the_cameras_place_may_come_from_tf_static(driver):
    driver.spoil = without_baseline
    kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = driver.peer.node.create_publisher(TFMessage, "/tf_static", kept)
    transform = TransformStamped(child_frame_id="camera_right_optical_frame")
    transform.header.frame_id = "camera_optical_frame"
    transform.transform.translation.x = 0.12
    publisher.publish(TFMessage(transforms=[transform]))
    (hand,) = driver.ask_until(triangulated, "a hand placed by two views")
    assert abs(hand.joints[0].z - driver.frame.truth[0][0, 2]) < 0.012


def test_depth_and_a_second_camera_exclude_each_other(tmp_path):
    node = NodeProcess(
        "both", tmp_path, "-p", "use_stereo:=true", "-p", "use_depth:=true",
    )  # fmt: skip
    assert node.process.wait(2 * PATIENCE_S) == 1
    assert "choose one" in node.log
