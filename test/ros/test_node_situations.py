"""What cameras, other nodes and listeners really do to a node; each with the right answer."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_srvs.srv import Empty
from tf2_msgs.msg import TFMessage

from cmr_ros.errors import RegistrationError
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.msg import HandCollisionArray, HandGraspArray, HandMeshArray
from cmr_ros.ros.depth import DepthInput
from cmr_ros.ros.pictures import decompress, to_image
from support.peer import Diagnostics, NodeProcess, Peer, value_of

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class World:
    """A camera whose camera_info was sent once, before the node started, and the node's status."""

    def __init__(self, folder, recorded_messages):
        self.peer = Peer("odd")
        pictures, self.info = copy.deepcopy(recorded_messages)
        self.image = to_image(decompress(pictures[0]), pictures[0].header)
        self.image.header.frame_id = self.info.header.frame_id = "camera_optical"
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.infos = self.peer.node.create_publisher(CameraInfo, "camera_info", latched)
        self.infos.publish(self.info)
        self.images = self.peer.publisher(Image, "image_raw")
        self.diagnostics = Diagnostics(self.peer)
        self.stamp = 1000
        self.answers = []
        self.process = NodeProcess("odd", folder)

    def close(self):
        self.peer.close()
        self.process.stop()

    def send(self, picture=None, stamp=True):
        """Publish an image a tenth of a second after the last, and return its stamp.

        stamp: whether it is stamped with that time; or other seconds.
        """
        message = copy.copy(self.image) if picture is None else to_image(picture, self.image.header)
        message.header = copy.deepcopy(message.header)
        self.stamp += 0.1
        seconds = self.stamp if stamp is True else stamp
        message.header.stamp.sec = int(seconds)
        message.header.stamp.nanosec = round(seconds % 1 * 1e9)
        self.images.publish(message)
        return message.header.stamp

    def send_until(self, condition, what, **image):
        """Publish images, ten a second, until the condition holds."""
        return self.peer.send_until(lambda: self.send(**image), condition, what)

    def tells(self, level, *words, **image):
        """Publish images until the diagnostics say it all, at this level."""
        try:
            self.send_until(lambda: self.diagnostics.tell(level, *words), words, **image)
        except AssertionError:
            pytest.fail(f"expected {level} {words}, got {self.diagnostics.newest}")

    def hand(self, **image):
        """Publish images until one with a hand is answered; return the hand."""
        answer = self.peer.ask(
            lambda: self.send(**image), self.answers, lambda answer: answer.hands, "a hand"
        )
        return answer.hands[0]


def received(status):
    """How many images a second the node says it received."""
    return float(value_of(status, "images received per second"))


@pytest.fixture(scope="module")
def world(tmp_path_factory, recorded_messages):
    world = World(tmp_path_factory.mktemp("nodes"), recorded_messages)
    yield world
    world.close()
    assert "Traceback" not in world.process.log, world.process.log


@pytest.fixture(scope="module")
def idle(world):
    """Wait until the node is idle; nobody has listened to it yet."""
    world.tells(OK, "idle")


@pytest.fixture
def listened(world, idle):
    """Listen to the node's hands."""
    topic = "hand_node/hands"
    hands = world.peer.node.create_subscription(HandMeshArray, topic, world.answers.append, 10)
    yield
    world.peer.node.destroy_subscription(hands)


def test_nobody_listens_and_no_image_is_read(world, idle):
    said = world.diagnostics.said
    said.clear()
    world.tells(OK, "idle")
    said.clear()
    world.send_until(lambda: len(said) > 2, "the diagnostics")
    assert all(received(one) == 0 for one in said)


def test_the_first_listener_gets_hands_though_camera_info_came_once_before(world, listened):
    assert world.hand().joints[0].z > 0.1


def test_when_the_last_listener_has_gone_images_are_no_longer_read(world, idle):
    hands = world.peer.node.create_subscription(
        HandMeshArray, "hand_node/hands", world.answers.append, 10
    )

    def reads():
        return world.diagnostics.tell(OK) and received(world.diagnostics.newest) > 0

    world.send_until(reads, "images that are read")
    world.peer.node.destroy_subscription(hands)
    world.send_until(lambda: not reads() and world.diagnostics.tell(OK, "idle"), "the end of it")


