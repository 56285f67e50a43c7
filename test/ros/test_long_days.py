"""What a node meets on a long day: deaths, returns, other clocks and cameras, and nonsense."""

import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest
from tf2_msgs.msg import TFMessage

from cmr_ros.ros.pictures import decompress, to_image, to_rgb
from support.peer import Camera, NodeProcess, environment
from support.scripts import script
from support.shared import ROOT

#: A camera driver in a process of its own, ten images a second.
DRIVER = """
import sys
from support.peer import Camera, recorded_messages
camera = Camera(sys.argv[1], recorded_messages())
camera.peer.spin_until(camera.images.get_subscription_count, "the node")
while True:
    camera.send()
    camera.peer.spin_for(0.05)
"""
MALFORMED = 300
CODED_DEPTH = "depth/compressedDepth"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    node = NodeProcess(
        "day", tmp_path_factory.mktemp("nodes"),
        "-p", "max_hands:=6", "-p", "use_depth:=true", "-p", "regions:=besides",
    )  # fmt: skip
    yield node
    assert node.stop() == 0, node.log
    assert "Traceback" not in node.log, node.log


@pytest.fixture(scope="module")
def camera(node, recorded_messages):
    camera = Camera("day", recorded_messages)
    camera.wait_for_node()
    yield camera
    camera.peer.close()


@pytest.fixture(scope="module")
def coded(tmp_path_factory, recorded_messages):
    """A camera whose images and depth are compressed, before a node of its own."""
    node = NodeProcess(
        "coded", tmp_path_factory.mktemp("nodes"), "-p", "transport:=compressed",
        "-p", "use_depth:=true", "-r", f"depth:={CODED_DEPTH}",
    )  # fmt: skip
    camera = Camera("coded", recorded_messages, CompressedImage)
    camera.wait_for_node()
    yield camera
    camera.peer.close()
    assert node.stop() == 0, node.log
    assert "Traceback" not in node.log, node.log


def driver(namespace):
    environ = environment() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'test'}"}
    return subprocess.Popen([sys.executable, "-c", DRIVER, namespace], env=environ)


def test_a_camera_and_a_node_that_die_in_mid_stream_come_back(tmp_path, recorded_messages):
    listener = Camera("mid_stream", recorded_messages)  # which sends nothing
    peer, says = listener.peer, listener.diagnostics.tell

    def hears_hands():
        listener.hands.clear()
        peer.spin_until(lambda: any(one.hands for one in listener.hands), "hands")

    def is_at_work():
        return listener.diagnostics.newest.level in (DiagnosticStatus.OK, DiagnosticStatus.WARN)

    node, camera = NodeProcess("mid_stream", tmp_path), driver("mid_stream")
    try:
        hears_hands()
        # Before the first image, too, a node complains that there is none.
        peer.spin_until(is_at_work, "a status without an error")
        camera.kill()
        peer.spin_until(lambda: says(DiagnosticStatus.ERROR, "no images"), "the end of images")
        camera = driver("mid_stream")
        hears_hands()
        assert node.stop(signal.SIGKILL) == -signal.SIGKILL
        assert "Traceback" not in node.log, node.log
        node = NodeProcess("mid_stream", tmp_path)
        # Meanwhile the dead node's last hands are taken from the queue, however busy the machine.
        peer.spin_until(lambda: "waiting for" in node.log, "the node's start")
        hears_hands()
    finally:
        camera.kill()
        peer.close()
        assert node.stop() == 0, node.log


def test_a_camera_info_that_changes_holds_for_the_next_image(camera):
    (before,) = camera.find()
    zoomed = type(camera.info)(**{
        name: getattr(camera.info, name) for name in ("width", "height", "distortion_model", "d")
    })  # fmt: skip
    zoomed.k, zoomed.p = camera.info.k.copy(), camera.info.p.copy()
    for entry in (0, 4):
        zoomed.k[entry] *= 2
    zoomed.p[0], zoomed.p[5] = 2 * zoomed.p[0], 2 * zoomed.p[5]
    twice = 2 * before.joints[0].z

    def is_twice_as_far(answer):
        return answer.hands and abs(answer.hands[0].joints[0].z / twice - 1) < 0.15

    camera.ask(info=zoomed, holds=is_twice_as_far, what="a hand twice as far away")
    (after,) = camera.ask(
        holds=lambda answer: answer.hands and answer.hands[0].joints[0].z < 0.7 * twice,
        what="the hand where it was",
    ).hands
    assert abs(after.joints[0].z - before.joints[0].z) < 0.1 * before.joints[0].z


