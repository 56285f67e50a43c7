"""The uncertainty of joints for RViz: an ellipsoid that holds each with 90 % probability."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from builtin_interfaces.msg import Duration
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from cmr_ros.geometry.covariance import ellipsoids_90
from cmr_ros.geometry.frames import quaternions
from cmr_ros.geometry.skeleton import JOINT_PARENTS, Handedness
from cmr_ros.hand import Hand, frame_names
from cmr_ros.ros.stencil import SIZED_POSE, Stencil, open_header, open_pose, open_size
from cmr_ros.viewing.drawing import MESH_COLORS

_LIFETIME = Duration(sec=1)
#: Ellipsoids lie inside each other: along the line of sight they are long.
_ALPHA = 0.25


class JointMarkers:
    """Builds the ellipsoids of each image's hands, serialised, as `Publisher.publish` takes it."""

    def __init__(self) -> None:
        self._stencil = lru_cache(maxsize=4)(_make_stencil)

    def __call__(self, hands: Sequence[Hand], header: Header) -> bytes:
        """Return a MarkerArray that replaces all earlier ones, a marker per joint of each hand."""
        sides = tuple(hand.handedness for hand in hands)
        stencil = self._stencil(header.frame_id, sides, tuple(frame_names(hands)))
        return stencil.filled(header.stamp, [row for hand in hands for row in _ellipsoids(hand)])


def _make_stencil(frame_id: str, sides: Sequence[Handedness], names: Sequence[str]) -> Stencil:
    header = open_header(frame_id)
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for side, name in zip(sides, names, strict=True):
        red, green, blue = np.divide(MESH_COLORS[side], 255).tolist()
        for joint in range(len(JOINT_PARENTS)):
            marker = Marker(header=header, ns=name, id=joint, type=Marker.SPHERE)
            marker.action, marker.lifetime = Marker.ADD, _LIFETIME
            marker.pose, marker.scale = open_pose(), open_size()
            marker.color = ColorRGBA(r=red, g=green, b=blue, a=_ALPHA)
            markers.append(marker)
    return Stencil(MarkerArray(markers=markers), [(SIZED_POSE, 1)] * (len(markers) - 1))


def _ellipsoids(hand: Hand) -> np.ndarray:
    """Return position, orientation x y z w and diameters of the joints' ellipsoids (21, 10)."""
    diameters_m, rotations = ellipsoids_90(hand.joint_covariances_m2)
    return np.hstack([hand.joints_m, quaternions(rotations), diameters_m])
