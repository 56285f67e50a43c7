"""What RViz is given: its configuration against the messages of a real node, and its frame."""

import subprocess
import sys

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from cmr_ros.msg import HandMeshArray
from support.peer import PATIENCE_S, Camera, NodeProcess, Peer, environment, header_of
from support.shared import ROOT

#: What the displays of RViz subscribe to.
MESSAGES = {
    "rviz_default_plugins/MarkerArray": MarkerArray,
    "rviz_default_plugins/Image": Image,
}
FRAME = "rviz_test_upright"


@pytest.fixture(scope="module")
def manager():
    return yaml.safe_load((ROOT / "config/hand.rviz").read_text())["Visualization Manager"]


def subscription_of(display, peer):
    """Subscribe as RViz does for a display; return the messages that come."""
    topic, heard = display["Topic"], []
    assert topic["History Policy"] == "Keep Last"
    qos = QoSProfile(
        depth=topic["Depth"],
        reliability=ReliabilityPolicy[topic["Reliability Policy"].upper().replace(" ", "_")],
        durability=DurabilityPolicy[topic["Durability Policy"].upper().replace(" ", "_")],
    )
    peer.node.create_subscription(MESSAGES[display["Class"]], topic["Value"], heard.append, qos)
    return heard


@pytest.fixture(scope="module")
def shown(manager, tmp_path_factory, recorded_messages):
    """What reaches each display of one image with hands, and the frames."""
    node = NodeProcess("rviz", tmp_path_factory.mktemp("rviz"))
    camera = Camera("rviz", recorded_messages)
    try:
        displays = [d for d in manager["Displays"] if "Topic" in d]
        heard = {d["Name"]: subscription_of(d, camera.peer) for d in displays}
        heard["TF"] = camera.peer.listen(TFMessage, "/tf")
        camera.wait_for_node()
        _, found = camera.ask_everybody(heard)
        yield found
    finally:
        camera.peer.close()
        node.stop()


def test_displays_get_the_messages_they_ask_for(shown):
    assert set(shown) == {"Hands", "Overlay", "TF"}
    assert {header_of(message).frame_id for message in shown.values()} == {"camera_optical"}
    assert shown["Overlay"].encoding == "rgb8"


def test_markers_are_such_as_rviz_draws_whole(manager, shown):
    """RViz ignores colours that are not as many as points, and normals it makes itself."""
    markers = shown["Hands"].markers
    (namespaces,) = (d["Namespaces"] for d in manager["Displays"] if d["Name"] == "Hands")
    assert {marker.ns for marker in markers} == set(namespaces)
    assert [name for name, is_shown in namespaces.items() if is_shown] == ["mesh"]
    for mesh in (marker for marker in markers if marker.ns == "mesh"):
        assert (mesh.type, mesh.action) == (Marker.TRIANGLE_LIST, Marker.ADD)
        assert len(mesh.points) % 3 == 0 and len(mesh.colors) == len(mesh.points) > 3000
        assert {color.a for color in mesh.colors} == {mesh.color.a} == {1.0}
        assert mesh.scale.x == mesh.scale.y == mesh.scale.z == 1.0
        assert mesh.pose.orientation.w == 1.0


def test_the_eye_sees_the_hands_upright(manager, shown):
    """In the fixed frame, hands are before RViz's eye and fingers that point up point up."""
    view = manager["Views"]["Current"]
    pitch, yaw, distance = view["Pitch"], view["Yaw"], view["Distance"]
    focus = np.array([view["Focal Point"][axis] for axis in "XYZ"])
    back = [np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)]
    eye, forward = focus + distance * np.array(back), -np.array(back)
    mesh = next(marker for marker in shown["Hands"].markers if marker.ns == "mesh")
    optical = np.array([[p.x, p.y, p.z] for p in mesh.points])
    hand = optical @ Rotation.from_quat([0.5, -0.5, 0.5, 0.5]).as_matrix()
    away = hand - eye
    angles = np.degrees(np.arccos(away @ forward / np.linalg.norm(away, axis=1)))
    assert angles.max() < 45, "out of the picture"
    assert np.argmin(optical[:, 1]) == np.argmax(hand[:, 2]), "the top of the image is up"


def test_the_fixed_frame_finds_the_camera(manager, tmp_path):
    """The real process, with cameras that change their frame, and a listener who comes late."""
    assert manager["Global Options"]["Fixed Frame"] == "camera_upright"
    peer = Peer("upright")
    command = [sys.executable, "-m", "cmr_ros.ros.upright_frame", "--ros-args"]
    command += ["-r", "__ns:=/upright", "-p", f"frame:={FRAME}"]
    log = tmp_path / "upright.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment())
    try:
        hands = peer.publisher(HandMeshArray, "hand_node/hands")
        peer.spin_until(lambda: hands.get_subscription_count(), "the process")
        early = peer.listen(TFMessage, "/tf_static", late=True)

        def see(frame):
            message = HandMeshArray()
            message.header.frame_id = frame
            hands.publish(message)

        see("")
        for frame in ("front_optical", "rear_optical"):
            peer.send_until(
                lambda frame=frame: see(frame),
                lambda frame=frame: frames_in(early)[-1:] == [frame],
                frame,
            )
            see(frame)
        peer.spin_for(0.3)
        assert frames_in(early) == ["front_optical", "rear_optical"]
        late = peer.listen(TFMessage, "/tf_static", late=True)
        peer.spin_until(lambda: frames_in(late), "the transform, late")
        assert frames_in(late) == ["rear_optical"]
        turn = next(t for m in late for t in m.transforms if t.child_frame_id == FRAME).transform
        rotation = Rotation.from_quat(
            [turn.rotation.x, turn.rotation.y, turn.rotation.z, turn.rotation.w]
        )
        axes = rotation.as_matrix().T  # x forward, y left, z up in (right, down, forward)
        np.testing.assert_allclose(axes, [[0, 0, 1], [-1, 0, 0], [0, -1, 0]], atol=1e-12)
    finally:
        peer.close()
        process.terminate()
        assert process.wait(PATIENCE_S) == 0, log.read_text()


def frames_in(messages) -> list[str]:
    return [t.header.frame_id for m in messages for t in m.transforms if t.child_frame_id == FRAME]