def test_a_driver_that_waits_for_listeners_has_one(world, idle):
    world.peer.spin_until(lambda: world.images.get_subscription_count() == 1, "a subscription")


@pytest.mark.parametrize(
    "kind, topic",
    [
        (TFMessage, "/tf"),
        (Image, "hand_node/mask"),
        (Image, "hand_node/debug_image"),
        (HandGraspArray, "hand_node/grasps"),
        (PointCloud2, "hand_node/points"),
        (HandCollisionArray, "hand_node/collision"),
    ],
)
def test_whatever_is_listened_to_wakes_the_node(world, idle, kind, topic):
    heard = []
    listener = world.peer.node.create_subscription(kind, topic, heard.append, 10)
    try:
        world.send_until(lambda: heard, topic)
    finally:
        world.peer.node.destroy_subscription(listener)


def test_reset_forgets_who_was_tracked(world, listened):
    first = world.hand()
    assert world.hand().track_id == first.track_id
    client = world.peer.node.create_client(Empty, "hand_node/reset")
    world.peer.spin_until(client.service_is_ready, "the service")
    answer = client.call_async(Empty.Request())
    world.peer.spin_until(answer.done, "an answer")
    assert world.hand().track_id != first.track_id


def test_when_time_jumps_hands_are_new_ones(world, listened):
    known = world.hand().track_id
    for step_s in (-500, 3600):
        world.stamp += step_s
        hand = world.hand()
        assert hand.track_id > known
        known = hand.track_id
        assert world.hand().track_id == known


def test_handedness_holds_for_hands_that_are_tracked_already(world, listened):
    seen = world.hand().handedness
    for name in ("left", "right"):
        assert world.peer.set_parameter("hand_node", "handedness", name).successful
        assert world.hand().handedness == Handedness[name.upper()]
    assert world.peer.set_parameter("hand_node", "handedness", "unknown").successful
    assert world.hand().handedness in (seen, Handedness.RIGHT)


def test_whole_numbers_are_numbers(world, idle):
    assert world.peer.set_parameter("hand_node", "smoothing_hz", 1).successful
    assert world.peer.set_parameter("hand_node", "smoothing_hz", 0).successful
    refused = world.peer.set_parameter("hand_node", "frame_prefix", "bad name/")
    assert not refused.successful and "letters" in refused.reason


def test_other_frames_of_the_same_names_are_told(world, listened):
    others = world.peer.node.create_publisher(TFMessage, "/tf", 10)
    transform = TransformStamped(child_frame_id="hand_right/wrist")
    transform.header.frame_id = "elsewhere"

    def told():
        others.publish(TFMessage(transforms=[transform]))
        return world.diagnostics.tell(WARN, "hand_right/wrist", "frame_prefix")

    world.send_until(told, "a warning of the other's frames")
    world.peer.node.destroy_publisher(others)


def test_images_without_stamps_are_answered_and_told(world, listened):
    world.tells(WARN, "no timestamps", "/tf", "smoothing", stamp=0)
    assert world.hand(stamp=0)
    world.tells(WARN, "no timestamps", "5000000000 ns", stamp=5)
    world.tells(OK, "hand")


@pytest.mark.parametrize("level, word", [(2, "nearly black"), (120, "nearly uniform")])
def test_images_that_show_nothing_are_told(world, listened, level, word):
    noise = np.random.default_rng(0).integers(0, 4, (480, 640, 3), np.uint8)
    world.tells(WARN, word, "/odd/image_raw", picture=noise + np.uint8(level))
    world.tells(OK, "hand")


