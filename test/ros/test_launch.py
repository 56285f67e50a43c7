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

from cmr_ros.ros.distribution import fastdds_profiles_variable
from cmr_ros.viewing import foxglove_server, page
from cmr_ros.viewing.viewers import VIEWERS
from support.shared import ROOT

FILE = ROOT / "launch/hand.launch.py"
#: The variable with which the Fast DDS that is there finds its profiles.
OWN = fastdds_profiles_variable({})
# The folder launch/ beside this one is a namespace package of that name, without an origin.
HAS_LAUNCH = bool(getattr(find_spec("launch"), "origin", None)) and bool(find_spec("launch_ros"))


def recorded(name):
    """Return a stand-in for a class of launch that keeps what it is called with."""
    return lambda *args, **kwargs: SimpleNamespace(kind=name, args=args, **kwargs)


@pytest.fixture
def launch_file(monkeypatch):
    """Run the launch file against stand-ins for launch, for machines that have none."""

    def configuration(name):
        return SimpleNamespace(perform=lambda context: context.launch_configurations[name])

    modules = {
        "launch": {"LaunchDescription": lambda actions: actions},
        "launch.actions": {
            name: recorded(name) for name in ("DeclareLaunchArgument", "LogInfo", "OpaqueFunction")
        },
        "launch.substitutions": {"LaunchConfiguration": configuration},
        "launch_ros": {},
        "launch_ros.actions": {"Node": recorded("Node")},
    }
    for name, contents in modules.items():
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**contents))
    return runpy.run_path(str(FILE))


def started(launch_file, environment=None, pushed="", **given):
    """Return the nodes that these arguments start."""
    defaults = {name: default for name, (default, _) in launch_file["ARGUMENTS"].items()}
    configurations = {**defaults, **given, "ros_namespace": pushed}
    return launch_file["start"](
        SimpleNamespace(launch_configurations=configurations, environment=environment or {})
    )


def test_arguments_are_declared_with_defaults_that_say_something(launch_file):
    actions = launch_file["generate_launch_description"]()
    arguments = [action for action in actions if action.kind == "DeclareLaunchArgument"]
    assert {action.args[0] for action in arguments} == set(launch_file["ARGUMENTS"])
    assert all(action.description for action in arguments)
    defaults = yaml.safe_load((ROOT / "config/hand.yaml").read_text())["/**"]["ros__parameters"]
    shown = {action.args[0]: action.default_value.partition(", ")[0] for action in arguments}
    assert (shown["transport"], shown["engine"]) == (defaults["transport"], defaults["engine"])
    (providers,) = (a.default_value for a in arguments if a.args[0] == "providers")
    assert providers.startswith(",".join(defaults["providers"]))


@pytest.mark.parametrize(
    "environment, variable",
    [
        ({}, OWN),
        ({"RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}, OWN),
        ({"RMW_IMPLEMENTATION": "rmw_fastrtps_dynamic_cpp"}, OWN),
        ({"ROS_LOCALHOST_ONLY": "0"}, OWN),
        ({"FASTDDS_DEFAULT_PROFILES_FILE": "mine.xml"}, None),
        ({"FASTRTPS_DEFAULT_PROFILES_FILE": "mine.xml"}, None),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}, None),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}, None),
        ({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}, None),
        ({"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"}, None),
        ({"ROS_LOCALHOST_ONLY": "1"}, None),
    ],
)
def test_fastdds_gets_room_unless_the_user_has_chosen(launch_file, environment, variable):
    (node,) = started(launch_file, environment)
    assert list(node.additional_env) == ([variable] if variable else [])
    assert all(Path(file).is_file() for file in node.additional_env.values())


def test_a_profile_in_the_working_directory_is_a_choice_too(launch_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "DEFAULT_FASTDDS_PROFILES.xml").touch()
    assert started(launch_file)[0].additional_env == {}


