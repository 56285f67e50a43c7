"""hand_viewer: a real node, the real process beside it, and viewers who come and go."""

import asyncio
import contextlib
import copy
import json
import re
import signal
import socket
import struct
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
pytest.importorskip("aiohttp", reason="aiohttp is not installed")
import aiohttp
import rclpy

from cmr_ros.ros import viewer as viewer_module
from cmr_ros.ros.parameters import Parameters
from support.peer import PATIENCE_S, Camera, NodeProcess, environment
from support.ports import free_port


class ViewerProcess:
    """A `hand_viewer` in a process of its own; its log goes to a file."""

    def __init__(self, namespace, folder, *parameters: str):
        self.log_path = folder / f"{namespace}_viewer.log"
        command = [sys.executable, "-m", "cmr_ros.ros.viewer", "--ros-args", "-r"]
        command += [f"__ns:=/{namespace}", *(part for p in parameters for part in ("-p", p))]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment())

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()


@pytest.fixture(scope="module")
def camera(tmp_path_factory, recorded_messages):
    node = NodeProcess("shown", tmp_path_factory.mktemp("shown"))
    camera = Camera("shown", recorded_messages)
    yield camera
    camera.peer.close()
    node.stop()


async def watch(port, camera) -> list[bytes]:
    """Watch the page while the camera sends images; return the faces, and an image with hands."""
    url = f"http://127.0.0.1:{port}"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}/stream", headers={"Origin": url}) as stream,
    ):
        await stream.send_str("next")
        messages = []
        while len(messages) < 2 or not unpack(messages[-1])[0]["hands"]:
            camera.send()
            await asyncio.to_thread(camera.peer.spin_for, 0.2)
            with contextlib.suppress(asyncio.TimeoutError):
                messages.append(await stream.receive_bytes(timeout=0.2))
                await stream.send_str("next")
        return [messages[0], messages[-1]]


def listeners(camera) -> list[str]:
    node = camera.peer.node
    found = node.get_subscriptions_info_by_topic("/shown/hand_node/debug_image")
    return [one.node_name for one in found]


def test_the_page_shows_a_running_node_and_listens_only_while_somebody_watches(camera, tmp_path):
    port = free_port()
    viewer, peer = ViewerProcess("shown", tmp_path, f"port:={port}"), camera.peer

    try:
        peer.spin_until(lambda: "Open http://127.0.0.1" in viewer.log, "the page")
        peer.spin_until(lambda: peer.node.count_publishers("hand_node/hands"), "the node")
        peer.spin_for(1.0)
        assert listeners(camera) == []
        faces, image = asyncio.run(asyncio.wait_for(watch(port, camera), PATIENCE_S))
        head, jpeg, numbers = unpack(image)
        assert head["note"] == "/shown/hand_node"
        assert 0.1 < head["hands"][0]["depth_m"] < 3 and head["hands"][0]["sigma_m"] > 0
        vertices = np.frombuffer(numbers, "<f4").reshape(len(head["hands"]), -1, 3)
        corners = np.frombuffer(unpack(faces)[2], "<u4")
        assert vertices.shape[1] == corners.max() + 1
        drawn = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert drawn.shape == (camera.info.height, camera.info.width, 3)
        peer.spin_until(lambda: listeners(camera) == [], "the viewer to stop listening")
    finally:
        assert viewer.stop() == 0, viewer.log
    assert "Traceback" not in viewer.log and "[WARN]" not in viewer.log, viewer.log


def unpack(data: bytes):
    length = struct.unpack_from("<I", data)[0]
    head = json.loads(data[4 : 4 + length])
    end = 4 + length + head["jpeg"]
    return head, data[4 + length : end], data[end + -end % 4 :]


@pytest.mark.parametrize(
    "parameter, value, focal_px", [("rectified", True, 430), ("assume_hfov_deg", 60.0, 554.3)]
)
def test_the_viewer_shows_the_camera_that_the_node_takes_it_for(
    camera, monkeypatch, parameter, value, focal_px
):
    shown, info = [], copy.deepcopy(camera.info)
    info.p[0] = info.p[5] = 430.0
    watched = SimpleNamespace(invitation="", is_watched=True, show=shown.append, close=lambda: None)
    monkeypatch.setattr(viewer_module, "open_viewer", lambda *_: watched)
    camera.wait_for_node()
    before = getattr(Parameters(), parameter)
    assert camera.peer.set_parameter("hand_node", parameter, value).successful
    rclpy.init(args=["--ros-args", "-r", "__ns:=/shown"])
    viewer = viewer_module.HandViewer()
    executor = rclpy.executors.SingleThreadedExecutor()
    executor.add_node(viewer)

    def has_come():
        for _ in range(10):
            executor.spin_once(timeout_sec=0.02)
        known = shown and shown[-1].camera
        return known and abs(known.matrix[0, 0] - focal_px) < 1

    try:
        camera.send_until(has_come, "an image with the right camera", info=info)
    finally:
        executor.shutdown()
        viewer.destroy_node()
        rclpy.shutdown()
        camera.peer.set_parameter("hand_node", parameter, before)


@pytest.mark.parametrize("namespace, title", [("/", "/hand_node"), ("/a/b", "/a/b/hand_node")])
def test_the_title_is_the_full_name_of_the_node(monkeypatch, namespace, title):
    titles = []

    def opened(kind, host, port, note):
        titles.append(note)
        return SimpleNamespace(invitation="", close=lambda: None)

    monkeypatch.setattr(viewer_module, "open_viewer", opened)
    rclpy.init(args=["--ros-args", "-r", f"__ns:={namespace}"])
    try:
        viewer_module.HandViewer().destroy_node()
    finally:
        rclpy.shutdown()
    assert titles == [title]


@pytest.mark.parametrize(
    "parameter, words",
    [("port:={taken}", "in use; name another"), ("viewer:=paper", "there are web")],
)
def test_what_cannot_be_shown_is_one_line(tmp_path, parameter, words):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        parameter = parameter.format(taken=taken.getsockname()[1])
        viewer = ViewerProcess("refused", tmp_path, parameter)
        assert viewer.process.wait(PATIENCE_S) == 1
    lines = [line for line in viewer.log.splitlines() if line]
    assert len(lines) == 1 and re.search(f"FATAL.*{words}", lines[0]), viewer.log


def test_cmr_live_shows_the_hands_on_a_topic(recorded_messages, tmp_path):
    camera, port = Camera("live_topic", recorded_messages), free_port()
    command = [sys.executable, "-m", "cmr_ros", "live", "--topic", "/live_topic/image_raw"]
    log = tmp_path / "live.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--web", "--port", str(port)], stdout=file, stderr=file, env=environment()
        )
    try:
        camera.peer.spin_until(lambda: "Open http" in log.read_text(), "the page")
        camera.peer.spin_until(
            lambda: camera.peer.node.count_publishers("/cmr_live/hand_node/hands"), "the node"
        )
        asyncio.run(asyncio.wait_for(watch(port, camera), PATIENCE_S))
    finally:
        camera.peer.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0, log.read_text()
    assert "Traceback" not in log.read_text()
