"""Plays a recording into a real node, a process of its own, and listens to all it publishes."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from cmr_ros.demo.bag import Sent
from cmr_ros.errors import InputError
from cmr_ros.files.output import write_bytes
from cmr_ros.files.playback import (
    IMAGE_TOPIC,
    INFO_TOPIC,
    RIGHT_IMAGE_TOPIC,
    RIGHT_INFO_TOPIC,
    Answer,
    FoundHand,
    Frame,
    answer,
)
from cmr_ros.files.stamps import nanoseconds
from cmr_ros.msg import HandMeshArray, HandTopology
from cmr_ros.ros import topics
from cmr_ros.ros.distribution import set_apart
from cmr_ros.ros.messages import to_found_hand

NODE = "/camera/hand_node"
HANDS, TOPOLOGY, MARKERS, MASK, DEBUG_IMAGE, GRASPS, POINTS, COLLISION = (
    topic.replace("~", NODE)
    for topic in (
        topics.HANDS, topics.TOPOLOGY, topics.MARKERS, topics.MASK, topics.DEBUG_IMAGE,
        topics.GRASPS, topics.POINTS, topics.COLLISION,
    )
)  # fmt: skip
_INPUTS = {INFO_TOPIC: CameraInfo, IMAGE_TOPIC: CompressedImage}
_RIGHT_INPUTS = {RIGHT_INFO_TOPIC: CameraInfo, RIGHT_IMAGE_TOPIC: CompressedImage}
_OUTPUTS = {
    HANDS: HandMeshArray,
    TOPOLOGY: HandTopology,
    MARKERS: MarkerArray,
    MASK: Image,
    DEBUG_IMAGE: Image,
    "/tf": TFMessage,
    "/diagnostics": DiagnosticArray,
}
_START_TIMEOUT_S = 60.0
#: An answer later than this counts as none.
_ANSWER_TIMEOUT_S = 10.0


class Demo:
    """A node process and its counterpart; a context manager.

    sent: every message of either side, in order.  answers: one per frame played, None where none
    came.  recorded_ns: from the stamp of a frame that was sent to its stamp in the recording.
    pace: how much longer than the recording its playing took.  faces: (F, 3) of the node's
    template.  on_hands: called with a frame's index and hands.
    """

    def __init__(
        self,
        log: Path,
        node_arguments: Sequence[str] = (),
        stereo: bool = False,
        further: Mapping[str, type] | None = None,
    ):
        """Prepare to play.

        Args:
            log: file for the node's log.
            node_arguments: ROS arguments for the node.
            stereo: whether the frames are those of two cameras.
            further: topics to listen to, too, and the types of their messages.
        """
        self.sent: list[Sent] = []
        self.answers: list[Answer | None] = []
        self.recorded_ns: dict[int, int] = {}
        self.pace = 1.0
        self.faces: np.ndarray | None = None
        self.on_hands: Callable[[int, list[FoundHand]], None] = lambda index, hands: None
        self._outputs = {**_OUTPUTS, **(further or {})}
        self._inputs = _INPUTS | _RIGHT_INPUTS if stereo else _INPUTS
        use_stereo = ["-p", "use_stereo:=true"] if stereo else []
        self._log, self._node_arguments = log, [*node_arguments, *use_stereo]
        self._frames: list[Frame] = []
        self._sent_s: list[float] = []
        self._index_of: dict[int, int] = {}

    def __enter__(self) -> Demo:
        """Start the node and wait until both ends know each other; InputError if it fails."""
        # A world of its own, unless the user wants to listen in: a camera may be running here.
        set_apart(os.environ)
        command = [sys.executable, "-m", "cmr_ros.ros", "--ros-args", "-r", "__ns:=/camera"]
        command += ["-p", "transport:=compressed", *self._node_arguments]
        write_bytes(self._log, b"cmr demo: the node's log\n")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self._connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        """End the node."""
        rclpy.try_shutdown()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _connect(self) -> None:
        rclpy.init()
        self._ros = rclpy.create_node("demo")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._ros)
        self._publishers = {
            topic: self._ros.create_publisher(kind, topic, 10)
            for topic, kind in self._inputs.items()
        }
        for topic, kind in self._outputs.items():
            kept = topic == TOPOLOGY
            qos = QoSProfile(
                depth=100,
                durability=DurabilityPolicy.TRANSIENT_LOCAL if kept else DurabilityPolicy.VOLATILE,
            )
            # As bytes: to unpack markers and pictures here would delay the hands.
            self._ros.create_subscription(kind, topic, self._listener(topic, kind), qos, raw=True)
        end = time.monotonic() + _START_TIMEOUT_S
        while not self._connected():
            self._check_alive()
            if time.monotonic() > end:
                raise InputError(f"hand_node is not heard of; its log is {self._log}")
            self._executor.spin_once(timeout_sec=0.1)
        self._spin_until(time.monotonic() + 0.5)  # the node, too, must have noticed

    @property
    def node_process(self) -> int:
        """The process identifier of the node."""
        return self._process.pid

    def _check_alive(self) -> None:
        if self._process.poll() is not None:
            lines = self._log.read_text().splitlines() or ["its log is empty"]
            raise InputError(f"hand_node ended: {lines[-1]}")

    def _connected(self) -> bool:
        return (
            self.faces is not None
            and all(p.get_subscription_count() for p in self._publishers.values())
            and all(self._ros.count_publishers(topic) for topic in self._outputs)
        )

    def play(
        self, frames: Sequence[Frame], waits: bool = True
    ) -> Iterator[Sequence[Answer | None]]:
        """Play the frames and yield the answers of each second of the recording.

        At the recorded rate, or at the one that this machine keeps up with: no frame is sent while
        the node works on the one before, unless it is not to be waited for.  Raises InputError if
        the node ends meanwhile.
        """
        self._frames = list(frames)
        self.answers = [None] * len(frames)
        self._sent_s = [float("inf")] * len(frames)
        recorded_s = np.array([frame.stamp_ns - frames[0].stamp_ns for frame in frames]) / 1e9
        pauses_s = np.diff(recorded_s, append=recorded_s[-1])
        due_s = start_s = time.monotonic()
        shown = 0
        for index in range(len(frames)):
            self._spin_until(due_s)
            self._send(index)
            due_s += pauses_s[index]
            if waits:
                self._spin_until(time.monotonic() + _ANSWER_TIMEOUT_S, self._has_answer(index))
                due_s = max(due_s, time.monotonic())
            end = int(np.searchsorted(recorded_s, recorded_s[shown] + 1))
            if index + 1 == end or index + 1 == len(frames):
                self._check_alive()
                yield self.answers[shown : index + 1]
                shown = index + 1
        self.pace = max(time.monotonic() - start_s, 1e-3) / max(recorded_s[-1], 1e-3)
        self._spin_until(time.monotonic() + 0.5)  # outputs that follow the hands
        self._check_alive()

    def _has_answer(self, index: int) -> Callable[[], bool]:
        return lambda: self.answers[index] is not None

    def _spin_until(self, end_s: float, done: Callable[[], bool] = lambda: False) -> None:
        while (left_s := end_s - time.monotonic()) > 0 and not done():
            self._executor.spin_once(timeout_sec=left_s)

    def _send(self, index: int) -> None:
        """Send a frame stamped with the present time, as a camera would."""
        stamp_ns = time.time_ns()
        self._index_of[stamp_ns] = index
        self.recorded_ns[stamp_ns] = self._frames[index].stamp_ns
        self._sent_s[index] = time.monotonic()
        for topic, kind, data in self._frames[index].messages:
            if topic not in self._publishers:
                continue
            data = _stamped(data, stamp_ns)
            self._publishers[topic].publish(data)
            self.sent.append(Sent(topic, kind, data, stamp_ns))

    def _listener(self, topic: str, kind: type) -> Callable[[bytes], None]:
        name = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"

        def listen(data: bytes) -> None:
            now_s = time.monotonic()
            self.sent.append(Sent(topic, name, data, time.time_ns()))
            if topic == HANDS:
                self._take(deserialize_message(data, HandMeshArray), now_s)
            elif topic == TOPOLOGY:
                self.faces = np.reshape(deserialize_message(data, HandTopology).faces, (-1, 3))

        return listen

    def _take(self, hands: HandMeshArray, now_s: float) -> None:
        index = self._index_of.get(nanoseconds(hands.header.stamp))
        if index is None:
            return
        found = [to_found_hand(hand) for hand in hands.hands]
        latency_s = now_s - self._sent_s[index]
        self.answers[index] = answer(latency_s, found, self._frames[index].truth)
        self.on_hands(index, found)


def _stamped(data: bytes, stamp_ns: int) -> bytes:
    """Return a serialised message with another stamp; its first field must be a Header."""
    order = "<" if data[1] & 1 else ">"  # CDR starts with its byte order
    return data[:4] + struct.pack(f"{order}iI", *divmod(stamp_ns, 10**9)) + data[12:]
