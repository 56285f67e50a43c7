"""Which room may use which, and who may know ROS, torch and mathematics."""

import re
import subprocess
import sys

from support.shared import ROOT
from support.sources import ROS_MODULES, SOURCES, imports

#: From the ground up: a room uses none but those before it.
ROOMS = (
    "errors workers stages geometry hand files sources registration settings model tracking "
    "prediction placement pipeline grasping viewing hand_model network synthesis labelling "
    "evaluation training ros demo benchmark commands cli __main__"
).split()
#: What uses a room above it: the torch engine is loaded where somebody asks for it.
ON_DEMAND = {("model", "network")}
TORCH_ROOMS = {"network", "training"}
#: Torch engines are timed against the others in a function of this file.
TORCH_ON_DEMAND = {"benchmark/network.py"}
#: What checks a machine with a GPU; `cmr benchmark` imports its package, which has no torch.
TORCH_FOLDER = "benchmark/gpu/"
ROS_ROOMS = {"ros", "demo"}
#: What opens connections; only viewers and what talks to a cluster may, all else goes through DDS.
NETWORK_MODULES = set(
    "aiohttp asyncio foxglove ftplib http ray requests rerun smtplib socket socketserver ssl "
    "telnetlib urllib urllib3 websockets xmlrpc".split()
)


def room_of(path):
    first = path.relative_to(ROOT / "cmr_ros").parts[0]
    return first.removesuffix(".py")


def imported_rooms(path):
    """List the rooms of this package that a file imports: (room, at the top of the file?)."""
    return {
        (module.split(".")[1], at_top)
        for module, at_top in imports(path)
        if module.startswith("cmr_ros.") and not module.startswith(("cmr_ros.msg", "cmr_ros.srv"))
    }


def test_every_room_is_in_the_order():
    assert {room_of(path) for path in SOURCES} - {"__init__"} == set(ROOMS)


def test_imports_point_down():
    upwards = [
        f"{path.relative_to(ROOT)}: {other}"
        for path in SOURCES
        for other, at_top in imported_rooms(path)
        if room_of(path) in ROOMS
        and ROOMS.index(other) > ROOMS.index(room_of(path))
        and (at_top or (room_of(path), other) not in ON_DEMAND)
    ]
    assert upwards == []


def test_only_the_ros_rooms_import_ros():
    guilty = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in SOURCES
        if room_of(path) not in ROS_ROOMS
        for module, _ in imports(path)
        if ROS_MODULES.match(module)
    ]
    assert guilty == []


def test_only_network_and_training_import_torch():
    guilty = [
        name
        for path in SOURCES
        if room_of(path) not in TORCH_ROOMS
        and not (name := str(path.relative_to(ROOT / "cmr_ros"))).startswith(TORCH_FOLDER)
        for module, at_top in imports(path)
        if module.split(".")[0] == "torch" and (at_top or name not in TORCH_ON_DEMAND)
    ]
    assert guilty == []


def test_only_viewers_and_clusters_open_connections():
    openers = {
        room_of(path)
        for path in SOURCES
        for module, _ in imports(path)
        if module.split(".")[0] in NETWORK_MODULES
    }
    assert openers == {"viewing", "workers"}


def test_asking_for_a_benchmark_needs_no_torch():
    code = (
        "import argparse, sys; sys.modules['torch'] = None;"  # None: import fails
        "from cmr_ros.commands import benchmark;"
        "benchmark.add_arguments(argparse.ArgumentParser())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_node_holds_no_mathematics():
    used = {module for module, _ in imports(ROOT / "cmr_ros/ros/node.py")}
    assert not {m for m in used if m.split(".")[0] in ("math", "cv2", "scipy")}
    source = (ROOT / "cmr_ros/ros/node.py").read_text()
    assert "np." not in source.replace("np.ndarray", "")


def test_the_pipeline_imports_without_torch_and_ros():
    blocked = ("torch", "rclpy", "sensor_msgs", "cmr_ros.network", "cmr_ros.training")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r}));"  # None: import fails
        "import cmr_ros; cmr_ros.HandPipeline"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_page_on_architecture_is_true():
    page = (ROOT / "docs/architecture.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, re.M) == [r for r in ROOMS if r != "__main__"]
    below = {}
    for start, ends in reversed(re.findall(r"^    (\S.*) --> (.*)$", page, re.M)):
        reached = {end for name in ends.split(" & ") for end in {name, *below.get(name, ())}}
        for name in start.split(" & "):
            below[name] = below.get(name, set()) | reached
    untold = [
        f"{path.relative_to(ROOT)}: {other}"
        for path in SOURCES
        for other, at_top in imported_rooms(path)
        if at_top and room_of(path) in below and other not in below[room_of(path)] | {room_of(path)}
    ]
    assert untold == [], "the diagram lacks arrows"


def test_the_way_of_an_image_names_what_there_is():
    way = (ROOT / "docs/architecture.md").read_text().partition("## The way of an image")[2]
    source = "\n".join(path.read_text() for path in SOURCES)
    names = {name.split(".")[-1] for name in re.findall(r"`([\w.]+)`", way)} - {"py"}
    missing = [name for name in names if not re.search(rf"^ *(def|class) {name}\b", source, re.M)]
    assert names and missing == []
