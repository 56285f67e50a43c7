"""The launch file: what it starts, and with which arguments; run where launch is installed."""

import os
import runpy
import signal
import subprocess
import sys
import xml.etree.ElementTree
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from cmr_ros.ros.topics import PUBLISHED
from support.shared import ROOT

FILE = ROOT / "launch/hand.launch.py"
# The folder launch/ beside this one is a namespace package of that name, without an origin.
HAS_LAUNCH = bool(getattr(find_spec("launch"), "origin", None)) and bool(find_spec("launch_ros"))


def recorded(name):
    """Return a stand-in for a class of launch that keeps what it is called with."""
    return lambda *args, **kwargs: SimpleNamespace(kind=name, args=args, **kwargs)


@pytest.fixture
def launch_file(monkeypatch):
    """Run the launch file against stand-ins for launch, for machines that have none."""

    def configuration(name):
        return SimpleNamespace(perform=lambda context: context[name])

    modules = {
        "launch": {"LaunchDescription": lambda actions: actions},
        "launch.actions": {
            name: recorded(name)
            for name in ("DeclareLaunchArgument", "OpaqueFunction", "SetEnvironmentVariable")
        },
        "launch.substitutions": {"LaunchConfiguration": configuration},
        "launch_ros": {},
        "launch_ros.actions": {"Node": recorded("Node")},
    }
    for name, contents in modules.items():
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**contents))
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE", "ROS_DISTRO"):
        monkeypatch.delenv(name, raising=False)
    return runpy.run_path(str(FILE))


def started(launch_file, **given):
    """Return the nodes that these arguments start."""
    defaults = {name: default for name, (default, _) in launch_file["ARGUMENTS"].items()}
    return launch_file["start"]({**defaults, **given})


def test_arguments_and_environment_are_declared(launch_file):
    actions = launch_file["generate_launch_description"]()
    arguments = [action for action in actions if action.kind == "DeclareLaunchArgument"]
    assert {action.args[0] for action in arguments} == set(launch_file["ARGUMENTS"])
    assert all(action.description for action in arguments)


def test_fastdds_gets_its_profile_by_the_name_it_knows(launch_file, monkeypatch):
    for distro, name in (("jazzy", "FASTRTPS"), ("kilted", "FASTDDS")):
        monkeypatch.setenv("ROS_DISTRO", distro)
        (action,) = launch_file["profiles"]()
        assert action.args[0] == f"{name}_DEFAULT_PROFILES_FILE"
        assert Path(action.args[1]).is_file()
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "mine.xml")
    assert launch_file["profiles"]() == [], "a profile of the user's own goes first"


def test_topics_and_parameters_reach_the_node(launch_file):
    (node,) = started(
        launch_file, image="/cam/image_raw", camera_info="/cam/info", namespace="left",
        engine="torch", providers="cuda, cpu",
    )  # fmt: skip
    assert (node.package, node.executable, node.namespace) == ("cmr_ros", "hand_node", "left")
    assert dict(node.remappings) == {"image_raw": "/cam/image_raw", "camera_info": "/cam/info"}
    file, overrides = node.parameters
    assert Path(file).is_file()
    assert overrides == {"engine": "torch", "providers": ["cuda", "cpu"]}


def test_a_depth_topic_switches_depth_on(launch_file):
    (node,) = started(launch_file, depth="/cam/aligned_depth_to_color/image_raw")
    assert dict(node.remappings)["depth"] == "/cam/aligned_depth_to_color/image_raw"
    assert node.parameters[1] == {"use_depth": True}


def test_rviz_is_started_on_demand(launch_file):
    assert len(started(launch_file)) == 1
    _, rviz = started(launch_file, rviz="true", fixed_frame="cam")
    assert rviz.executable == "rviz2"
    assert Path(rviz.arguments[1]).is_file() and rviz.arguments[2:] == ["-f", "cam"]


def test_rviz_shows_topics_the_node_has():
    displays = yaml.safe_load((ROOT / "config/hand.rviz").read_text())
    shown = [
        display["Topic"]["Value"].replace("hand_node", "~")
        for display in displays["Visualization Manager"]["Displays"]
        if "Topic" in display
    ]
    assert len(shown) == 3 and set(shown) <= set(PUBLISHED)


def test_fastdds_profile_has_room_for_pictures():
    root = xml.etree.ElementTree.parse(ROOT / "config/fastdds.xml").getroot()
    sizes = [int(tag.text) for tag in root.iter() if tag.tag.endswith("segment_size")]
    assert sizes == [16 << 20]


@pytest.mark.skipif(not HAS_LAUNCH, reason="launch_ros is not installed")
def test_real_launch_starts_and_stops_the_node(tmp_path):
    pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
    from cmr_ros.msg import HandTopology
    from support.peer import Peer, environment

    program = f"""
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription

arguments = {{"namespace": "launched", "providers": "cpu"}}.items()
service = LaunchService()
included = IncludeLaunchDescription({str(FILE)!r}, launch_arguments=arguments)
service.include_launch_description(LaunchDescription([included]))
sys.exit(service.run())
"""
    surroundings = {
        "AMENT_PREFIX_PATH": sys.prefix,  # a virtual environment has no script that sets it
        **environment(),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ROS_LOG_DIR": str(tmp_path),
    }
    log = tmp_path / "launch.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=file,
            stderr=file,
            cwd=tmp_path,
            env=surroundings,
        )
    peer = Peer("launched")
    try:
        heard = peer.listen(HandTopology, "hand_node/topology", late=True)
        peer.spin_until(lambda: heard or process.poll() is not None, "the topology")
        assert heard, log.read_text()
    finally:
        peer.close()
        process.send_signal(signal.SIGINT)
        process.wait(20)
    assert "process has finished cleanly" in log.read_text(), log.read_text()
