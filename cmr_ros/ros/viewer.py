#!/usr/bin/env python3
"""The executable `hand_viewer`: shows what a running hand_node publishes, as any consumer could."""

from __future__ import annotations

import contextlib
import sys
from collections import OrderedDict

import numpy as np
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from cmr_ros.errors import InputError
from cmr_ros.files.playback import FoundHand
from cmr_ros.files.stamps import nanoseconds
from cmr_ros.geometry.camera import Camera
from cmr_ros.msg import HandMesh, HandMeshArray, HandTopology
from cmr_ros.ros.messages import to_camera, to_found_hand
from cmr_ros.ros.pictures import to_rgb
from cmr_ros.ros.process import run
from cmr_ros.viewing.shown import ShownImage
from cmr_ros.viewing.viewers import open_viewer

#: Whether somebody watches is looked at so often.
_LOOK_S = 0.2
#: Hands that wait for their image: the node publishes it at once, and images may get lost.
_WAITING = 8


class HandViewer(Node):
    """Shows the hands and the debug image of a hand_node in a viewer, while somebody watches.

    Subscriptions: hand_node/topology; hand_node/hands, hand_node/debug_image and camera_info only
    while somebody watches, so that nothing is computed for nobody.  Parameters: viewer (web,
    foxglove or rerun), host and port (0: the viewer's usual one).
    """

    def __init__(self):
        super().__init__("hand_viewer")
        kind = self.declare_parameter("viewer", "web").value
        host = self.declare_parameter("host", "127.0.0.1").value
        port = self.declare_parameter("port", 0).value
        shown = self.resolve_topic_name("hand_node")
        self._viewer = open_viewer(kind, host, port or None, shown)
        self.get_logger().info(self._viewer.invitation)
        self._faces: np.ndarray | None = None
        self._camera: Camera | None = None
        self._hands: OrderedDict[int, HandMeshArray] = OrderedDict()
        self._listening: list = []
        kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(HandTopology, "hand_node/topology", self._on_topology, kept)
        self.create_timer(_LOOK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """Close the viewer."""
        self._viewer.close()

    def _look(self):
        """Listen while somebody watches."""
        is_watched = self._viewer.is_watched and self._faces is not None
        if is_watched and not self._listening:
            self._listening = [
                self.create_subscription(HandMeshArray, "hand_node/hands", self._on_hands, 10),
                self.create_subscription(Image, "hand_node/debug_image", self._on_image, 1),
                self.create_subscription(CameraInfo, "camera_info", self._on_info, 1),
            ]
        elif not is_watched and self._listening:
            for subscription in self._listening:
                self.destroy_subscription(subscription)
            self._listening = []
            self._hands.clear()

    def _on_topology(self, message: HandTopology):
        self._faces = np.reshape(np.asarray(message.faces, np.int64), (-1, 3))

    def _on_hands(self, message: HandMeshArray):
        self._hands[nanoseconds(message.header.stamp)] = message
        while len(self._hands) > _WAITING:
            self._hands.popitem(last=False)

    def _on_info(self, message: CameraInfo):
        with contextlib.suppress(InputError):  # the node complains of it
            self._camera = to_camera(message, rectified=False)

    def _on_image(self, message: Image):
        """Show an image with its hands, which are published before it."""
        stamp_ns = nanoseconds(message.header.stamp)
        array = self._hands.pop(stamp_ns, None)
        if array is None:
            return
        count = int(self._faces.max(initial=-1)) + 1
        try:
            hands = [_received(hand, count) for hand in array.hands]
            picture = to_rgb(message)
        except (InputError, ValueError) as error:
            self.get_logger().warning(str(error), throttle_duration_sec=10.0)
            return
        frame_id = message.header.frame_id or "camera"
        shown = ShownImage(picture, hands, self._faces, stamp_ns, frame_id, self._camera)
        self._viewer.show(shown)


def _received(message: HandMesh, vertex_count: int) -> FoundHand:
    """Return a hand that can be drawn; InputError or ValueError for one that cannot."""
    hand = to_found_hand(message)
    parts = (hand.joints_m, hand.vertices_m, hand.root_covariance_m2, hand.score)
    finite = all(np.isfinite(part).all() for part in parts)
    if len(hand.vertices_m) != vertex_count or not finite or hand.root_covariance_m2[2, 2] < 0:
        raise InputError(f"hand {hand.track_id} does not fit the topology or holds no numbers")
    return hand


def _spin(node: HandViewer) -> None:
    try:
        rclpy.spin(node)
    finally:
        node.close()


def main() -> int:
    """Run the node until it is told to stop; return the exit status."""
    return run("hand_viewer", HandViewer, _spin)


if __name__ == "__main__":
    sys.exit(main())
