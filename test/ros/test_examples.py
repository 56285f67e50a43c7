"""The examples as a user starts them."""

import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from cmr_ros.grasping.observer import GraspObserver
from cmr_ros.msg import HandGraspArray
from cmr_ros.ros.grasp_messages import to_grasp_array
from support.peer import PATIENCE_S, Peer, environment
from support.posed_hands import CLOSED, OPEN, as_hand, posed
from support.shared import ROOT


def test_a_gripper_approaches_a_palm_that_is_open_and_still(hand_model, tmp_path):
    command = [sys.executable, str(ROOT / "examples/hand_over.py")]
    process = subprocess.Popen(
        [*command, "--ros-args", "-r", "__ns:=/example"], cwd=tmp_path, env=environment()
    )
    peer = Peer("example")
    try:
        grasps = peer.publisher(HandGraspArray, "hand_node/grasps")
        poses = peer.listen(PoseStamped, "approach_pose")
        markers = peer.listen(Marker, "approach_marker")
        peer.spin_until(grasps.get_subscription_count, "the example")
        observe, stamp_s = GraspObserver(), 0.0

        def play(mesh, images, motion_m_s=0.0):
            nonlocal stamp_s
            for _ in range(images):
                stamp_s += 0.1
                hand = as_hand(mesh, (motion_m_s * stamp_s, 0, 0.5))
                header = Header(frame_id="camera")
                header.stamp.sec, header.stamp.nanosec = int(stamp_s), int(stamp_s % 1 * 1e9)
                grasps.publish(to_grasp_array(*observe([hand], stamp_s), header))
                peer.spin_for(0.02)

        opened, fist = posed(hand_model, *[OPEN] * 4), posed(hand_model, *[CLOSED] * 4)
        play(fist, 12)
        play(opened, 12, motion_m_s=0.3)
        peer.spin_for(0.5)
        assert not poses, "neither open and moving nor closed"

        def approach():
            play(opened, 12)
            shown = [marker.pose for marker in markers]
            return next((pose for pose in reversed(poses) if pose.pose in shown), None)

        found = peer.spin_until(approach, "an approach with its marker")
        hand = as_hand(opened, (0, 0, 0.5))
        assert found.header.frame_id == "camera"
        # The back of this hand points to the camera, so its palm looks away: approach from behind.
        palm_m = (hand.joints_m[0] + hand.joints_m[9]) / 2
        p = found.pose.position
        np.testing.assert_allclose([p.x, p.y, p.z], palm_m + [0, 0, 0.10], atol=0.02)
    finally:
        peer.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
