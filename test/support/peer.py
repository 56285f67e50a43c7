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

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """End the process and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            return self.process.wait(15)
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

    def set_parameter(self, node_name: str, name: str, value):
        """Set another node's parameter and return the result."""
        client = AsyncParameterClient(self.node, node_name)
        self.spin_until(client.services_are_ready, "the parameter services")
        answer = client.set_parameters([Parameter(name, value=value)])
        self.spin_until(answer.done, "an answer to set_parameters")
        return answer.result().results[0]


class Camera:
    """Plays the camera driver, and asks the node about one picture at a time."""

    def __init__(self, namespace, recording, image_type=Image, reliable=True):
        self.peer = Peer(namespace)
        self.pictures, self.info = copy.deepcopy(recording)
        topic = "image_raw" if image_type is Image else "image_raw/compressed"
        self.images = self.peer.publisher(image_type, topic, reliable)
        self.infos = self.peer.publisher(CameraInfo, "camera_info", reliable)
        self.hands = self.peer.listen(HandMeshArray, "hand_node/hands")
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
        self.peer.spin_for(0.3)  # both ends must have noticed

    def send(self, picture=None, info=True):
        """Publish a picture under a new stamp; `info` may be False or another camera_info."""
        self.stamp += 1
        picture = copy.deepcopy(self.picture) if picture is None else picture
        picture.header.stamp.sec, picture.header.stamp.nanosec = self.stamp, 7 * self.stamp
        picture.header.frame_id = "camera_optical"
        if info:
            info = self.info if info is True else info
            info.header = picture.header
            self.infos.publish(info)
            self.peer.spin_for(0.05)
        self.images.publish(picture)
        return self.stamp

    def ask(self, picture=None, info=True) -> HandMeshArray:
        """Publish a picture until the node answers it: a best-effort one may get lost."""
        sent = []

        def answered():
            if len(sent) < 5 * (1 + self.waited // 20) and self.waited % 20 == 0:
                sent.append(self.send(copy.deepcopy(picture), info))
            self.waited += 1
            return next((m for m in self.hands if m.header.stamp.sec in sent), None)

        self.waited = 0
        return self.peer.spin_until(answered, "hands")


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
