"""The node as a process of its own, spoken to over DDS."""

import copy
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CompressedImage, Image, PointCloud2, RegionOfInterest
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from cmr_ros.geometry.skeleton import JOINT_NAMES
from cmr_ros.model import weights
from cmr_ros.model.card import ModelCard
from cmr_ros.msg import HandCollisionArray, HandGraspArray, HandTopology
from cmr_ros.ros.pictures import to_image, to_rgb
from cmr_ros.srv import CalibrateHandSize
from support.peer import PATIENCE_S, Camera, NodeProcess, environment, value_of


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
    found = camera.ask(holds=lambda answer: answer.hands)
    assert found.header.stamp.nanosec == 7 * found.header.stamp.sec > 7000
    assert found.header.frame_id == "camera_optical"
    hand = found.hands[0]
    joints = np.array([[p.x, p.y, p.z] for p in hand.joints])
    vertices = np.reshape(hand.vertices, (-1, 3))
    assert 0.1 < joints[0, 2] < 3.0
    assert np.linalg.norm(vertices - joints[9], axis=1).max() < 0.3
    covariance = np.reshape(hand.root_covariance, (3, 3))
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_topology_reaches_a_late_listener_and_fits_the_hands(camera):
    hands = camera.find()
    heard = camera.peer.listen(HandTopology, "hand_node/topology", late=True)
    topology = camera.peer.spin_until(lambda: heard, "the topology")[0]
    assert tuple(topology.joint_names) == JOINT_NAMES
    assert len(topology.faces) % 3 == 0
    assert max(topology.faces) == len(hands[0].vertices) // 3 - 1


