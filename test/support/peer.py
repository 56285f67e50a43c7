"""The other end of the wire: starts nodes as processes, plays pictures to them, hears them out."""

import copy
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from cmr_ros.msg import HandMeshArray
from cmr_ros.ros.pictures import decompress, to_image
from support.shared import ROOT

#: Discovery takes half a second, now and then four, and a busy machine multiplies both.
PATIENCE_S = 60.0
#: An image that is not answered for so long may have got lost.
_LOST_S = 2.0


class NodeProcess:
    """A `hand_node` in a process and a namespace of its own; its log goes to a file."""

    def __init__(self, namespace: str, folder: Path, *arguments: str):
        self.log_path = folder / f"{namespace}.log"
        command = [sys.executable, "-m", "cmr_ros.ros", "--ros-args", "-r", f"__ns:=/{namespace}"]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *arguments], stdout=log, stderr=log, cwd=folder, env=environment()
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    @property
    def warnings(self) -> list[str]:
        """All but those about pauses, which a busy machine makes at any time."""
        lines = [line for line in self.log.splitlines() if "[WARN]" in line]
        return [line for line in lines if "no images on" not in line]

    def wait_for(self, words: str) -> None:
        """Wait until the log holds these words, and as long as its line takes."""
        end_s = time.monotonic() + PATIENCE_S
        while words not in self.log:
            assert self.process.poll() is None and time.monotonic() < end_s, self.log
            time.sleep(0.05)
        time.sleep(0.1)

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """End the process and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            return self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()


class Peer:
    """A ROS node in the test's process that talks to one `hand_node`."""

    def __init__(self, namespace: str):
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node("peer", namespace=namespace, context=self._context)
        self._executor = rclpy.executors.SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def close(self):
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def publisher(self, message_type, topic, reliable=True):
        policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        return self.node.create_publisher(
            message_type, topic, QoSProfile(depth=5, reliability=policy)
        )

    def listen(self, message_type, topic, late=False, reliable=True) -> list:
        """Return a list that fills with the topic's messages; `late` asks for earlier ones, too."""
        heard = []
        qos = QoSProfile(
            depth=100,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if late else DurabilityPolicy.VOLATILE,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        )
        self.node.create_subscription(message_type, topic, heard.append, qos)
        return heard

    def spin_until(self, condition, what: str, patience_s: float = PATIENCE_S):
        """Spin until the condition gives something true, and return that."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            self._executor.spin_once(timeout_sec=0.05)
        raise AssertionError(f"waited {patience_s:g} s in vain for {what}")

    def spin_for(self, seconds: float):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.05)

    def send_until(self, send, condition, what: str):
        """Call `send`, ten times a second, until the condition gives something true."""

        def holds():
            send()
            self.spin_for(0.1)
            return condition()

        return self.spin_until(holds, what)

    def ask(self, send, answers: list, holds, what: str):
        """Send images until the answer to one of them is right; return that answer.

        Images may get lost, and different topics have no order between them: what else an answer
        depends on belongs into the condition.

        send: sends an image and returns its stamp.  answers: a list that fills with answers.
        holds: the condition, which is given an answer.
        """
        sent, seen, lost_s = [], len(answers), 0.0

        def answered():
            nonlocal seen, lost_s
            own = [answer for answer in answers[seen:] if answer.header.stamp in sent]
            seen = len(answers)
            right = next(filter(holds, own), None)
            if right is None and (own or time.monotonic() > lost_s):
                sent.append(send())
                lost_s = time.monotonic() + _LOST_S
            return right

        return self.spin_until(answered, what)

    def set_parameter(self, node_name: str, name: str, value):
        """Set another node's parameter and return the result."""
        client = AsyncParameterClient(self.node, node_name)
        self.spin_until(client.services_are_ready, "the parameter services")
        answer = client.set_parameters([Parameter(name, value=value)])
        self.spin_until(answer.done, "an answer to set_parameters")
        return answer.result().results[0]


