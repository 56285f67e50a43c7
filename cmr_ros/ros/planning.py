"""Hands for motion planning: a point cloud with normals, and collision objects."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point
from sensor_msgs.msg import PointCloud2, PointField
from shape_msgs.msg import Mesh, MeshTriangle
from std_msgs.msg import Header

from cmr_ros.geometry.frames import palm_pose
from cmr_ros.geometry.mesh import vertex_normals
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand import Hand
from cmr_ros.model.template import HandTemplate
from cmr_ros.msg import HandCollision, HandCollisionArray
from cmr_ros.ros.grasp_messages import to_pose

#: One point of the cloud: x y z, unit normal, and the hand's index in ~/hands, from 0.
POINT = np.dtype(
    [(name, "<f4") for name in ("x", "y", "z", "normal_x", "normal_y", "normal_z")]
    + [("hand", "<u4")]
)
_KINDS = {"<f4": PointField.FLOAT32, "<u4": PointField.UINT32}
_FIELDS = [
    PointField(name=name, offset=offset, datatype=_KINDS[kind.str], count=1)
    for name, (kind, offset) in POINT.fields.items()
]
#: The template's level for collision objects: a quarter of the vertices.
_COLLISION_LEVEL = 2


def to_points(hands: Sequence[Hand], header: Header, faces: np.ndarray) -> PointCloud2:
    """Return all vertices of the picture with this header, with normals, in metres.

    Args:
        hands: the picture's.
        header: the picture's.
        faces: (F, 3) of the template.
    """
    clouds = []
    for index, hand in enumerate(hands):
        cloud = np.empty(len(hand.vertices_m), POINT)
        normals = vertex_normals(hand.vertices_m, _outward(faces, hand.handedness))
        for names, columns in (("xyz", hand.vertices_m), (POINT.names[3:6], normals)):
            for name, column in zip(names, columns.T, strict=True):
                cloud[name] = column
        cloud["hand"] = index
        clouds.append(cloud)
    points = np.concatenate(clouds) if clouds else np.empty(0, POINT)
    message = PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=_FIELDS,
        point_step=POINT.itemsize,
        row_step=points.nbytes,
        is_dense=True,
    )
    message.data = array("B", points.tobytes())
    return message


class CollisionMeshes:
    """Builds collision objects from a coarser level of the template."""

    def __init__(self, template: HandTemplate):
        """Take the hands' template."""
        level = min(_COLLISION_LEVEL, len(template.vertices) - 1)
        self._down = template.down[:level]
        faces = template.faces[level]
        self._triangles = {
            side: [
                MeshTriangle(vertex_indices=face)
                for face in _outward(faces, side).astype(np.uint32)
            ]
            for side in Handedness
        }

    def __call__(self, hands: Sequence[Hand], header: Header) -> HandCollisionArray:
        """Return the hands of the picture with this header."""
        return HandCollisionArray(header=header, hands=[self._hand(hand) for hand in hands])

    def _hand(self, hand: Hand) -> HandCollision:
        origin_m, rotation = palm_pose(hand.joints_m, hand.handedness)
        vertices_m = hand.vertices_m
        for row, column, value in self._down:
            coarse_m = np.zeros((int(row.max()) + 1, 3))
            np.add.at(coarse_m, row, value[:, None] * vertices_m[column])
            vertices_m = coarse_m
        points = ((vertices_m - origin_m) @ rotation).tolist()
        return HandCollision(
            track_id=hand.track_id,
            handedness=int(hand.handedness),
            pose=to_pose(origin_m, rotation),
            mesh=Mesh(
                vertices=[Point(x=x, y=y, z=z) for x, y, z in points],
                triangles=self._triangles[hand.handedness],
            ),
        )


def _outward(faces: np.ndarray, side: Handedness) -> np.ndarray:
    """Return triangles (F, 3) counter-clockwise seen from outside: left hands are mirrored."""
    return faces[:, ::-1] if side is Handedness.LEFT else faces
