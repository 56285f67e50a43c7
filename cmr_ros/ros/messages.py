"""From hands to ROS messages, and from CameraInfo to a camera: pure functions."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from geometry_msgs.msg import Point, Quaternion
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from cmr_ros.files.playback import FoundHand
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.frames import palm_pose, quaternions
from cmr_ros.geometry.skeleton import JOINT_NAMES, JOINT_PARENTS, Handedness
from cmr_ros.hand import Hand
from cmr_ros.model.template import HandTemplate
from cmr_ros.msg import HandMesh, HandMeshArray, HandTopology


def to_hand_mesh(hand: Hand) -> HandMesh:
    """Return one hand as a message; its frame is the picture's."""
    message = HandMesh(
        track_id=hand.track_id,
        handedness=int(hand.handedness),
        score=float(hand.score),
        joints=[Point(x=x, y=y, z=z) for x, y, z in hand.joints_m.tolist()],
        joint_confidence=np.asarray(hand.joint_confidence, np.float32),
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
    )
    # Flat arrays of bytes cost a hundredth of lists or arrays of points.
    message.vertices = array("f", np.ascontiguousarray(hand.vertices_m, np.float32).tobytes())
    origin, rotation = palm_pose(hand.joints_m, hand.handedness)
    message.palm_pose.position = Point(**xyz(origin))
    message.palm_pose.orientation = to_quaternion(quaternions(rotation))
    return message


def to_hand_array(hands: Sequence[Hand], header: Header) -> HandMeshArray:
    """Return all hands of the picture with this header."""
    return HandMeshArray(header=header, hands=[to_hand_mesh(hand) for hand in hands])


def to_found_hand(message: HandMesh) -> FoundHand:
    """Return a hand as its listeners see it; ValueError where the message is malformed."""
    return FoundHand(
        track_id=message.track_id,
        handedness=Handedness(message.handedness),
        score=message.score,
        joints_m=np.array([[joint.x, joint.y, joint.z] for joint in message.joints]),
        vertices_m=np.reshape(message.vertices, (-1, 3)),
        root_covariance_m2=np.reshape(message.root_covariance, (3, 3)),
    )


def to_topology(template: HandTemplate) -> HandTopology:
    """Return what a listener must know to draw the vertices: faces and joints."""
    message = HandTopology(
        template_name=str(template.name),
        joint_names=list(JOINT_NAMES),
        joint_parents=list(JOINT_PARENTS),
    )
    message.faces = array("I", np.ascontiguousarray(template.faces[0], np.uint32).tobytes())
    return message


def to_camera(info: CameraInfo, rectified: bool) -> Camera:
    """Return the camera a CameraInfo describes; InputError when it describes none (REP-104)."""
    roi = info.roi
    return _camera(
        info.width,
        info.height,
        tuple(info.k),
        tuple(info.d),
        info.distortion_model,
        tuple(info.p),
        (info.binning_x, info.binning_y),
        (roi.x_offset, roi.y_offset),
        (roi.width, roi.height),
        rectified,
    )


#: A camera repeats its calibration with each image, and a lens takes a while to tabulate.
_camera = lru_cache(maxsize=8)(Camera.from_calibration)


def xyz(vector: np.ndarray) -> dict[str, float]:
    """Return a vector (3,) as the entries of a Point or Vector3."""
    return dict(zip("xyz", vector.tolist(), strict=True))


def to_quaternion(q: np.ndarray) -> Quaternion:
    """Return the message of a quaternion (4,) x, y, z, w."""
    x, y, z, w = q.tolist()
    return Quaternion(x=x, y=y, z=z, w=w)
