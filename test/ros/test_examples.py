"""The examples as a user starts them."""

import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
from geometry_msgs.msg import PoseStamped, Quaternion, TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker

from cmr_ros.grasping.observer import GraspObserver
from cmr_ros.msg import HandGraspArray
from cmr_ros.ros.grasp_messages import to_grasp_array
from support.peer import PATIENCE_S, Peer, environment
from support.posed_hands import CLOSED, OPEN, as_hand, posed
from support.shared import ROOT


class HandOver:
    """`examples/hand_over.py` in a process of its own, and what it hears and says."""

    def __init__(self, folder, *parameters):
        command = [sys.executable, str(ROOT / "examples/hand_over.py")]
        self._process = subprocess.Popen(
            [*command, "--ros-args", "-r", "__ns:=/example", *parameters],
            cwd=folder,
            env=environment(),
        )
        self.peer = Peer("example")
        self._grasps = self.peer.publisher(HandGraspArray, "hand_node/grasps")
        self.poses = self.peer.listen(PoseStamped, "approach_pose")
        self.markers = self.peer.listen(Marker, "approach_marker")
        self._observe, self._stamp_s = GraspObserver(), 0.0

    def wait(self):
        self.peer.spin_until(self._grasps.get_subscription_count, "the example")

    def see(self, mesh, motion_m_s=0.0):
        """Let it see a hand for more than a second."""
        for _ in range(12):
            self._stamp_s += 0.1
            hand = as_hand(mesh, (motion_m_s * self._stamp_s, 0, 0.5))
            header = Header(frame_id="camera")
            header.stamp.sec, header.stamp.nanosec = divmod(round(self._stamp_s * 1e9), 10**9)
            grasps = self._observe([hand], self._stamp_s)
            self._grasps.publish(to_grasp_array(*grasps, header))
            self.peer.spin_for(0.02)

    def approach(self, mesh):
        """Return an approach to a still hand, once its marker has come, too."""

        def found():
            self.see(mesh)
            shown = [marker.pose for marker in self.markers]
            return next((pose for pose in reversed(self.poses) if pose.pose in shown), None)

        return self.peer.spin_until(found, "an approach with its marker")

    def close(self):
        self.peer.close()
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(PATIENCE_S) == 0


def before_the_palm(mesh):
    """Return where a gripper goes to a still hand, in the camera's frame.

    The back of this hand points to the camera, so its palm looks away: approach from behind.
    """
    hand = as_hand(mesh, (0, 0, 0.5))
    return (hand.joints_m[0] + hand.joints_m[9]) / 2 + [0, 0, 0.10]


def position(pose):
    place = pose.pose.position
    return [place.x, place.y, place.z]


def test_a_gripper_approaches_a_palm_that_is_open_and_still(hand_model, tmp_path):
    example = HandOver(tmp_path)
    try:
        example.wait()
        opened, fist = posed(hand_model, *[OPEN] * 4), posed(hand_model, *[CLOSED] * 4)
        example.see(fist)
        example.see(opened, motion_m_s=0.3)
        example.peer.spin_for(0.5)
        assert not example.poses, "neither open and moving nor closed"
        found = example.approach(opened)
        assert found.header.frame_id == "camera"
        np.testing.assert_allclose(position(found), before_the_palm(opened), atol=0.02)
    finally:
        example.close()


def test_the_approach_is_in_the_robots_frame(hand_model, tmp_path):
    for name in ("tf2_ros", "tf2_geometry_msgs"):
        pytest.importorskip(name, reason="no ROS installation with tf2")
    example = HandOver(tmp_path, "-p", "base_frame:=base_link")
    try:
        example.wait()
        # The camera is 1 m above the base and looks along its x.
        camera = TransformStamped(header=Header(frame_id="base_link"), child_frame_id="camera")
        camera.transform.translation.z = 1.0
        camera.transform.rotation = Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5)
        kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        static = example.peer.node.create_publisher(TFMessage, "/tf_static", kept)
        static.publish(TFMessage(transforms=[camera]))
        opened = posed(hand_model, *[OPEN] * 4)
        found = example.approach(opened)
        assert found.header.frame_id == "base_link"
        x, y, z = before_the_palm(opened)
        np.testing.assert_allclose(position(found), [z, -x, 1 - y], atol=0.02)
    finally:
        example.close()
