"""The uncertainty of joints for RViz: an ellipsoid that holds each with 90 % probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from cmr_ros.geometry.covariance import ellipsoids_90
from cmr_ros.geometry.frames import quaternions
from cmr_ros.hand import Hand, frame_names
from cmr_ros.ros.messages import to_quaternion, xyz
from cmr_ros.viewing.drawing import MESH_COLORS

_LIFETIME = Duration(sec=1)
#: Ellipsoids lie inside each other: along the line of sight they are long.
_ALPHA = 0.25


def to_joint_markers(hands: Sequence[Hand], header: Header) -> MarkerArray:
    """Return markers that replace all earlier ones, one per joint of each hand."""
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for name, hand in zip(frame_names(hands), hands, strict=True):
        diameters_m, rotations = ellipsoids_90(hand.joint_covariances_m2)
        red, green, blue = np.divide(MESH_COLORS[hand.handedness], 255).tolist()
        parts = zip(hand.joints_m, diameters_m, quaternions(rotations), strict=True)
        for joint, (position_m, diameter_m, quaternion) in enumerate(parts):
            marker = Marker(header=header, ns=name, id=joint, type=Marker.SPHERE)
            marker.action, marker.lifetime = Marker.ADD, _LIFETIME
            marker.pose.position = Point(**xyz(position_m))
            marker.pose.orientation = to_quaternion(quaternion)
            marker.scale = Vector3(**xyz(diameter_m))
            marker.color = ColorRGBA(r=red, g=green, b=blue, a=_ALPHA)
            markers.append(marker)
    return MarkerArray(markers=markers)
