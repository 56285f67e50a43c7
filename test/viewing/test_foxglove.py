"""What is served to Foxglove, read by its own client library."""

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("foxglove", reason="foxglove-sdk is not installed")

from cmr_ros.errors import InputError
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.viewing import foxglove_server
from cmr_ros.viewing.foxglove_server import FoxgloveServer
from cmr_ros.viewing.shown import ShownImage
from support.made_up_hands import camera, hand
from support.shared import ROOT

CLIENT = Path(__file__).with_name("foxglove_client.cjs")
MODULES = ROOT / ".venv/node/node_modules"
FACES = np.array([[0, 1, 2], [2, 1, 3], [99, 3, 1]], np.int32)
HANDS = [hand(3), hand(5, Handedness.LEFT, depth_m=0.9)]
PICTURE = np.full((48, 64, 3), (200, 30, 60), np.uint8)
SHOWN = ShownImage(PICTURE, HANDS, FACES, 12_000_000_345, "camera_optical", camera())
TOPICS = {
    getattr(foxglove_server, name) for name in ("IMAGE", "SCENE", "STATE", "CAMERA", "FRAMES")
}


@pytest.fixture(scope="module")
def received():
    """The first message on each topic, and who watched before, meanwhile and after."""
    if shutil.which("node") is None or not (MODULES / "@foxglove/ws-protocol").is_dir():
        pytest.skip(f"npm install --prefix {MODULES.parent.name} @foxglove/ws-protocol ws")
    with closing(FoxgloveServer(port=0)) as server:
        watched = [server.is_watched]
        client = subprocess.Popen(
            ["node", CLIENT, f"ws://127.0.0.1:{server.port}", str(len(TOPICS))],
            env={**os.environ, "NODE_PATH": str(MODULES)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        end = time.monotonic() + 60
        while client.poll() is None and time.monotonic() < end:
            server.show(SHOWN)
            watched.append(server.is_watched)
            time.sleep(0.1)
        said, complaint = client.communicate(timeout=10)
        assert client.returncode == 0, complaint
        end = time.monotonic() + 60
        while server.is_watched and time.monotonic() < end:
            time.sleep(0.05)
        assert (watched[0], any(watched), server.is_watched) == (False, True, False)
    return json.loads(said)


def decoded(message):
    """Read a message by the schema that came with it."""
    protobuf = pytest.importorskip("google.protobuf", reason="protobuf is not installed")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    assert protobuf and message["encoding"] == "protobuf"
    files = descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(message["schema"]))
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(message["schemaName"]))
    return kind.FromString(base64.b64decode(message["data"]))


def test_the_layout_shows_what_is_served(received):
    assert set(received) == TOPICS
    layout = (ROOT / "config/foxglove_layout.json").read_text()
    config = json.loads(layout)
    panels = [*panels_of(config["content"])]
    assert [panel["panelType"] for panel in panels] == ["ThreeDee", "Image", "Plot", "Plot"]
    scene, image, *plots = (panel["config"] for panel in panels)
    assert set(scene["topics"]) == {foxglove_server.SCENE}
    assert scene["followTf"] == foxglove_server.UPRIGHT
    assert image["imageMode"]["imageTopic"] == foxglove_server.IMAGE
    state = json.loads(base64.b64decode(received[foxglove_server.STATE]["data"]))
    for plot in plots:
        for series in plot["paths"]:
            topic, _, rest = series["value"].partition(".hands[:]{name==")
            name, _, field = rest.partition("}.")
            assert topic == foxglove_server.STATE
            values = [one[field] for one in state["hands"] if one["name"] == json.loads(name)]
            assert len(values) == 1


def panels_of(content):
    if content["type"] == "panel":
        yield content
    for item in content.get("items", ()):
        yield from panels_of(item["content"])


def test_the_scene_holds_the_meshes(received):
    scene = decoded(received[foxglove_server.SCENE])
    assert [entity.id for entity in scene.entities] == ["hand_right", "hand_left"]
    for entity, made in zip(scene.entities, HANDS, strict=True):
        assert entity.frame_id == "camera_optical"
        assert (entity.timestamp.seconds, entity.timestamp.nanos) == (12, 345)
        (mesh,) = entity.triangles
        points = [[point.x, point.y, point.z] for point in mesh.points]
        np.testing.assert_allclose(points, made.vertices_m, rtol=1e-12)
        left = made.handedness is Handedness.LEFT
        outward = FACES[:, ::-1] if left else FACES
        assert list(mesh.indices) == outward.ravel().tolist()
        assert len(entity.lines[0].points) == len(entity.lines[0].colors) == 40


def test_image_camera_state_and_frame(received):
    image = decoded(received[foxglove_server.IMAGE])
    picture = cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert image.format == "jpeg" and np.abs(picture.astype(int) - PICTURE).max() < 12
    info = decoded(received[foxglove_server.CAMERA])
    np.testing.assert_allclose(np.reshape(info.K, (3, 3)), camera().matrix)
    state = json.loads(base64.b64decode(received[foxglove_server.STATE]["data"]))
    assert [one["id"] for one in state["hands"]] == [3, 5]
    assert state["hands"][1]["depth_m"] == pytest.approx(0.9)
    assert state["hands"][0]["sigma_m"] == pytest.approx(np.sqrt(9e-5))
    frame = decoded(received[foxglove_server.FRAMES])
    assert (frame.parent_frame_id, frame.child_frame_id) == ("camera_upright", "camera_optical")
    turn = frame.rotation
    # z forward and y down become x forward and z up.
    from scipy.spatial.transform import Rotation

    rotation = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w])
    np.testing.assert_allclose(rotation.apply([0, 0, 1]), [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(rotation.apply([0, 1, 0]), [0, 0, -1], atol=1e-12)


def test_a_taken_port_is_one_clear_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1:{port}.*in use.*name another"):
            FoxgloveServer(port=port)
