"""Serves images and hands to Foxglove (package `foxglove-sdk`)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files import share
from cmr_ros.files.playback import FoundHand
from cmr_ros.geometry.skeleton import BONES, Handedness
from cmr_ros.hand import Hand, frame_names
from cmr_ros.viewing.drawing import FINGER_COLORS, MESH_COLORS
from cmr_ros.viewing.shown import ShownImage, depth_sigma_m

PORT = 8765
#: Topics; config/foxglove_layout.json shows them.
IMAGE, SCENE, STATE = "/hands/image", "/hands/scene", "/hands/state"
CAMERA, FRAMES = "/hands/camera", "/hands/frames"
#: At the camera, with z up, whatever the camera's own frame is called.
UPRIGHT = "camera_upright"
_JPEG_QUALITY = 80
#: A client that is slower loses the oldest of so many messages.
_BACKLOG = 16
#: A server that dies leaves no hand hanging in the air.
_LIFETIME_S = 1
_NUMBER = {"type": "number"}
_STATE_SCHEMA = {
    "title": "cmr_ros.HandState",
    "type": "object",
    "properties": {
        "hands": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "id": {"type": "integer"},
                    "depth_m": _NUMBER,
                    "sigma_m": _NUMBER,
                    "confidence": _NUMBER,
                },
            },
        }
    },
}


class FoxgloveServer:
    """A WebSocket server that Foxglove connects to; it offers topics and takes nothing.

    Raises InputError where foxglove-sdk is not installed or the port is taken.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = PORT):
        """Take the address to listen on (0.0.0.0: all), and the port (0: any)."""
        try:
            import foxglove
            from foxglove import channels
        except ModuleNotFoundError as error:
            raise InputError(
                "viewer foxglove needs foxglove-sdk: pip install foxglove-sdk"
            ) from error
        self._messages: Any = foxglove.messages
        # Its channels close when it is let go.
        self._context = context = foxglove.Context()
        self._image = channels.CompressedImageChannel(IMAGE, context=context)
        self._scene = channels.SceneUpdateChannel(SCENE, context=context)
        self._calibration = channels.CameraCalibrationChannel(CAMERA, context=context)
        self._state = foxglove.Channel(STATE, schema=_STATE_SCHEMA, context=context)
        self._frames = channels.FrameTransformChannel(FRAMES, context=context)
        self._channels = (self._image, self._scene, self._state)
        try:
            self._server = foxglove.start_server(
                name="cmr_ros", host=host, port=port, context=context, message_backlog_size=_BACKLOG
            )
        except RuntimeError as error:
            raise InputError(
                f"Foxglove cannot be served on {host}:{port}: {error}; name another address or "
                "port, or end what uses it"
            ) from error
        layout = share.find("config", "foxglove_layout.json")
        self.port = self._server.port
        self.invitation = (
            f"In Foxglove open ws://{host}:{self.port} and import the layout {layout}."
        )

    @property
    def is_watched(self) -> bool:
        """Whether a client listens to a topic."""
        return any(channel.has_sinks() for channel in self._channels)

    def show(self, image: ShownImage) -> None:
        """Publish an image, its hands in 3D, and what is known of them."""
        m = self._messages
        stamp = m.Timestamp(*divmod(image.stamp_ns, 10**9))
        time = {"timestamp": stamp, "frame_id": image.frame_id}
        if self._image.has_sinks():
            bgr = cv2.cvtColor(image.picture, cv2.COLOR_RGB2BGR)
            jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
            self._image.log(m.CompressedImage(**time, data=jpeg.tobytes(), format="jpeg"))
        if self._calibration.has_sinks() and image.camera:
            size = {"width": image.camera.width, "height": image.camera.height}
            k = image.camera.matrix
            p = np.hstack([k, np.zeros((3, 1))]).ravel().tolist()
            self._calibration.log(m.CameraCalibration(**time, **size, K=k.ravel().tolist(), P=p))
        # From an optical frame (z forward, y down) to x forward and z up.
        turn = m.Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5)
        self._frames.log(
            m.FrameTransform(
                timestamp=stamp,
                parent_frame_id=UPRIGHT,
                child_frame_id=image.frame_id,
                rotation=turn,
            )
        )
        names = frame_names(image.hands)
        if self._scene.has_sinks():
            entities = [
                self._entity(name, hand, image.faces, time)
                for name, hand in zip(names, image.hands, strict=True)
            ]
            gone = m.SceneEntityDeletion(type=m.SceneEntityDeletionType.All)
            self._scene.log(m.SceneUpdate(deletions=[gone], entities=entities))
        if self._state.has_sinks():
            states = [_state(name, hand) for name, hand in zip(names, image.hands, strict=True)]
            self._state.log({"hands": states})

    def close(self) -> None:
        """Stop the server."""
        self._server.stop()

    def _entity(self, name: str, hand: Hand | FoundHand, faces: np.ndarray, time: dict) -> Any:
        m = self._messages
        outward = faces[:, ::-1] if hand.handedness is Handedness.LEFT else faces
        color = _color(m, MESH_COLORS[hand.handedness])
        mesh = m.TriangleListPrimitive(
            points=_points(m, hand.vertices_m), color=color, indices=outward.ravel().tolist()
        )
        bones = m.LinePrimitive(
            type=m.LinePrimitiveLineType.LineList,
            thickness=0.003,
            points=_points(m, hand.joints_m[np.ravel(BONES)]),
            colors=[_color(m, FINGER_COLORS[end // 8]) for end in range(2 * len(BONES))],
        )
        lifetime = m.Duration(_LIFETIME_S)
        return m.SceneEntity(**time, id=name, lifetime=lifetime, triangles=[mesh], lines=[bones])


def _points(m: Any, positions_m: np.ndarray) -> list:
    return [m.Point3(x=x, y=y, z=z) for x, y, z in np.asarray(positions_m, float).tolist()]


def _color(m: Any, rgb: tuple[int, int, int]) -> Any:
    red, green, blue = (channel / 255 for channel in rgb)
    return m.Color(r=red, g=green, b=blue, a=1.0)


def _state(name: str, hand: Hand | FoundHand) -> dict[str, Any]:
    return {
        "name": name,
        "id": hand.track_id,
        "depth_m": float(hand.joints_m[0, 2]),
        "sigma_m": depth_sigma_m(hand),
        "confidence": float(hand.score),
    }
