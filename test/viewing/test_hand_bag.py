"""What is written to an MCAP without ROS is what the node sends, and others can read it."""

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed")
from cmr_ros.files.bag import Messages, typestore
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.model import weights
from cmr_ros.model.template import HandTemplate
from cmr_ros.sources import SourceImage
from cmr_ros.viewing import hand_bag
from support.made_up_hands import camera, hand

STAMP_NS = 12_000_000_345


@pytest.fixture(scope="module")
def template():
    return HandTemplate.load(weights.find(weights.HAND_NETWORK) / "template.npz")


def hands():
    return [hand(3, vertex_count=800), hand(4, Handedness.LEFT, vertex_count=800)]


def test_messages_are_those_of_the_node(template):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
    from rclpy.serialization import deserialize_message, serialize_message
    from std_msgs.msg import Header
    from tf2_msgs.msg import TFMessage

    from cmr_ros.ros import messages as node
    from cmr_ros.ros.transforms import HandTransforms

    store = typestore()
    ours = Messages(store, STAMP_NS, "camera_optical_frame")
    header = Header(frame_id="camera_optical_frame")
    header.stamp.sec, header.stamp.nanosec = divmod(STAMP_NS, 10**9)
    for mine, theirs in (
        (hand_bag.hand_array(ours, hands()), node.to_hand_array(hands(), header)),
        (hand_bag.topology(ours, template), node.to_topology(template)),
        (
            ours.new("tf2_msgs/msg/TFMessage", hand_bag.transforms(ours, hands())),
            deserialize_message(HandTransforms()(hands(), header), TFMessage),
        ),
    ):
        data = bytes(store.serialize_cdr(mine, mine.__msgtype__))
        sent = deserialize_message(serialize_message(theirs), type(theirs))  # rounded alike
        assert deserialize_message(data, type(theirs)) == sent


def test_another_reader_understands_all_of_it(tmp_path, template):
    reader = pytest.importorskip("mcap.reader", reason="mcap is not installed")
    from mcap_ros2.decoder import DecoderFactory

    path = tmp_path / "new" / "hands.mcap"
    picture = np.full((480, 640, 3), 90, np.uint8)
    with hand_bag.HandBag(path, template) as bag:
        bag.add(SourceImage("0", STAMP_NS, picture), camera(), hands())
        bag.add(SourceImage("1", STAMP_NS + 40_000_000, picture), camera(), [])
    assert [file.name for file in path.parent.iterdir()] == ["hands.mcap"]
    got = {}
    with path.open("rb") as file:
        for _, channel, message, content in reader.make_reader(
            file, decoder_factories=[DecoderFactory()]
        ).iter_decoded_messages():
            got.setdefault(channel.topic, []).append((message.log_time, content))
    assert {topic: len(messages) for topic, messages in got.items()} == {
        "/camera/camera_info": 2,
        "/camera/image_raw/compressed": 2,
        "/camera/hand_node/topology": 1,
        "/camera/hand_node/hands": 2,
        "/camera/hand_node/markers": 2,
        "/tf": 2,
    }
    times, (first, second) = zip(*got["/camera/hand_node/hands"], strict=True)
    assert times == (STAMP_NS, STAMP_NS + 40_000_000) and second.hands == []
    assert first.hands[1].joints[0].z == pytest.approx(hands()[1].joints_m[0, 2])
    (_, drawn), (_, removed) = got["/camera/hand_node/markers"]
    assert [(one.ns, one.action) for one in removed.markers] == [("", 3)]  # DELETEALL
    assert [one.ns for one in drawn.markers] == ["", "mesh", "bones", "mesh", "bones"]
    assert len(drawn.markers[1].points) == template.faces[0].size
