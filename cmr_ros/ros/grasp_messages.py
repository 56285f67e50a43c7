"""From what hands do to messages for grasping: pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point, Pose, Vector3
from std_msgs.msg import Header

from cmr_ros.geometry.frames import quaternions
from cmr_ros.grasping.observer import Grasp, HandPair
from cmr_ros.msg import HandDistance, HandGrasp, HandGraspArray
from cmr_ros.ros.messages import to_quaternion, xyz


def to_grasp_array(
    grasps: Sequence[Grasp], pairs: Sequence[HandPair], header: Header
) -> HandGraspArray:
    """Return what the hands of the picture with this header do."""
    return HandGraspArray(
        header=header,
        hands=[to_grasp(grasp) for grasp in grasps],
        distances=[to_distance(pair) for pair in pairs],
    )


def to_grasp(grasp: Grasp) -> HandGrasp:
    """Return one hand as a message; its frame is the picture's."""
    return HandGrasp(
        track_id=grasp.track_id,
        handedness=int(grasp.handedness),
        palm_pose=to_pose(grasp.palm_m, grasp.palm_rotation),
        palm_velocity=Vector3(**xyz(grasp.palm_velocity_m_s)),
        pinch_point=Point(**xyz(grasp.pinch.point_m)),
        pinch_axis=Vector3(**xyz(grasp.pinch.axis)),
        pinch_opening_m=float(grasp.pinch.opening_m),
        aperture_m=grasp.aperture_m,
        flexion=np.asarray(grasp.flexion, np.float32),
        state=int(grasp.state),
        state_probability=grasp.state_probability,
    )


def to_distance(pair: HandPair) -> HandDistance:
    """Return how near two hands are as a message; its frame is the picture's."""
    return HandDistance(
        track_id_a=pair.track_ids[0],
        track_id_b=pair.track_ids[1],
        distance_m=pair.distance_m,
        nearest_a=Point(**xyz(pair.points_m[0])),
        nearest_b=Point(**xyz(pair.points_m[1])),
    )


def to_pose(position_m: np.ndarray, rotation: np.ndarray) -> Pose:
    """Return the pose of an origin (3,) in metres and a rotation (3, 3)."""
    return Pose(position=Point(**xyz(position_m)), orientation=to_quaternion(quaternions(rotation)))
