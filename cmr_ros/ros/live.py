"""Shows the hands on an image topic: hand_node and hand_viewer, each a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec

from cmr_ros.errors import InputError

_NAMESPACE = "/cmr_live"
#: How often is looked whether both are there still.
_LOOK_S = 0.2
_END_TIMEOUT_S = 10.0


def show_topic(topic: str, node: Sequence[str], viewer: Sequence[str]) -> None:
    """Show the hands on a topic until interrupted.

    Args:
        topic: sensor_msgs/Image, or .../compressed; camera_info lies beside it.
        node: parameters of hand_node, as in "max_hands:=2".
        viewer: parameters of hand_viewer.

    Raises:
        InputError: ROS is missing, or one of the processes has ended; its log says why.
    """
    if find_spec("rclpy") is None:
        raise InputError("a topic needs ROS 2: source it, or use .venv/bin/cmr of `make setup`")
    camera_info = topic.removesuffix("/compressed").rpartition("/")[0] + "/camera_info"
    commands = {
        "hand_node": _command("cmr_ros.ros", topic, camera_info, node),
        "hand_viewer": _command("cmr_ros.ros.viewer", topic, camera_info, viewer),
    }
    processes = {name: subprocess.Popen(command) for name, command in commands.items()}
    try:
        while True:
            for name, process in processes.items():
                if process.poll() is not None:
                    raise InputError(f"{name} has ended, see above")
            time.sleep(_LOOK_S)
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            try:
                process.wait(_END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _command(module: str, topic: str, camera_info: str, parameters: Sequence[str]) -> list[str]:
    remappings = (f"__ns:={_NAMESPACE}", f"image_raw:={topic}", f"camera_info:={camera_info}")
    given = [part for remapping in remappings for part in ("-r", remapping)]
    given += [part for parameter in parameters for part in ("-p", parameter)]
    return [sys.executable, "-m", module, "--ros-args", *given]