def test_topics_and_parameters_reach_the_node(launch_file):
    (node,) = started(
        launch_file, image="/cam/image_raw", camera_info="/cam/info", namespace="left",
        engine="torch", providers="cuda, cpu",
    )  # fmt: skip
    assert (node.package, node.executable, node.namespace) == ("cmr_ros", "hand_node", "left")
    assert dict(node.remappings) == {"image_raw": "/cam/image_raw", "camera_info": "/cam/info"}
    file, overrides = node.parameters
    assert Path(file).is_file()
    assert overrides == {"engine": "torch", "providers": "cuda, cpu", "frame_prefix": "left_"}


def test_what_is_not_given_is_left_to_the_parameter_file(launch_file):
    (node,) = started(launch_file, transport="", model="")
    assert node.parameters[1] == {}
    (node,) = started(launch_file, transport="raw")
    assert node.parameters[1] == {"transport": "raw"}


@pytest.mark.parametrize(
    "given, prefix",
    [
        ({}, None),
        ({"namespace": "left"}, "left_"),
        ({"namespace": "/robot/left/"}, "robot_left_"),
        ({"namespace": "left", "pushed": "/robot"}, "robot_left_"),
        ({"namespace": "/left", "pushed": "/robot"}, "left_"),
        ({"pushed": "/robot"}, "robot_"),
        ({"namespace": "left", "frame_prefix": "l/"}, "l/"),
        ({"namespace": "left", "frame_prefix": "none"}, ""),
        ({"frame_prefix": "a_"}, "a_"),
    ],
)
def test_each_camera_has_a_frame_prefix(launch_file, given, prefix):
    assert started(launch_file, **given)[0].parameters[1].get("frame_prefix") == prefix


@pytest.mark.parametrize(
    "section", ["/**", "/robot/hand_node", "robot/hand_node", "/robot/**", "/*/hand_node"]
)
def test_a_prefix_of_the_parameter_file_is_kept(launch_file, section, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(f'"{section}":\n  ros__parameters:\n    frame_prefix: mine_\n')
    (node,) = started(launch_file, namespace="robot", params_file=str(file))
    assert node.parameters == [str(file), {}]


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "cannot be read.*No such file"),
        ("a: [", "cannot be read"),
        ("", "no parameters for /robot/hand_node.*sections are none"),
        ("min_score: 0.3", "no parameters.*ros__parameters"),
        ("/other:\n  ros__parameters:\n    min_score: 0.3", "sections are /other"),
        ("hand_node:\n  ros__parameters:\n    min_score: 0.3", "sections are /hand_node"),
    ],
)
def test_a_wrong_parameter_file_is_an_error(launch_file, content, words, tmp_path):
    file = tmp_path / "wrong.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(RuntimeError, match=f"params_file .*wrong.yaml.*{words}"):
        started(launch_file, namespace="robot", params_file=str(file))


def test_arguments_nobody_knows_are_warned_of(launch_file):
    given = SimpleNamespace(launch_configurations={"imgae": "/a", "use_robot": "1", "image": "/b"})
    (warning,) = launch_file["warn_of_unknown"](given)
    assert "imgae; did you mean image?" in warning.msg


def test_a_depth_topic_switches_depth_on(launch_file):
    (node,) = started(launch_file, depth="/cam/aligned_depth_to_color/image_raw")
    assert dict(node.remappings)["depth"] == "/cam/aligned_depth_to_color/image_raw"
    assert node.parameters[1] == {"use_depth": True}


def test_several_cameras_share_nothing_but_the_arguments(launch_file):
    depth = "/{camera}/aligned_depth_to_color/image_raw"
    left, right = started(launch_file, cameras="left, right", depth=depth, model="mine")
    for name, node in (("left", left), ("right", right)):
        assert node.namespace == name
        assert node.parameters[1] == {
            "model": "mine", "frame_prefix": f"{name}_", "use_depth": True
        }  # fmt: skip
        topics = dict(node.remappings)
        assert topics["image_raw"] == "image_raw", "relative: in the camera's namespace"
        assert topics["depth"] == f"/{name}/aligned_depth_to_color/image_raw"
    (inner, _) = started(launch_file, cameras="a,b", namespace="/robot", frame_prefix="{camera}/")
    assert inner.namespace == "/robot/a" and inner.parameters[1]["frame_prefix"] == "a/"
    seen = {"right_image": "/{camera}/b/image_raw", "right_camera_info": "/{camera}/b/camera_info"}
    for name, node in zip("pq", started(launch_file, cameras="p,q", **seen), strict=True):
        topics = dict(node.remappings)
        assert topics["right/image_raw"] == f"/{name}/b/image_raw"
        assert topics["right/camera_info"] == f"/{name}/b/camera_info"


