"""Hands for motion planning: a point cloud with normals, and collision objects."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from shape_msgs.msg import Mesh, MeshTriangle
from std_msgs.msg import Header

from cmr_ros.geometry.frames import palm_pose, quaternions
from cmr_ros.geometry.mesh import vertex_normals
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand import Hand
from cmr_ros.model.template import HandTemplate
from cmr_ros.msg import HandCollision, HandCollisionArray
from cmr_ros.ros.stencil import POSE, XYZ, Stencil, open_header, open_point, open_pose

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
    """Builds collision objects from a coarser level of the template, serialised."""

    def __init__(self, template: HandTemplate):
        """Take the hands' template."""
        level = min(_COLLISION_LEVEL, len(template.vertices) - 1)
        self._faces = template.faces[level]
        self._coarsen = np.eye(len(template.vertices[0]))
        for (row, column, value), coarse in zip(
            template.down[:level], template.vertices[1 : level + 1], strict=True
        ):
            step = np.zeros((len(coarse), len(self._coarsen)))
            np.add.at(step, (row, column), value)
            self._coarsen = step @ self._coarsen
        self._stencil = lru_cache(maxsize=4)(self._make_stencil)

    def __call__(self, hands: Sequence[Hand], header: Header) -> bytes:
        """Return a HandCollisionArray of the picture's hands, as `Publisher.publish` takes it."""
        layout = tuple((hand.track_id, hand.handedness) for hand in hands)
        numbers = [part for hand in hands for part in self._numbers(hand)]
        return self._stencil(header.frame_id, layout).filled(header.stamp, numbers)

    def _make_stencil(self, frame_id: str, layout: Sequence[tuple[int, Handedness]]) -> Stencil:
        count = len(self._coarsen)
        hands = [
            HandCollision(
                track_id=track_id,
                handedness=int(side),
                pose=open_pose(),
                mesh=Mesh(
                    vertices=[open_point()] * count,
                    triangles=[
                        MeshTriangle(vertex_indices=face)
                        for face in _outward(self._faces, side).astype(np.uint32)
                    ],
                ),
            )
            for track_id, side in layout
        ]
        message = HandCollisionArray(header=open_header(frame_id), hands=hands)
        return Stencil(message, [(POSE, 1), (XYZ, count)] * len(hands))

    def _numbers(self, hand: Hand) -> tuple[np.ndarray, np.ndarray]:
        """Return the palm's pose (7,), and vertices (n, 3) in its frame."""
        origin_m, rotation = palm_pose(hand.joints_m, hand.handedness)
        pose = np.concatenate([origin_m, quaternions(rotation)])
        return pose, (self._coarsen @ hand.vertices_m - origin_m) @ rotation


def _outward(faces: np.ndarray, side: Handedness) -> np.ndarray:
    """Return triangles (F, 3) counter-clockwise seen from outside: left hands are mirrored."""
    return faces[:, ::-1] if side is Handedness.LEFT else faces
