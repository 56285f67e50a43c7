#!/usr/bin/env python3
"""The executable `upright_frame`: a fixed frame for RViz that stands upright at the camera."""

from __future__ import annotations

import sys

from geometry_msgs.msg import Quaternion, TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from cmr_ros.msg import HandMeshArray
from cmr_ros.ros.process import run

#: From the upright frame (x forward, y left, z up) to an optical one (z forward, y down), REP-103.
_TURN = Quaternion(x=0.5, y=-0.5, z=0.5, w=0.5)


class UprightFrame(Node):
    """Publishes the frame camera_upright where the hands' camera is.

    RViz turns its view about z, which in an optical frame points away from the camera, and needs
    the name of a frame before the first image has told the camera's.

    Subscription: hand_node/hands.  Publication: /tf_static.  Parameter: frame, the frame's name.
    """

    def __init__(self):
        super().__init__("upright_frame")
        self._name = self.declare_parameter("frame", "camera_upright").value
        self._camera_frame = ""
        kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._transforms = self.create_publisher(TFMessage, "/tf_static", kept)
        self.create_subscription(HandMeshArray, "hand_node/hands", self._on_hands, 1)

    def _on_hands(self, message: HandMeshArray):
        frame = message.header.frame_id
        if frame in ("", self._camera_frame):
            return
        self._camera_frame = frame
        transform = TransformStamped(
            header=Header(frame_id=frame, stamp=message.header.stamp), child_frame_id=self._name
        )
        transform.transform.rotation = _TURN
        self._transforms.publish(TFMessage(transforms=[transform]))
        self.get_logger().info(f"the camera's frame is {frame}; {self._name} stands upright there")


def main() -> int:
    """Run the node until it is told to stop; return the exit status."""
    return run("upright_frame", UprightFrame)


if __name__ == "__main__":
    sys.exit(main())
