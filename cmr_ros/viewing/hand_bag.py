"""Writes what was found to an MCAP, in the messages of the node, without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmr_ros.files.bag import BagWriter, Messages
from cmr_ros.files.playback import IMAGE_TOPIC, INFO_TOPIC
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.frames import joint_rotations, palm_pose, quaternions
from cmr_ros.geometry.skeleton import BONES, JOINT_NAMES, JOINT_PARENTS
from cmr_ros.hand import Hand, frame_names
from cmr_ros.model.template import HandTemplate
from cmr_ros.sources import SourceImage
from cmr_ros.viewing.drawing import MESH_COLORS, outward_faces

#: What the node publishes with the demonstration's recording, in the same places.
_NODE = "/camera/hand_node"
_FRAME_ID = "camera_optical_frame"
_JPEG_QUALITY = 90
_TRIANGLE_LIST, _LINE_LIST, _ADD, _DELETE_ALL = 11, 5, 0, 3


class HandBag:
    """Writes images, their camera and hands (HandMeshArray, markers, /tf) to an MCAP file.

    A context manager.  Raises InputError for a file that cannot be written.
    """

    def __init__(self, path: Path, template: HandTemplate):
        self._bag = BagWriter(path)
        self._template = template
        self._has_topology = False

    def __enter__(self) -> HandBag:
        return self

    def __exit__(self, *error: Any) -> None:
        """Finish the file."""
        self._bag.__exit__(*error)

    def add(self, image: SourceImage, camera: Camera, hands: Sequence[Hand]) -> None:
        """Add an image and the hands found in it."""
        messages = Messages(self._bag.store, image.stamp_ns, _FRAME_ID)
        sent = {INFO_TOPIC: messages.camera_info(camera)}
        sent[IMAGE_TOPIC] = messages.picture(image.picture, _JPEG_QUALITY)
        if not self._has_topology:
            sent[f"{_NODE}/topology"] = topology(messages, self._template)
            self._has_topology = True
        sent[f"{_NODE}/hands"] = hand_array(messages, hands)
        sent[f"{_NODE}/markers"] = self._markers(messages, hands)
        sent["/tf"] = messages.new("tf2_msgs/msg/TFMessage", transforms(messages, hands))
        for topic, message in sent.items():
            self._bag.write(topic, message, image.stamp_ns)

    def _markers(self, messages: Messages, hands: Sequence[Hand]) -> Any:
        markers = [_marker(messages, "", 0, 0, (0, 0, 0), 0.0, [], _DELETE_ALL)]
        for number, hand in enumerate(hands):
            color = MESH_COLORS[hand.handedness]
            corners = hand.vertices_m[outward_faces(self._template, hand).ravel()]
            ends = hand.joints_m[np.ravel(BONES)]
            for name, kind, scale_m, positions in (
                ("mesh", _TRIANGLE_LIST, 1.0, corners),
                ("bones", _LINE_LIST, 0.003, ends),
            ):
                at = messages.points(positions)
                markers.append(_marker(messages, name, number, kind, color, scale_m, at, _ADD))
        return messages.new("visualization_msgs/msg/MarkerArray", markers)


def hand_array(messages: Messages, hands: Sequence[Hand]) -> Any:
    """Return a cmr_ros/HandMeshArray."""
    return messages.new(
        "cmr_ros/msg/HandMeshArray", messages.header, [_hand_mesh(messages, hand) for hand in hands]
    )


def _hand_mesh(messages: Messages, hand: Hand) -> Any:
    origin, rotation = palm_pose(hand.joints_m, hand.handedness)
    (palm,) = messages.points(origin[None])
    return messages.new(
        "cmr_ros/msg/HandMesh",
        track_id=hand.track_id,
        handedness=int(hand.handedness),
        score=float(hand.score),
        joints=messages.points(hand.joints_m),
        joint_confidence=np.asarray(hand.joint_confidence, np.float32),
        vertices=np.asarray(hand.vertices_m, np.float32).ravel(),
        root_covariance=np.asarray(hand.root_covariance_m2, np.float64).ravel(),
        joint_covariances=np.asarray(hand.joint_covariances_m2, np.float32).ravel(),
        hand_length_m=float(hand.length_m),
        hand_length_deviation_m=float(hand.length_deviation_m),
        reprojection_rms_px=float(hand.rms_px),
        registration=hand.registration,
        region_center_x_px=float(hand.region.center_px[0]),
        region_center_y_px=float(hand.region.center_px[1]),
        region_rotation_rad=float(hand.region.rotation_rad),
        region_size_px=float(hand.region.size_px),
        palm_pose=messages.new("geometry_msgs/msg/Pose", palm, _turn(messages, rotation)),
    )


def topology(messages: Messages, template: HandTemplate) -> Any:
    """Return a cmr_ros/HandTopology."""
    return messages.new(
        "cmr_ros/msg/HandTopology",
        template_name=str(template.name),
        faces=np.asarray(template.faces[0], np.uint32).ravel(),
        joint_names=list(JOINT_NAMES),
        joint_parents=np.asarray(JOINT_PARENTS, np.int8),
    )


def transforms(messages: Messages, hands: Sequence[Hand]) -> list[Any]:
    """Return 21 geometry_msgs/TransformStamped a hand, named as the node names them."""
    made = []
    for name, hand in zip(frame_names(hands), hands, strict=True):
        turns = joint_rotations(hand.joints_m, hand.handedness)
        for joint, position, turn in zip(JOINT_NAMES, hand.joints_m, turns, strict=True):
            shift = messages.new("geometry_msgs/msg/Vector3", *position.tolist())
            pose = messages.new("geometry_msgs/msg/Transform", shift, _turn(messages, turn))
            child = f"{name}/{joint}"
            made.append(
                messages.new("geometry_msgs/msg/TransformStamped", messages.header, child, pose)
            )
    return made


def _turn(messages: Messages, rotation: np.ndarray) -> Any:
    return messages.new("geometry_msgs/msg/Quaternion", *quaternions(rotation).tolist())


def _marker(
    messages: Messages,
    name: str,
    number: int,
    kind: int,
    color: tuple[int, int, int],
    scale_m: float,
    points: list[Any],
    action: int,
) -> Any:
    new = messages.new
    upright = new("geometry_msgs/msg/Quaternion", 0.0, 0.0, 0.0, 1.0)
    return new(
        "visualization_msgs/msg/Marker",
        header=messages.header,
        ns=name,
        id=number,
        type=kind,
        action=action,
        pose=new("geometry_msgs/msg/Pose", new("geometry_msgs/msg/Point", 0.0, 0.0, 0.0), upright),
        scale=new("geometry_msgs/msg/Vector3", scale_m, scale_m, scale_m),
        color=new("std_msgs/msg/ColorRGBA", *(channel / 255 for channel in color), 1.0),
        lifetime=new("builtin_interfaces/msg/Duration", 0, 0),
        frame_locked=False,
        points=points,
        colors=[],
        texture_resource="",
        texture=new("sensor_msgs/msg/CompressedImage", messages.header, "", np.zeros(0, np.uint8)),
        uv_coordinates=[],
        text="",
        mesh_resource="",
        mesh_file=new("visualization_msgs/msg/MeshFile", "", np.zeros(0, np.uint8)),
        mesh_use_embedded_materials=False,
    )
