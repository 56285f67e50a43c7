"""`cmr demo` and `cmr benchmark pipeline`, run as a user runs them."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
pytest.importorskip("rosbags", reason="rosbags is not installed")
from rosbags.highlevel import AnyReader

from cmr_ros.cli import main
from cmr_ros.demo.bag import Sent, write_bag
from cmr_ros.demo.play import NODE
from cmr_ros.errors import InputError
from cmr_ros.files import playback
from cmr_ros.model import weights
from cmr_ros.msg import HandMeshArray
from support.peer import environment
from support.recordings import write_recording


def cmr(folder, *arguments) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "cmr_ros", *map(str, arguments)],
        capture_output=True, text=True, timeout=500, cwd=folder, env=environment(),
    )  # fmt: skip


def test_demo_finds_the_hands_and_leaves_everything_behind(tmp_path):
    done = cmr(tmp_path, "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    total = next(line for line in done.stdout.splitlines() if line.strip().startswith("all"))
    hands, _, _, depth, error, share, _, latency = total.split()[1:9]
    hands, depth, error, share, latency = map(float, (hands, depth, error, share, latency))
    recordings = [weights.find(name) for name in ("demo.mcap", "demo_conditions.mcap")]
    _, frames = playback.read_all(recordings)
    assert hands > 0 and latency > 0 and 0 < share < 20
    assert 0.2 < depth < 1.2  # as far as the recording's hands go
    assert error < 100

    out = tmp_path / "demo_out"
    assert cv2.imread(str(out / "contact_sheet.png")).std() > 10
    trimesh = pytest.importorskip("trimesh", reason="trimesh is not installed")
    meshes = [trimesh.load_mesh(path) for path in (out / "meshes").glob("*.ply")]
    assert meshes
    for mesh in meshes:
        assert mesh.is_watertight and mesh.volume > 0, "inside out?"
    with AnyReader([out / "recording"]) as reader:
        counts = {topic: info.msgcount for topic, info in reader.topics.items()}
    assert counts["/camera/image_raw/compressed"] == len(frames)
    for topic in ("hands", "markers", "mask", "debug_image"):
        assert counts[f"{NODE}/{topic}"] > 0, topic
    assert counts[f"{NODE}/topology"] == 1 and counts["/tf"] > 0


def test_demo_without_a_hand_fails(tmp_path):
    grey = [np.full((240, 320, 3), 90, np.uint8)] * 4
    path = write_recording(tmp_path / "bag", grey, [[]] * 4, rate_hz=10)
    done = cmr(tmp_path, "demo", "--recording", path, "--output", "out")
    assert done.returncode == 1
    assert "No hand was found" in done.stdout


def test_demo_with_a_model_that_cannot_run_says_why(tmp_path):
    (tmp_path / "empty").mkdir()
    done = cmr(tmp_path, "demo", "--model", tmp_path / "empty")
    assert done.returncode == 2
    assert "hand_node ended" in done.stderr and "empty/model.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bag_holds_the_definitions_of_its_messages(tmp_path):
    from rclpy.serialization import serialize_message

    hands = HandMeshArray()
    hands.header.frame_id = "camera_optical_frame"
    sent = [
        Sent("/hands", "cmr_ros/msg/HandMeshArray", serialize_message(hands), time_ns)
        for time_ns in (20, 10)
    ]
    path = write_bag(tmp_path / "bag", sent)
    with AnyReader([path]) as reader:
        messages = list(reader.messages())
        assert [time_ns for _, time_ns, _ in messages] == [10, 20]
        read = reader.deserialize(messages[0][2], messages[0][0].msgtype)
    assert read.header.frame_id == "camera_optical_frame" and len(read.hands) == 0


def test_benchmark_of_the_pipeline(tmp_path, capsys):
    file = tmp_path / "figures.json"
    assert main(["benchmark", "pipeline", "--json", str(file)]) == 0
    assert "milliseconds per image" in capsys.readouterr().out
    figures = json.loads(file.read_text())
    some = figures[max(figures)]
    assert some["network"]["pictures"] > 0
    for part in ("cut crops", "network", "read cues", "register"):
        assert 0 < some[part]["median_ms"] < some["all but JPEG"]["median_ms"]


def test_demo_removes_no_bag_but_its_own(tmp_path):
    grey = [np.full((240, 320, 3), 90, np.uint8)] * 2
    path = write_recording(tmp_path / "out/recording", grey, [[]] * 2, rate_hz=10)
    before = path.read_bytes()
    done = cmr(tmp_path, "demo", "--recording", path, "--output", "out")
    assert done.returncode == 2 and "was not made by `cmr demo`" in done.stderr
    assert path.read_bytes() == before
    for _ in range(2):
        made = write_bag(tmp_path / "bag", [])
    assert sorted(file.name for file in made.parent.iterdir()) == ["bag.mcap", "metadata.yaml"]
    (made.parent / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="was not made"):
        write_bag(tmp_path / "bag", [])
    assert (made.parent / "notes.txt").read_text() == "mine"