def test_a_camera_info_of_another_frame_is_told(world, listened):
    other = copy.deepcopy(world.info)
    other.header.frame_id = "infrared"
    world.infos.publish(other)
    world.tells(WARN, "'infrared'", "'camera_optical'", "two cameras")
    assert world.hand()
    for assumed_deg in (60.0, 0.0):  # what no camera_info is needed for
        assert world.peer.set_parameter("hand_node", "assume_hfov_deg", assumed_deg).successful
        if assumed_deg:
            world.tells(OK, "hand")
    world.infos.publish(world.info)
    world.tells(OK, "hand")


def test_what_no_lens_has_is_told_with_the_remedy(world, listened):
    uncalibrated = copy.deepcopy(world.info)
    uncalibrated.k = np.array([1.0, 0, 320, 0, 1, 240, 0, 0, 1])
    world.infos.publish(uncalibrated)
    world.tells(ERROR, "/odd/camera_info", "assume_hfov_deg")
    world.infos.publish(world.info)
    world.tells(OK, "hand")


@pytest.mark.parametrize(
    "name, words",
    [
        ("image_raw/compressed", ("/odd/image_raw/compressed", "transport:=compressed")),
        ("image_raw", ("published as sensor_msgs/msg/CompressedImage", "republish")),
    ],
)
def test_images_under_another_transport_are_pointed_out(world, listened, name, words):
    world.peer.node.destroy_publisher(world.images)
    other = world.peer.node.create_publisher(CompressedImage, name, 10)
    try:
        world.peer.spin_until(lambda: world.diagnostics.tell(ERROR, *words), words)
    finally:
        world.peer.node.destroy_publisher(other)
        world.images = world.peer.publisher(Image, "image_raw")


@pytest.fixture
def node():
    """A node in this process, that hears nothing."""
    from cmr_ros.ros.node import HandNode

    rclpy.init(args=["--ros-args", "-r", "__ns:=/inside", "-p", "assume_hfov_deg:=60"])
    node = HandNode()
    node.start()
    node.reports = []
    node.health._publisher = SimpleNamespace(publish=node.reports.append)
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.mark.parametrize("error", [TypeError("an integer is required"), MemoryError("too large")])
def test_unexpected_exceptions_cost_one_image(node, monkeypatch, error):
    message = to_image(np.full((480, 640, 3), 90, np.uint8), Image().header)
    message.header.stamp.sec = 1

    def report():
        node.health._publish()
        return node.reports[-1].status[0]

    with monkeypatch.context() as patch:
        patch.setattr(node._inputs, "read", lambda message: raised(error))
        node._answer(message, None)
        assert report().level == ERROR
        assert type(error).__name__ in report().message and str(error) in report().message
    node._answer(message, None)
    assert report().level == OK


def test_hands_that_all_are_refused_are_told_with_the_reason(node, recorded_messages, monkeypatch):
    moment = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: moment[0])
    compressed = recorded_messages[0][0]
    message = to_image(decompress(compressed), copy.deepcopy(compressed.header))
    monkeypatch.setattr(
        "cmr_ros.placement.register",
        lambda vertices, *_, **__: [RegistrationError("too few cues")] * len(vertices),
    )
    levels = []
    for _ in range(5):
        moment[0] += 0.5
        message.header.stamp.sec += 1
        node._answer(message, None)
        node.health._publish()
        levels.append(node.reports[-1].status[0].level)
    assert levels[0] == OK and levels[-1] == ERROR, "a single one is no trouble"
    assert "too few cues" in node.reports[-1].status[0].message


def test_unexpected_exceptions_of_depth_cost_no_hand(node, recorded_messages, monkeypatch):
    moment = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: moment[0])
    depths = DepthInput(node, node._answer)
    depths.read = lambda *_: raised(IndexError("out of bounds"))
    node._inputs._beside = depths
    compressed = recorded_messages[0][0]
    message = to_image(decompress(compressed), compressed.header)
    for _ in range(2):
        node._answer(message, Image())
        moment[0] += 3
    node.health._publish()
    status = node.reports[-1].status[0]
    assert status.level == WARN
    assert "without depth: IndexError: out of bounds" in status.message
    assert "hands" in {pair.key for pair in status.values if pair.value == "1"}


def raised(error):
    raise error