def test_frames_markers_and_pictures_belong_to_the_same_hand(camera):
    heard = {
        "tf": camera.peer.listen(TFMessage, "/tf"),
        "markers": camera.peer.listen(MarkerArray, "hand_node/markers"),
        "mask": camera.peer.listen(Image, "hand_node/mask"),
        "debug_image": camera.peer.listen(Image, "hand_node/debug_image", reliable=False),
    }
    found, parts = camera.ask_everybody(heard)
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
    assert not camera.ask().hands
    box = RegionOfInterest(width=camera.info.width // 2, height=camera.info.height)

    def found():
        box.x_offset = camera.info.width // 2 - box.x_offset
        regions.publish(box)
        return camera.ask().hands

    camera.peer.spin_until(found, "a hand in one half of the image")
    camera.peer.close()


def test_uncertainty_is_drawn_on_request_and_planning_gets_the_same_hands(camera):
    peer = camera.peer
    heard = {
        "grasps": peer.listen(HandGraspArray, "hand_node/grasps"),
        "points": peer.listen(PointCloud2, "hand_node/points"),
        "collision": peer.listen(HandCollisionArray, "hand_node/collision"),
    }
    ellipsoids = peer.listen(MarkerArray, "hand_node/joint_markers")
    found, parts = camera.ask_everybody(heard)
    grasps, points, collision = parts.values()
    ids = [hand.track_id for hand in found.hands]
    assert [hand.track_id for hand in grasps.hands] == ids
    assert [hand.track_id for hand in collision.hands] == ids
    assert grasps.hands[0].palm_pose == collision.hands[0].pose == found.hands[0].palm_pose
    assert points.width == sum(len(hand.vertices) for hand in found.hands) // 3
    assert not ellipsoids, "off by default"
    assert peer.set_parameter("hand_node", "publish_joint_markers", True).successful
    found, parts = camera.ask_everybody({"ellipsoids": ellipsoids})
    assert len(parts["ellipsoids"].markers) == 1 + 21 * len(found.hands)


def test_no_hand_gives_an_empty_array(camera):
    empty = to_image(np.full((480, 640, 3), 90, np.uint8), camera.picture.header)
    assert camera.ask(empty).hands == []


def test_newest_picture_wins(camera):
    camera.find()  # it knows the camera
    for _ in range(12):
        last = camera.send(info=False)
    camera.peer.spin_until(
        lambda: any(m.header.stamp == last for m in camera.hands), "the last of many pictures"
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

        camera.send_until(
            lambda known=known: len(node.warnings) > known, f"a warning of {words}", picture, info
        )
        warned = camera.stamp
        for _ in range(5):
            camera.send(picture, info)
        camera.peer.spin_for(0.3)
        new = node.warnings[known:]
        assert len(new) == 1 and all(word in new[0] for word in words), new
        stamps = [answer.header.stamp.sec for answer in camera.hands]
        assert max(stamps) <= warned, "an answer without knowing the camera"
        assert camera.find(), "the node did not recover"


def test_parameters_change_while_running(camera):
    set_parameter = camera.peer.set_parameter
    try:
        assert set_parameter("hand_node", "min_score", 1.0).successful
        assert camera.ask().hands == []
    finally:
        assert set_parameter("hand_node", "min_score", 0.5).successful
    assert camera.find()
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
        camera.send_until(answer.done, "the measurement", picture)
        return answer.result()

    def depth_m():
        return camera.find()[0].joints[0].z

    try:
        assert set_parameter("hand_node", "max_hands", 1).successful
        before_m = depth_m()
        found = measured(wrist_depth_m=1.08 * before_m, duration_s=4.0)
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
    def timed():
        status = camera.diagnostics.newest
        works = status.level == DiagnosticStatus.OK and value_of(status, "hands") != "0"
        return status if works else None

    status = camera.send_until(timed, "diagnostics of a second with hands")
    assert status.name == "raw/hand_node: hands"
    assert "onnxruntime" in value_of(status, "network runs on")
    assert float(value_of(status, "processing time per image, ms")) > 0
    assert float(value_of(status, "stage network, 90th percentile, ms")) > 0
    assert value_of(status, "model") and int(value_of(status, "hands refused")) >= 0


def test_silence_is_reported(camera, node):
    text, says = "no images on /raw/image_raw", camera.diagnostics.tell
    camera.peer.spin_until(lambda: says(DiagnosticStatus.ERROR, text), "diagnostics")
    camera.peer.spin_until(lambda: text in node.log, "a warning")
    camera.send_until(lambda: says(DiagnosticStatus.OK), "the all-clear")


def test_best_effort_pictures_without_camera_info(start, recorded_messages):
    node = start("bare")
    camera = Camera("bare", recorded_messages, reliable=False)
    try:
        camera.wait_for_node()
        camera.send_until(lambda: node.warnings, "a warning", info=False)
        camera.send(info=False)
        camera.peer.spin_for(0.5)
        assert len(node.warnings) == 1
        assert "no camera_info on /bare/camera_info" in node.warnings[0]
        assert not camera.hands
        # A guess, but only if asked for.
        assert camera.peer.set_parameter("hand_node", "assume_hfov_deg", 67.4).successful
        guessed = camera.find(info=False)[0]
        assert camera.peer.set_parameter("hand_node", "assume_hfov_deg", 0.0).successful
        known = camera.find()[0]
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
        assert camera.find(camera.pictures[0])
        rubbish = CompressedImage(format="jpeg", data=b"rubbish")
        camera.send_until(lambda: node.warnings, "a warning", rubbish)
        assert "'jpeg', 7 bytes" in node.warnings[0]

        def framed():
            return [t for m in tf for t in m.transforms if t.child_frame_id.startswith("jpeg_")]

        camera.send_until(framed, "frames with a prefix", camera.pictures[0])
    finally:
        camera.peer.close()
    assert node.stop(signal.SIGINT) == 0
    assert "Traceback" not in node.log, node.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["numpy", "rclpy", "onnxruntime"])
def test_a_signal_while_the_node_starts_ends_it_quietly(module, number, tmp_path):
    # A module that is being imported when the signal comes.
    shim = f"import os, time; os.kill(os.getpid(), {int(number)}); time.sleep(600)"
    (tmp_path / f"{module}.py").write_text(shim)
    surroundings = environment()
    surroundings["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{surroundings['PYTHONPATH']}"
    command = [sys.executable, "-m", "cmr_ros.ros"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, env=surroundings)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_more_signals_than_one_end_a_running_node_quietly(start, number):
    node = start(f"often{int(number)}")
    node.wait_for("waiting for")
    said, end_s = node.log, time.monotonic() + PATIENCE_S
    while node.process.poll() is None and time.monotonic() < end_s:
        node.process.send_signal(number)
        time.sleep(0.02)
    assert node.process.returncode == 0
    assert node.log == said


def test_covariances_that_nobody_measured_are_warned_of(start, tmp_path):
    shutil.copytree(weights.find(weights.HAND_NETWORKS["lite"]), tmp_path / "mine")
    card = ModelCard.load(tmp_path / "mine/model.json")
    replace(card, noise={}).save(tmp_path / "mine/model.json")
    node = start("unmeasured", "-p", f"model:={tmp_path / 'mine'}")
    node.wait_for("waiting for")
    assert "cmr benchmark noise" in node.log


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
