#!/usr/bin/env python3
"""The executable `hand_viewer`: shows what a running hand_node publishes, as any consumer could."""

from __future__ import annotations

import contextlib
import sys
from collections import OrderedDict

import numpy as np
import rclpy
from rcl_interfaces.srv import GetParameters
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import CameraInfo, Image

from cmr_ros.errors import InputError
from cmr_ros.files.playback import FoundHand
from cmr_ros.files.stamps import nanoseconds
from cmr_ros.geometry.camera import Camera
from cmr_ros.msg import HandMesh, HandMeshArray, HandTopology
from cmr_ros.ros.messages import to_camera, to_found_hand
from cmr_ros.ros.pictures import to_rgb
from cmr_ros.ros.process import run
from cmr_ros.ros.subscription import PolledSubscription
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
    foxglove or rerun), host and port (0: the viewer's usual one).  What the node takes its camera
    for, it is asked.
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
        self._info: CameraInfo | None = None
        self._is_rectified, self._assumed_hfov_deg = False, 0.0
        self._hands: OrderedDict[int, HandMeshArray] = OrderedDict()
        self._listening: list = []
        self._infos: PolledSubscription | None = None
        self._asked = self.create_client(GetParameters, "hand_node/get_parameters")
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
            ]
            self._infos = PolledSubscription(self, CameraInfo, "camera_info", latched=True)
            self._ask()
        elif not is_watched and self._listening:
            for subscription in self._listening:
                self.destroy_subscription(subscription)
            self._listening = []
            self._infos.destroy()
            self._infos = None
            self._hands.clear()
        if self._infos is not None:
            self._infos.adapt()

    def _ask(self):
        """Ask the node what it takes its camera for."""
        if self._asked.service_is_ready():
            request = GetParameters.Request(names=["rectified", "assume_hfov_deg"])
            self._asked.call_async(request).add_done_callback(self._on_parameters)

    def _on_parameters(self, answer: Future):
        rectified, assumed = answer.result().values
        self._is_rectified, self._assumed_hfov_deg = rectified.bool_value, assumed.double_value

    def _on_topology(self, message: HandTopology):
        self._faces = np.reshape(np.asarray(message.faces, np.int64), (-1, 3))
        self._ask()  # the node may have started again

    def _on_hands(self, message: HandMeshArray):
        self._hands[nanoseconds(message.header.stamp)] = message
        while len(self._hands) > _WAITING:
            self._hands.popitem(last=False)

    def _camera(self, picture: np.ndarray) -> Camera | None:
        """Return an image's camera; None where it is not known."""
        height, width = picture.shape[:2]
        if self._assumed_hfov_deg > 0:
            return Camera.from_fov(width, height, self._assumed_hfov_deg)
        self._info = next(iter(self._infos.take()), self._info) if self._infos else self._info
        if self._info is not None:
            with contextlib.suppress(InputError):  # the node complains of it
                return to_camera(self._info, self._is_rectified)
        return None

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
        camera = self._camera(picture)
        self._viewer.show(ShownImage(picture, hands, self._faces, stamp_ns, frame_id, camera))


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
