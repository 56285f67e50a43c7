"""What others do to the node without warning: listeners that stall, and a kill that nobody sees."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
from sensor_msgs.msg import Image

from support.peer import Camera, NodeProcess, environment
from support.shared import ROOT

#: Listens to everything large, reliably, and says how many images it has heard.
LISTENER = """
import rclpy
from cmr_ros.msg import HandMeshArray
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("listener", namespace="stalled")
for kind, topic in ((HandMeshArray, "hands"), (Image, "debug_image"), (Image, "mask")):
    node.create_subscription(kind, f"hand_node/{topic}", lambda _: print(1, flush=True), 10)
rclpy.spin(node)
"""
SHARED_MEMORY = Path("/dev/shm")


def memory_mb(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_listener_that_stalls_holds_nobody_up(tmp_path, recorded_messages):
    node = NodeProcess("stalled", tmp_path)
    camera = Camera("stalled", recorded_messages)
    heard = tmp_path / "heard"
    with heard.open("wb") as file:
        listener = subprocess.Popen(
            [sys.executable, "-c", LISTENER], stdout=file, env=environment()
        )
    try:
        camera.wait_for_node()
        camera.peer.send_until(camera.send, lambda: heard.stat().st_size, "the listener to hear")
        listener.send_signal(signal.SIGSTOP)
        assert camera.find()
        before_mb = memory_mb(node.process)
        for _ in range(40):
            assert camera.find()
        # The images drawn meanwhile have 48 MB.
        assert memory_mb(node.process) < before_mb + 25
    finally:
        listener.kill()
        camera.peer.close()
        node.stop()
    assert "Traceback" not in node.log


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no /dev/shm")
def test_nodes_that_were_killed_are_in_no_later_ones_way(tmp_path, recorded_messages):
    camera = Camera("killed", recorded_messages)
    image = camera.peer.listen(Image, "hand_node/debug_image")
    for _ in range(2):
        node = NodeProcess("killed", tmp_path)
        camera.wait_for_node()
        assert camera.find() and camera.peer.send_until(camera.send, lambda: image, "an image")
        assert node.stop(signal.SIGKILL) == -signal.SIGKILL
        image.clear()
        gone = camera.images.get_subscription_count
        camera.peer.spin_until(lambda gone=gone: not gone(), "the node's end")
    camera.peer.close()


@pytest.mark.parametrize(
    "module, arguments, complaint",
    [
        ("cmr_ros.ros", [], "hand_node: onnxruntime is missing"),
        ("cmr_ros", ["infer", "a.png"], "cmr infer: the Python package 'onnxruntime' is missing"),
    ],
)
def test_without_onnxruntime_one_line_says_what_to_install(module, arguments, complaint):
    code = (
        "import runpy, sys; sys.modules['onnxruntime'] = None;"  # None: import fails
        f"sys.argv[1:] = {arguments}; runpy.run_module({module!r}, run_name='__main__')"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (1, 2)
    assert done.stderr == f"{complaint}; pip install onnxruntime\n"