@pytest.mark.parametrize(
    ("viewer", "given", "first"),
    [("web", "0", page.PORT), ("foxglove", "0", foxglove_server.PORT), ("foxglove", "9000", 9000)],
)
def test_each_camera_has_a_port_for_its_viewer(launch_file, viewer, given, first):
    nodes = started(launch_file, cameras="a,b", viewer=viewer, viewer_port=given)
    ports = [node.parameters[0]["port"] for node in nodes if node.executable == "hand_viewer"]
    assert ports == [first, first + 1]


@pytest.mark.parametrize("names", ["left,left", "left,/right", "a b"])
def test_names_of_cameras_must_be_different_names(launch_file, names):
    with pytest.raises(RuntimeError, match="different names"):
        started(launch_file, cameras=names)


def test_a_lifecycle_manager_may_start_the_node(launch_file):
    (node,) = started(launch_file, autostart="false")
    assert node.parameters[1] == {"autostart": False}


def test_a_second_image_topic_switches_stereo_on(launch_file):
    (node,) = started(launch_file, right_image="/r/image_raw", right_camera_info="/r/info")
    remappings = dict(node.remappings)
    assert remappings["right/image_raw"] == "/r/image_raw"
    assert remappings["right/camera_info"] == "/r/info"
    assert node.parameters[1] == {"use_stereo": True}


def test_rviz_is_started_on_demand_and_first(launch_file):
    assert len(started(launch_file)) == 1
    rviz, node = started(launch_file, rviz="true", fixed_frame="base_link")
    assert rviz.executable == "rviz2", "else the node outlives a launch that fails for want of it"
    assert node.executable == "hand_node"
    assert Path(rviz.arguments[1]).is_file() and rviz.arguments[2:] == ["-f", "base_link"]


def test_a_viewer_is_a_process_of_its_own(launch_file):
    viewer, node = started(launch_file, viewer="web", namespace="left", camera_info="/cam/info")
    assert (viewer.executable, node.executable) == ("hand_viewer", "hand_node")
    assert viewer.parameters == [{"viewer": "web", "host": "127.0.0.1", "port": 0}]
    assert viewer.namespace == "left" and dict(viewer.remappings) == {"camera_info": "/cam/info"}
    assert viewer.additional_env == node.additional_env
    assert set(launch_file["VIEWERS"]) == set(VIEWERS)
    with pytest.raises(RuntimeError, match="viewer:=rviz: there are none, web"):
        started(launch_file, viewer="rviz")


@pytest.mark.parametrize(
    "given, frame",
    [
        ({}, "camera_upright"),
        ({"namespace": "left"}, "left_camera_upright"),
        ({"namespace": "left", "pushed": "/robot"}, "robot_left_camera_upright"),
    ],
)
def test_rviz_looks_from_a_frame_that_is_published(launch_file, given, frame):
    rviz, upright, _ = started(launch_file, rviz="true", **given)
    assert rviz.arguments[2:] == ["-f", frame]
    assert (upright.executable, upright.parameters) == ("upright_frame", [{"frame": frame}])
    assert rviz.namespace == upright.namespace == given.get("namespace", "")


def test_fastdds_profile_has_room_for_pictures():
    root = xml.etree.ElementTree.parse(ROOT / "config/fastdds.xml").getroot()
    sizes = [int(tag.text) for tag in root.iter() if tag.tag.endswith("segment_size")]
    assert sizes == [16 << 20]


@pytest.mark.skipif(not HAS_LAUNCH, reason="launch_ros is not installed")
def test_real_launch_starts_and_stops_the_node(tmp_path):
    pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
    from cmr_ros.msg import HandTopology
    from support.peer import PATIENCE_S, Peer, environment

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
        process.wait(PATIENCE_S)
    assert "process has finished cleanly" in log.read_text(), log.read_text()