def test_from_no_hand_to_six(camera):
    frames = camera.peer.listen(TFMessage, "/tf")
    one = to_rgb(camera.picture)
    height, width = one.shape[:2]
    info = type(camera.info)(width=3 * width, height=2 * height, distortion_model="plumb_bob")
    info.k = np.array([600.0, 0, 1.5 * width, 0, 600, height, 0, 0, 1])
    info.p = np.array([600.0, 0, 1.5 * width, 0, 0, 600, height, 0, 0, 0, 1, 0])
    wall = np.full((2 * height, 3 * width, 3), 90, np.uint8)
    for count in range(7):
        if count:
            row, column = divmod(count - 1, 3)
            wall[row * height :, column * width :][:height, :width] = one
        picture = to_image(wall, camera.picture.header)
        hands = camera.ask(
            picture, info, lambda answer, count=count: len(answer.hands) == count, f"{count} hands"
        ).hands
        assert len({hand.track_id for hand in hands}) == count
    of_six = camera.send_until(
        lambda: next((m.transforms for m in frames if len(m.transforms) >= 6 * 21), None),
        "the frames of six hands", picture, info,
    )  # fmt: skip
    assert len({transform.child_frame_id for transform in of_six}) == len(of_six)


def test_pictures_of_one_pixel_and_of_8k(coded):
    picture, info = coded.pictures[0], coded.info
    (before,) = coded.find(picture)
    dot = CompressedImage(format="jpeg", data=jpeg(np.full((1, 1, 3), 90, np.uint8)))
    small = type(info)(width=1, height=1, k=[1.0, 0, 0, 0, 1, 0, 0, 0, 1])
    assert not coded.ask(dot, small).hands
    large = cv2.resize(decompress(picture), (7680, 5760))
    scaled = type(info)(
        width=7680, height=5760, distortion_model=info.distortion_model, d=info.d,
        k=np.array(info.k) * ([12] * 6 + [1] * 3),
    )  # fmt: skip
    sent = CompressedImage(format="jpeg", data=jpeg(large[..., ::-1]))
    (hand,) = coded.find(sent, scaled)
    assert abs(hand.joints[0].z / before.joints[0].z - 1) < 0.15
    assert coded.find(picture)


def jpeg(picture):
    return cv2.imencode(".jpg", picture)[1].tobytes()


@pytest.mark.parametrize(
    "kind", ["image", "info", "depth", "region", "compressed", "compressed depth"]
)
def test_three_hundred_malformed_messages_cost_no_later_image(camera, coded, kind):
    bad = script("hostile_node")
    rng = np.random.default_rng(0)
    viewed = coded if kind.startswith("compressed") else camera
    peer = viewed.peer
    height, width = viewed.picture.height, viewed.picture.width
    grey = np.full((height, width, 3), 90, np.uint8)
    if viewed is coded:
        empty = CompressedImage(format="jpeg", data=jpeg(grey))
        depths = peer.publisher(CompressedImage, CODED_DEPTH)
    else:
        empty = to_image(grey, viewed.picture.header)
        depths = peer.publisher(Image, "depth")
        regions = peer.publisher(RegionOfInterest, "hand_node/regions")
        peer.spin_until(regions.get_subscription_count, "the subscription to regions")
    peer.spin_until(depths.get_subscription_count, "the subscription to depth")
    for _ in range(MALFORMED):
        viewed.stamp += 1
        sent = [(empty, viewed.images)]
        if kind == "region":
            sides = rng.choice([0, 1, 640, 2**31, 2**32 - 1], 4).tolist()
            names = ("x_offset", "y_offset", "width", "height")
            regions.publish(RegionOfInterest(**dict(zip(names, sides, strict=True))))
        elif kind == "image":
            sent = [(bad.bad_image(rng), viewed.images)]
        elif kind == "compressed":
            sent = [(bad.bad_compressed(rng), viewed.images)]
        elif kind == "compressed depth":
            sent.insert(0, (bad.bad_compressed_depth(rng), depths))
        elif kind == "info":
            sent.insert(0, (bad.bad_info(rng), viewed.infos))
        else:
            sent.insert(0, (bad.bad_depth(rng), depths))
        for message, publisher in sent:
            message.header.stamp.sec, message.header.frame_id = viewed.stamp, "camera_optical"
            publisher.publish(message)
        peer.spin_for(0.005)
    assert viewed.find(viewed.pictures[0] if viewed is coded else None)