class Diagnostics:
    """What one `hand_node` says about itself on /diagnostics, where all of them speak.

    said: all of it, `DiagnosticStatus`.
    """

    def __init__(self, peer: Peer):
        self._name = f"{peer.node.get_namespace()[1:]}/hand_node: hands"
        self.said: list[DiagnosticStatus] = []
        peer.node.create_subscription(DiagnosticArray, "/diagnostics", self._hear, 100)

    def _hear(self, message: DiagnosticArray):
        self.said += [status for status in message.status if status.name == self._name]

    @property
    def newest(self) -> DiagnosticStatus:
        """The last status; before the first one, an empty one that is stale."""
        return self.said[-1] if self.said else DiagnosticStatus(level=DiagnosticStatus.STALE)

    def tell(self, level: bytes, *words: str) -> bool:
        """Whether the last status has this level and all the words."""
        newest = self.newest
        return newest.level == level and all(word in newest.message for word in words)


def value_of(status: DiagnosticStatus, key: str) -> str | None:
    """Return one of a status's values, None if it has no such value."""
    return next((pair.value for pair in status.values if pair.key == key), None)


class Camera:
    """Plays the camera driver, and asks the node about one picture at a time."""

    def __init__(self, namespace, recording, image_type=Image, reliable=True):
        self.peer = Peer(namespace)
        self.pictures, self.info = copy.deepcopy(recording)
        topic = "image_raw" if image_type is Image else "image_raw/compressed"
        self.images = self.peer.publisher(image_type, topic, reliable)
        self.infos = self.peer.publisher(CameraInfo, "camera_info", reliable)
        self.hands = self.peer.listen(HandMeshArray, "hand_node/hands")
        self.diagnostics = Diagnostics(self.peer)
        self.picture = to_image(decompress(self.pictures[0]), self.pictures[0].header)
        self.stamp = 1000

    def wait_for_node(self):
        self.peer.spin_until(
            lambda: (
                self.images.get_subscription_count()
                and self.infos.get_subscription_count()
                and self.peer.node.count_publishers("hand_node/hands")
            ),
            "the node",
        )

    def send(self, picture=None, info=True):
        """Publish a picture under a new stamp, and return that.

        info: whether to publish a camera_info before; or another one than the recording's.
        """
        self.stamp += 1
        picture = copy.deepcopy(self.picture if picture is None else picture)
        picture.header.stamp.sec, picture.header.stamp.nanosec = self.stamp, 7 * self.stamp
        picture.header.frame_id = "camera_optical"
        if info:
            info = self.info if info is True else info
            info.header = picture.header
            self.infos.publish(info)
            self.peer.spin_for(0.05)  # nearly always enough that the image comes after it
        self.images.publish(picture)
        return picture.header.stamp

    def send_until(self, condition, what, picture=None, info=True):
        """Publish a picture again and again until the condition gives something true."""
        return self.peer.send_until(lambda: self.send(picture, info), condition, what)

    def ask(
        self, picture=None, info=True, holds=lambda answer: True, what="an answer"
    ) -> HandMeshArray:
        """Publish a picture until an answer comes for which the condition holds; return that."""
        return self.peer.ask(lambda: self.send(picture, info), self.hands, holds, what)

    def find(self, picture=None, info=True) -> list:
        """Publish a picture until hands are found in it; return them."""
        return self.ask(picture, info, lambda answer: answer.hands, "hands").hands

    def ask_everybody(self, heard: dict[str, list]):
        """Publish the picture until hands and messages of one image have come on all topics.

        heard: lists that fill with messages, by name.  Returns the hands' message, and one message
        of each list by name.
        """

        def all_of_one_image():
            for answer in self.hands[-20:]:
                found = {
                    name: next((m for m in messages if header_of(m) == answer.header), None)
                    for name, messages in heard.items()
                }
                if answer.hands and all(found.values()):
                    return answer, found
            return None

        return self.send_until(all_of_one_image, f"hands and {', '.join(heard)} of one image")


def header_of(message):
    """Return a message's header, or that of its first part; None if it has no part."""
    parts = getattr(message, "transforms", None) or getattr(message, "markers", None) or [message]
    return getattr(parts[0], "header", None)


def environment() -> dict:
    """Return the environment of a process that finds this checkout's package first."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def recorded_messages():
    """Return the JPEG pictures and a camera_info of the recording the package comes with."""
    from cmr_ros.model import weights

    rosbags = pytest.importorskip("rosbags.highlevel", reason="rosbags is not installed")
    pictures, info = [], None
    with rosbags.AnyReader([weights.find("demo.mcap")]) as reader:
        for connection, _, raw in reader.messages():
            if connection.topic.endswith("/compressed"):
                pictures.append(deserialize_message(raw, CompressedImage))
            elif connection.topic.endswith("/camera_info"):
                info = deserialize_message(raw, CameraInfo)
    return pictures, info
