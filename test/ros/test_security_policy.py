"""The SROS 2 policy allows what running nodes have on the wire; they have no other sockets."""

import os
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
from support.peer import NodeProcess, Peer
from support.shared import ROOT

#: Namespaces of nodes that together have every input, and their parameters.
NODES = {
    "guarded_depth": ("use_depth:=true", "regions:=besides", "publish_joint_markers:=true"),
    "guarded_stereo": ("use_stereo:=true",),
    "guarded_compressed": ("use_stereo:=true", "transport:=compressed"),
}
#: The policy's words, and what the graph is asked for.
USES = {
    ("topics", "publish"): "get_publisher_names_and_types_by_node",
    ("topics", "subscribe"): "get_subscriber_names_and_types_by_node",
    ("services", "reply"): "get_service_names_and_types_by_node",
    ("services", "request"): "get_client_names_and_types_by_node",
}
#: What not every distribution's nodes have: Humble's have none.
LATER = {("hand_node", "services", "reply", "~/get_type_description")}


def allowed():
    """List what the policy allows: (node, topics or services, how, name)."""
    for profile in ElementTree.parse(ROOT / "config/sros2_policy.xml").iter("profile"):
        for rules in profile:
            ((how, word),) = rules.attrib.items()
            assert word == "ALLOW" and profile.get("ns") == "/"
            for name in rules:
                yield profile.get("node"), rules.tag, how, name.text


def used(peer, namespace):
    """List what the nodes of a namespace use, by names that are relative to it as in the policy."""
    nodes = {node for node, *_ in allowed()}
    for node in nodes:
        for (kind, how), ask in USES.items():
            for name, _ in getattr(peer.node, ask)(node, f"/{namespace}"):
                own = name.replace(f"/{namespace}/{node}/", "~/")
                yield node, kind, how, own.removeprefix(f"/{namespace}/")


def sockets(pid):
    """List a process's sockets of the internet: (protocol, local port, other end)."""
    links = (os.readlink(f"/proc/{pid}/fd/{one}") for one in os.listdir(f"/proc/{pid}/fd"))
    own = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    for protocol in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        table = Path(f"/proc/{pid}/net", protocol)
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[9] in own:
                yield protocol, int(fields[1].rpartition(":")[2], 16), fields[2]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nodes")
    nodes = [
        NodeProcess(namespace, folder, *(word for one in given for word in ("-p", one)))
        for namespace, given in NODES.items()
    ]
    yield nodes
    for node in nodes:
        node.stop()


@pytest.fixture(scope="module")
def seen(nodes):
    """What the nodes use, once all of it has been discovered."""
    found = set()
    peer = Peer("guarded")
    for namespace in NODES:
        images = "right/image_raw/compressed" if "compressed" in namespace else "image_raw"
        for topic in (images, "camera_info"):
            name = f"/{namespace}/{topic}"
            peer.spin_until(lambda name=name: peer.node.count_subscribers(name), name)
        peer.spin_for(1.0)
        found |= set(used(peer, namespace))
    peer.close()
    return found


def test_everything_a_node_uses_is_allowed(seen):
    assert seen - set(allowed()) == set()


def test_nothing_is_allowed_that_no_node_uses(seen):
    assert set(allowed()) - seen - LATER == set()


def test_no_name_is_a_pattern():
    assert not [name for *_, name in allowed() if set(name) & set("*?[]")]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_node_has_no_sockets_but_those_of_dds(nodes, seen):
    first = 7400 + 250 * int(os.environ["ROS_DOMAIN_ID"])
    for node in nodes:
        found = list(sockets(node.process.pid))
        assert {protocol for protocol, *_ in found} <= {"udp", "udp6"}
        # Connected to nobody: what is sent goes to whom DDS has discovered.
        assert {int(end.replace(":", ""), 16) for *_, end in found} == {0}
        assert [port for _, port, _ in found if first <= port < first + 250]
