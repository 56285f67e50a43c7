#!/usr/bin/env python3
"""Waits for a steady open palm and says where a gripper should go to put something on it."""

import sys

import numpy as np
import rclpy
from geometry_msgs.msg import Point, PoseStamped, Quaternion, Vector3
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from cmr_ros.geometry.frames import quaternions
from cmr_ros.msg import HandGrasp, HandGraspArray


class HandOver(Node):
    """Publishes approach_pose and a marker for it once a palm has been open and still for a while.

    The pose's x points at the palm, from 10 cm before it; z points along the fingers.
    """

    def __init__(self):
        super().__init__("hand_over")
        self._base_frame = self.declare_parameter("base_frame", "").value
        self._standoff_m = self.declare_parameter("standoff_m", 0.10).value
        self._steady_s = self.declare_parameter("steady_s", 0.5).value
        self._slowest_m_s = self.declare_parameter("slowest_m_s", 0.08).value
        self._steady_since_s: dict[int, float] = {}
        self._offered: set[int] = set()
        self._poses = self.create_publisher(PoseStamped, "approach_pose", 1)
        self._markers = self.create_publisher(Marker, "approach_marker", 1)
        self.create_subscription(HandGraspArray, "hand_node/grasps", self._on_grasps, 1)
        self._tf = None
        if self._base_frame:  # on a ROS installation
            import tf2_geometry_msgs  # noqa: F401, teaches tf2 about poses
            import tf2_ros

            self._tf = tf2_ros.Buffer()
            self._listener = tf2_ros.TransformListener(self._tf, self)

    def _on_grasps(self, message: HandGraspArray):
        now_s = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
        steady = {hand.track_id: hand for hand in message.hands if self._is_steady(hand)}
        self._steady_since_s = {track: self._steady_since_s.get(track, now_s) for track in steady}
        self._offered &= steady.keys()
        for track, hand in steady.items():
            if now_s - self._steady_since_s[track] >= self._steady_s:
                self._publish(self._approach(hand, message.header), track)

    def _is_steady(self, hand: HandGrasp) -> bool:
        velocity = hand.palm_velocity
        speed_m_s = np.linalg.norm([velocity.x, velocity.y, velocity.z])
        return hand.state == HandGrasp.OPEN and speed_m_s < self._slowest_m_s

    def _approach(self, hand: HandGrasp, header) -> PoseStamped:
        q, p = hand.palm_pose.orientation, hand.palm_pose.position
        x, back = _axes(q.x, q.y, q.z, q.w)
        rotation = np.stack([back, np.cross(x, back), x], axis=1)
        position = np.array([p.x, p.y, p.z]) - self._standoff_m * back
        pose = PoseStamped(header=header)
        pose.pose.position = Point(**dict(zip("xyz", position.tolist(), strict=True)))
        qx, qy, qz, qw = quaternions(rotation).tolist()
        pose.pose.orientation = Quaternion(x=qx, y=qy, z=qz, w=qw)
        return pose

    def _publish(self, pose: PoseStamped, track: int):
        if self._tf is not None:
            try:
                pose = self._tf.transform(pose, self._base_frame)
            except Exception as error:  # of tf2's many kinds
                self.get_logger().warning(
                    f"no approach in {self._base_frame}: {error}", throttle_duration_sec=2.0
                )
                return
        self._poses.publish(pose)
        marker = Marker(header=pose.header, ns="approach", id=track, type=Marker.ARROW)
        marker.pose, marker.scale = pose.pose, Vector3(x=self._standoff_m, y=0.01, z=0.02)
        marker.color, marker.lifetime.sec = ColorRGBA(g=1.0, a=1.0), 1
        self._markers.publish(marker)
        if track not in self._offered:
            self._offered.add(track)
            p = pose.pose.position
            self.get_logger().info(
                f"hand {track} is open and still: approach from "
                f"({p.x:.3f}, {p.y:.3f}, {p.z:.3f}) in {pose.header.frame_id}"
            )


def _axes(x: float, y: float, z: float, w: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the x and z axes of a unit quaternion's rotation."""
    return (
        np.array([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)]),
        np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)]),
    )


def main():
    """Run the node until it is told to stop."""
    rclpy.init()
    try:
        rclpy.spin(HandOver())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
