"""The node as a process of its own, spoken to over DDS."""

import copy
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import CompressedImage, Image, PointCloud2, RegionOfInterest
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from cmr_ros.geometry.skeleton import JOINT_NAMES
from cmr_ros.msg import HandCollisionArray, HandGraspArray, HandTopology
from cmr_ros.ros.pictures import to_image, to_rgb
from cmr_ros.srv import CalibrateHandSize
from support.peer import PATIENCE_S, Camera, NodeProcess, environment


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Start nodes that end with the module."""
    nodes, folder = [], tmp_path_factory.mktemp("nodes")

    def start_node(namespace, *arguments):
        nodes.append(NodeProcess(namespace, folder, *arguments))
        return nodes[-1]

    yield start_node
    for node in nodes:
        node.stop()


@pytest.fixture(scope="module")
def node(start):
    return start("raw")


@pytest.fixture(scope="module")
def camera(node, recorded_messages):
    camera = Camera("raw", recorded_messages)
    camera.wait_for_node()
    yield camera
    camera.peer.close()


def test_hands_have_the_stamp_and_frame_of_the_picture(camera):
    found = camera.ask()
    assert found.header.stamp.nanosec == 7 * found.header.stamp.sec > 7000
    assert found.header.frame_id == "camera_optical"
    assert len(found.hands) >= 1
    hand = found.hands[0]
    joints = np.array([[p.x, p.y, p.z] for p in hand.joints])
    vertices = np.reshape(hand.vertices, (-1, 3))
    assert 0.1 < joints[0, 2] < 3.0
    assert np.linalg.norm(vertices - joints[9], axis=1).max() < 0.3
    covariance = np.reshape(hand.root_covariance, (3, 3))
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_topology_reaches_a_late_listener_and_fits_the_hands(camera):
    found = camera.ask()
    heard = camera.peer.listen(HandTopology, "hand_node/topology", late=True)
    topology = camera.peer.spin_until(lambda: heard, "the topology")[0]
    assert tuple(topology.joint_names) == JOINT_NAMES
    assert len(topology.faces) % 3 == 0
    assert max(topology.faces) == len(found.hands[0].vertices) // 3 - 1


def test_frames_markers_and_pictures_belong_to_the_same_hand(camera):
    tf = camera.peer.listen(TFMessage, "/tf")
    heard = {
        "markers": camera.peer.listen(MarkerArray, "hand_node/markers"),
        "mask": camera.peer.listen(Image, "hand_node/mask"),
        "debug_image": camera.peer.listen(Image, "hand_node/debug_image", reliable=False),
    }
    for topic in heard:
        name = f"hand_node/{topic}"
        camera.peer.spin_until(lambda name=name: camera.peer.node.count_publishers(name), name)
    camera.peer.spin_for(0.5)

    def everything():
        found = camera.ask()
        camera.peer.spin_for(0.3)
        now = found.header.stamp.sec
        parts = {
            name: next((m for m in messages if _stamp(m) == now), None)
            for name, messages in {**heard, "tf": tf}.items()
        }
        return (found, parts) if all(parts.values()) else None

    found, parts = camera.peer.spin_until(everything, "all outputs of one picture")
    hand = found.hands[0]
    transforms = parts["tf"].transforms
    assert len(transforms) == 21 * len(found.hands)
    assert {t.header.frame_id for t in transforms} == {"camera_optical"}
    wrist = next(t for t in transforms if t.child_frame_id.endswith("/wrist"))
    assert (wrist.transform.translation.x, wrist.transform.translation.z) in [
        (h.joints[0].x, h.joints[0].z) for h in found.hands
    ]
    mesh = parts["markers"].markers[0]
    assert mesh.type == Marker.TRIANGLE_LIST and mesh.header == found.header
    corner = np.array([mesh.points[0].x, mesh.points[0].y, mesh.points[0].z])
    vertices = np.reshape(hand.vertices, (-1, 3))
    assert np.abs(vertices - corner).sum(axis=1).min() < 1e-5
    mask, debug = to_rgb(parts["mask"])[..., 0], to_rgb(parts["debug_image"])
    assert parts["mask"].encoding == "mono8" and parts["mask"].header == found.header
    assert mask.shape == (camera.info.height, camera.info.width)
    assert set(np.unique(mask)) == set(range(len(found.hands) + 1))
    assert debug.shape == (*mask.shape, 3)
    assert not np.array_equal(debug, to_rgb(camera.picture)), "nothing is drawn"


def test_hands_are_found_in_the_regions_that_others_name(start, recorded_messages):
    start("regions", "-p", "regions:=only")
    camera = Camera("regions", recorded_messages)
    regions = camera.peer.publisher(RegionOfInterest, "hand_node/regions")
    camera.wait_for_node()
    camera.peer.spin_until(regions.get_subscription_count, "the subscription to regions")
    hidden = camera.ask().hands
    box = RegionOfInterest(width=camera.info.width // 2, height=camera.info.height)
    found = {}
    for box.x_offset in (0, camera.info.width // 2):
        for _ in range(3):
            regions.publish(box)
            camera.peer.spin_for(0.3)
            for hand in camera.ask().hands:
                found[hand.track_id] = hand.joints[9].x / hand.joints[9].z
    camera.peer.close()
    assert not hidden and len(found) >= 1


def test_uncertainty_is_drawn_on_request_and_planning_gets_the_same_hands(camera):
    peer = camera.peer
    heard = {
        "joint_markers": peer.listen(MarkerArray, "hand_node/joint_markers"),
        "grasps": peer.listen(HandGraspArray, "hand_node/grasps"),
        "points": peer.listen(PointCloud2, "hand_node/points"),
        "collision": peer.listen(HandCollisionArray, "hand_node/collision"),
    }
    peer.spin_for(0.5)

    def answered(*topics):
        found = camera.ask()
        peer.spin_for(0.2)
        parts = [next((m for m in heard[t] if m.header == found.header), None) for t in topics]
        return (found, *parts) if all(parts) else None

    planning = ("grasps", "points", "collision")
    found, grasps, points, collision = peer.spin_until(lambda: answered(*planning), planning)
    ids = [hand.track_id for hand in found.hands]
    assert [hand.track_id for hand in grasps.hands] == ids
    assert [hand.track_id for hand in collision.hands] == ids
    assert grasps.hands[0].palm_pose == collision.hands[0].pose == found.hands[0].palm_pose
    assert points.width == sum(len(hand.vertices) for hand in found.hands) // 3
    assert not heard["joint_markers"], "off by default"
    assert peer.set_parameter("hand_node", "publish_joint_markers", True).successful
    camera.ask()
    markers = peer.spin_until(lambda: heard["joint_markers"], "ellipsoids")[0].markers
    assert len(markers) == 1 + 21 * len(ids)


def test_no_hand_gives_an_empty_array(camera):
    empty = to_image(np.full((480, 640, 3), 90, np.uint8), camera.picture.header)
    assert camera.ask(empty).hands == []


def test_newest_picture_wins(camera):
    for _ in range(12):
        last = camera.send(info=False)
    camera.peer.spin_until(
        lambda: any(m.header.stamp.sec == last for m in camera.hands), "the last of many pictures"
    )
    stamps = [m.header.stamp.sec for m in camera.hands]
    assert stamps == sorted(stamps)


def test_wrong_pictures_and_calibrations_are_named_once(camera, node):
    depth = copy.deepcopy(camera.picture)
    depth.encoding = "32FC1"
    small = to_image(np.zeros((240, 320, 3), np.uint8), camera.picture.header)
    uncalibrated = copy.deepcopy(camera.info)
    uncalibrated.k = np.zeros(9)
    for picture, info, words in [
        (depth, True, ["'32FC1'"]),
        (small, True, ["320x240", "640x480", "/raw/camera_info"]),
        (None, uncalibrated, ["not calibrated", "/raw/camera_info", "assume_hfov_deg"]),
    ]:
        known = len(node.warnings)
        answers = len(camera.hands)

        def warned(picture=picture, info=info, known=known):
            camera.send(copy.deepcopy(picture), info)
            return len(node.warnings) > known

        camera.peer.spin_until(warned, f"a warning about {words}")
        for _ in range(5):
            camera.send(copy.deepcopy(picture), info)
        camera.peer.spin_for(0.3)
        new = node.warnings[known:]
        assert len(new) == 1 and all(word in new[0] for word in words), new
        assert len(camera.hands) == answers, "an answer without knowing the camera"
        assert camera.ask().hands, "the node did not recover"


def test_parameters_change_while_running(camera):
    set_parameter = camera.peer.set_parameter
    try:
        assert set_parameter("hand_node", "min_score", 1.0).successful
        assert camera.ask().hands == []
    finally:
        assert set_parameter("hand_node", "min_score", 0.5).successful
    assert camera.ask().hands
    assert not set_parameter("hand_node", "max_hands", 0).successful, "out of range"
    assert not set_parameter("hand_node", "transport", "compressed").successful, "fixed"
    refused = set_parameter("hand_node", "handedness", "both")
    assert not refused.successful and "unknown, left, right" in refused.reason


def test_the_size_of_a_hand_is_measured_and_set(camera):
    peer, set_parameter = camera.peer, camera.peer.set_parameter
    client = peer.node.create_client(CalibrateHandSize, "hand_node/calibrate_hand_size")
    peer.spin_until(client.service_is_ready, "the service")

    def measured(picture=None, **request):
        answer = client.call_async(CalibrateHandSize.Request(**request))

        def answered():
            camera.send(copy.deepcopy(picture))
            peer.spin_for(0.05)
            return answer.done()

        peer.spin_until(answered, "the measurement")
        return answer.result()

    def depth_m():
        return camera.ask().hands[0].joints[0].z

    try:
        assert set_parameter("hand_node", "max_hands", 1).successful
        before_m = depth_m()
        found = measured(wrist_depth_m=1.08 * before_m, duration_s=2.0)
        assert found.success, found.message
        assert found.hand_length_m == pytest.approx(1.08 * 0.186, rel=0.05)
        assert 0.001 < found.hand_length_deviation_m < 0.03
        assert depth_m() == pytest.approx(1.08 * before_m, rel=0.03)
        empty = to_image(np.full((480, 640, 3), 90, np.uint8), camera.picture.header)
        refused = measured(empty, wrist_depth_m=0.5, duration_s=0.5)
        assert not refused.success and "are needed" in refused.message
        assert depth_m() == pytest.approx(1.08 * before_m, rel=0.03), "what was set stays"
        refused = measured(wrist_depth_m=-1.0)
        assert not refused.success and "wrist_depth_m" in refused.message
    finally:
        assert set_parameter("hand_node", "hand_length_m", 0.0).successful
        assert set_parameter("hand_node", "hand_length_deviation_m", 0.002).successful
        assert set_parameter("hand_node", "max_hands", 2).successful


def test_diagnostics(camera):
    heard = camera.peer.listen(DiagnosticArray, "/diagnostics")

    def answered():
        camera.ask()
        return [m.status[0] for m in heard if m.status[0].level == DiagnosticStatus.OK]

    status = camera.peer.spin_until(answered, "diagnostics")[-1]
    assert status.name == "raw/hand_node: hands"
    values = {pair.key: pair.value for pair in status.values}
    assert "onnxruntime" in values["network runs on"]
    assert float(values["processing time per image, ms"]) > 0
    assert float(values["stage network, 90th percentile, ms"]) > 0
    assert values["model"] and int(values["hands refused"]) >= 0


def test_silence_is_reported(camera, node):
    heard = camera.peer.listen(DiagnosticArray, "/diagnostics")
    text = "no images on /raw/image_raw"
    camera.peer.spin_until(lambda: text in node.log, "a warning")
    camera.peer.spin_until(lambda: heard and text in heard[-1].status[0].message, "diagnostics")
    assert heard[-1].status[0].level == DiagnosticStatus.ERROR
    camera.ask()
    camera.peer.spin_until(lambda: text not in heard[-1].status[0].message, "the all-clear")


def test_best_effort_pictures_without_camera_info(start, recorded_messages):
    node = start("bare")
    camera = Camera("bare", recorded_messages, reliable=False)
    try:
        camera.wait_for_node()

        def warned():
            camera.send(info=False)
            camera.peer.spin_for(0.1)
            return node.warnings

        camera.peer.spin_until(warned, "a warning")
        camera.send(info=False)
        camera.peer.spin_for(0.5)
        assert len(node.warnings) == 1
        assert "no camera_info on /bare/camera_info" in node.warnings[0]
        assert not camera.hands
        # A guess, but only if asked for.
        assert camera.peer.set_parameter("hand_node", "assume_hfov_deg", 67.4).successful
        guessed = camera.ask(info=False).hands[0]
        assert camera.peer.set_parameter("hand_node", "assume_hfov_deg", 0.0).successful
        known = camera.ask().hands[0]
        assert 0.5 < guessed.joints[0].z / known.joints[0].z < 2
        assert "best-effort" in node.log
    finally:
        camera.peer.close()


def test_compressed_pictures_and_sigint(start, recorded_messages):
    node = start("jpeg", "-r", "image_raw:=image_raw/compressed", "-p", "frame_prefix:=jpeg_")
    camera = Camera("jpeg", recorded_messages, CompressedImage)
    tf = camera.peer.listen(TFMessage, "/tf")
    try:
        camera.wait_for_node()
        assert camera.ask(camera.pictures[0]).hands
        rubbish = CompressedImage(format="jpeg", data=b"rubbish")

        def warned():
            camera.send(copy.deepcopy(rubbish))
            return node.warnings

        camera.peer.spin_until(warned, "a warning")
        assert "'jpeg', 7 bytes" in node.warnings[0]

        def framed():
            camera.ask(camera.pictures[0])
            return [t for m in tf for t in m.transforms if t.child_frame_id.startswith("jpeg_")]

        camera.peer.spin_until(framed, "frames with a prefix")
    finally:
        camera.peer.close()
    assert node.stop(signal.SIGINT) == 0
    assert "Traceback" not in node.log, node.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["numpy", "rclpy", "onnxruntime"])
def test_a_signal_while_the_node_starts_ends_it_quietly(module, number, tmp_path):
    # A module that is being imported when the signal comes.
    shim = f"import os, time; os.kill(os.getpid(), {int(number)}); time.sleep(60)"
    (tmp_path / f"{module}.py").write_text(shim)
    surroundings = environment()
    surroundings["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{surroundings['PYTHONPATH']}"
    command = [sys.executable, "-m", "cmr_ros.ros"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, env=surroundings)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_more_signals_than_one_end_a_running_node_quietly(start, number):
    node = start(f"often{int(number)}")
    end_s = time.monotonic() + PATIENCE_S
    while "waiting for" not in node.log and time.monotonic() < end_s:
        time.sleep(0.05)
    said = node.log
    while node.process.poll() is None and time.monotonic() < end_s:
        node.process.send_signal(number)
        time.sleep(0.02)
    assert node.process.returncode == 0
    assert node.log == said


@pytest.mark.parametrize(
    "argument, words",
    [
        ("model:=nowhere", "nowhere"),
        ("engine:=magic", "onnxruntime, torch"),
        ("threads:=1000", "threads"),
        ("max_hands:=two", "max_hands"),
        ("frame_prefix:=bad name/", "letters, digits"),
        ("malformed", "malformed"),
    ],
)
def test_what_cannot_work_is_one_line_and_a_status(argument, words, tmp_path):
    command = [sys.executable, "-m", "cmr_ros.ros", "--ros-args", "-p", argument]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=250, cwd=tmp_path, env=environment()
    )
    assert done.returncode == 1
    assert words in done.stderr and "Traceback" not in done.stderr


def _stamp(message) -> int:
    """Return the seconds of a message's, or of its first part's, stamp."""
    parts = getattr(message, "transforms", None) or getattr(message, "markers", None) or [message]
    return parts[0].header.stamp.sec
