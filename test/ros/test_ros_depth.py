"""Depth pictures over DDS: what a node makes of them, compressed ones too."""

from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CompressedImage, Image

from cmr_ros.srv import CalibrateHandSize
from support.camera_images import compressed_depth
from support.peer import Camera as Driver
from support.peer import NodeProcess

_COMPRESSED = "depth/image_raw/compressedDepth"


def _raw_depth(depth):
    height, width = depth.shape
    encoding = {"uint16": "16UC1", "float32": "32FC1"}[depth.dtype.name]
    message = Image(width=width, height=height, encoding=encoding, step=width * depth.itemsize)
    message.data.frombytes(depth.tobytes())
    return message


class RgbdDriver(Driver):
    """Sends `depth` (height, width) with each picture, before or after it; None: no depth."""

    def __init__(self, namespace, recording, is_compressed=False):
        super().__init__(namespace, recording)
        self.is_compressed = is_compressed
        kind, topic = (CompressedImage, _COMPRESSED) if is_compressed else (Image, "depth")
        self.depths = self.peer.publisher(kind, topic)
        self.depth, self.depth_first = None, False

    def send(self, picture=None, info=True):
        if self.depth_first:
            self._send_depth(self.stamp + 1)
        stamp = super().send(picture, info)
        if not self.depth_first:
            self._send_depth(stamp.sec)
        return stamp

    def _send_depth(self, stamp):
        if self.depth is None:
            return
        encode = compressed_depth if self.is_compressed else _raw_depth
        message = encode(self.depth)
        message.header.stamp.sec, message.header.stamp.nanosec = stamp, 7 * stamp
        message.header.frame_id = "camera_optical"
        self.depths.publish(message)

    def ask_until(self, condition, what):
        """Ask until the condition holds for the first hand; return that."""

        def holds(answer):
            return answer.hands and condition(answer.hands[0])

        return self.ask(holds=holds, what=what).hands[0]

    def warns(self, *words) -> bool:
        return self.diagnostics.tell(DiagnosticStatus.WARN, *words)


@pytest.fixture(scope="module")
def driver(tmp_path_factory, recorded_messages):
    with running("rgbd", tmp_path_factory, recorded_messages) as driver:
        yield driver


@pytest.fixture(scope="module")
def compressed(tmp_path_factory, recorded_messages):
    """A driver whose depth comes by image_transport's plugin compressedDepth."""
    remapped = ("-r", f"depth:={_COMPRESSED}")
    with running("coded_rgbd", tmp_path_factory, recorded_messages, *remapped) as driver:
        yield driver


@contextmanager
def running(namespace, tmp_path_factory, recorded_messages, *arguments):
    folder = tmp_path_factory.mktemp("nodes")
    node = NodeProcess(namespace, folder, "-p", "use_depth:=true", *arguments)
    driver = RgbdDriver(namespace, recorded_messages, is_compressed=bool(arguments))
    try:
        driver.peer.spin_until(driver.depths.get_subscription_count, "the subscription to depth")
        driver.wait_for_node()
        yield driver
    finally:
        driver.peer.close()
        node.stop()
    assert "Traceback" not in node.log, node.log


@pytest.fixture(scope="module")
def without_depth(driver):
    """The first hand while no depth comes."""
    words = ("nothing arrives on /rgbd/depth", "align_depth.enable")
    return driver.ask_until(lambda hand: driver.warns(*words), "diagnostics of missing depth")


def test_missing_depth_is_told_and_hands_come_without(without_depth):
    assert without_depth.registration and "depth" not in without_depth.registration


@pytest.mark.parametrize("depth_first", [False, True])
@pytest.mark.parametrize("unit", ["millimetres", "metres"])
def test_depth_places_the_hand(driver, without_depth, unit, depth_first):
    driver.depth_first = depth_first
    a_plane_places_the_hand(driver, without_depth, unit)
    driver.ask_until(lambda hand: not driver.warns("without depth"), "the all-clear")


def a_plane_places_the_hand(driver, before, unit):
    """The plane goes through the hand, 6 % farther than the picture alone says."""
    distance_m = 1.06 * np.median(np.reshape(before.vertices, (-1, 3))[:, 2])
    plane_m = np.full((driver.info.height, driver.info.width), distance_m, np.float32)
    driver.depth = (1000 * plane_m).astype(np.uint16) if unit == "millimetres" else plane_m
    hand = driver.ask_until(lambda hand: "depth" in hand.registration, "a hand placed by depth")
    assert hand.joints[0].z == pytest.approx(1.06 * before.joints[0].z, rel=0.025)
    assert hand.root_covariance[8] < 0.2 * before.root_covariance[8]


def test_depth_measures_how_long_the_hand_is(driver, without_depth):
    peer, set_parameter = driver.peer, driver.peer.set_parameter
    client = peer.node.create_client(CalibrateHandSize, "hand_node/calibrate_hand_size")
    peer.spin_until(client.service_is_ready, "the service")

    def measured():
        answer = client.call_async(CalibrateHandSize.Request())
        driver.send_until(answer.done, "the measurement")
        return answer.result()

    try:
        assert set_parameter("hand_node", "max_hands", 1).successful
        driver.depth = None
        driver.ask_until(lambda hand: "depth" not in hand.registration, "a hand without depth")
        refused = measured()
        assert not refused.success and "give wrist_depth_m, or use_depth" in refused.message
        a_plane_places_the_hand(driver, without_depth, "millimetres")
        found = measured()
        assert found.success, found.message
        assert found.hand_length_m == pytest.approx(1.06 * without_depth.hand_length_m, rel=0.03)
        assert 0.001 < found.hand_length_deviation_m < 0.02
    finally:
        assert set_parameter("hand_node", "hand_length_m", 0.0).successful
        assert set_parameter("hand_node", "hand_length_deviation_m", 0.002).successful
        assert set_parameter("hand_node", "max_hands", 2).successful


def test_depth_of_another_size_is_told_and_hands_come_without(driver, without_depth):
    driver.depth = np.full((240, 320), 500, np.uint16)
    words = ("/rgbd/depth is 320x240", "the image is 640x480", "align_depth.enable")
    driver.ask_until(
        lambda hand: "depth" not in hand.registration and driver.warns(*words),
        "a hand without depth, and diagnostics of the size",
    )


@pytest.mark.parametrize("unit", ["millimetres", "metres"])
def test_compressed_depth_places_the_hand(compressed, unit):
    compressed.depth = None
    before = compressed.ask_until(lambda hand: "depth" not in hand.registration, "no depth")
    a_plane_places_the_hand(compressed, before, unit)


def test_compressed_depth_that_cannot_be_read_is_told_with_the_remedy(compressed):
    compressed.depth = np.full((240, 320), 500, np.uint16)
    words = (f"/coded_rgbd/{_COMPRESSED} is 320x240", "the image is 640x480", "align_depth.enable")
    compressed.ask_until(lambda hand: compressed.warns(*words), "diagnostics of the size")
