"""Uncertainty, grasps, point clouds and collision objects as messages, without a node."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
from rclpy.serialization import deserialize_message, serialize_message
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.grasping.observer import GraspObserver
from cmr_ros.grasping.states import GraspState
from cmr_ros.msg import HandCollisionArray, HandGrasp, HandGraspArray, HandMesh
from cmr_ros.ros.ellipsoids import JointMarkers
from cmr_ros.ros.grasp_messages import to_grasp_array
from cmr_ros.ros.messages import to_hand_mesh
from cmr_ros.ros.planning import CollisionMeshes, to_points
from support.made_up_hands import hand
from support.posed_hands import CLOSED, OPEN, as_hand, posed


def xyz(vector) -> list[float]:
    return [vector.x, vector.y, vector.z]


def turn(quaternion) -> np.ndarray:
    return Rotation.from_quat([*xyz(quaternion), quaternion.w]).as_matrix()


def test_every_joint_has_a_covariance():
    made = hand()
    message = deserialize_message(serialize_message(to_hand_mesh(made)), HandMesh)
    found = np.reshape(message.joint_covariances, (21, 3, 3))
    np.testing.assert_allclose(found, made.joint_covariances_m2, rtol=1e-6)
    np.testing.assert_allclose(found[0].ravel(), message.root_covariance, rtol=1e-6)
    assert message.hand_length_m == pytest.approx(0.186)
    assert message.hand_length_deviation_m == pytest.approx(0.012)


def test_ellipsoids_hold_ninety_percent_of_what_a_covariance_describes():
    made = hand()
    message = JointMarkers()([made], Header(frame_id="camera"))
    markers = deserialize_message(message, MarkerArray).markers
    assert markers[0].action == Marker.DELETEALL and len(markers) == 22
    tip = markers[1 + 20]
    assert tip.type == Marker.SPHERE and tip.ns == "hand_right" and tip.color.a < 1
    np.testing.assert_allclose(xyz(tip.pose.position), made.joints_m[20])
    drawn = np.random.default_rng(0).multivariate_normal(
        np.zeros(3), made.joint_covariances_m2[20], 4000
    )
    inside = np.linalg.norm(drawn @ turn(tip.pose.orientation) * 2 / xyz(tip.scale), axis=1) <= 1
    assert inside.mean() == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("side", [Handedness.RIGHT, Handedness.LEFT])
def test_clouds_hold_vertices_and_outward_normals(side, hand_model, shipped_template):
    faces = shipped_template.faces[0]
    made = as_hand(posed(hand_model, *[OPEN] * 4), left=side is Handedness.LEFT)
    header = Header(frame_id="camera")
    cloud = to_points([made, made], header, faces)
    cloud = deserialize_message(serialize_message(cloud), PointCloud2)
    assert cloud.header == header and cloud.is_dense and not cloud.is_bigendian
    kinds = {PointField.FLOAT32: "<f4", PointField.UINT32: "<u4"}
    layout = {field.name: (kinds[field.datatype], field.offset) for field in cloud.fields}
    points = np.frombuffer(cloud.data, np.dtype(layout))
    assert len(points) == cloud.width == 2 * len(made.vertices_m)
    assert cloud.row_step == cloud.width * cloud.point_step == len(cloud.data)
    found = np.stack([points[name] for name in "xyz"], axis=1)
    np.testing.assert_allclose(found, np.tile(made.vertices_m, (2, 1)), atol=1e-6)
    assert points["hand"].tolist() == [0] * (cloud.width // 2) + [1] * (cloud.width // 2)
    normals = np.stack([points[f"normal_{name}"] for name in "xyz"], axis=1)[: cloud.width // 2]
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    place = made.vertices_m - made.vertices_m.mean(0)
    volume, swollen = (abs(np.linalg.det(v[faces]).sum()) for v in (place, place + 1e-3 * normals))
    assert swollen > 1.05 * volume, "normals point out"
    assert to_points([], header, faces).width == 0


@pytest.mark.parametrize("side", [Handedness.RIGHT, Handedness.LEFT])
def test_collision_objects_are_where_the_hand_is(side, shipped_template):
    made = hand(handedness=side)
    rest = shipped_template.vertices[0].astype(float) * (
        [1, 1, -1] if side is Handedness.LEFT else [1, 1, 1]
    )
    vertices = rest + [0.02, -0.03, 0.6]
    made = replace(made, vertices_m=vertices, joints_m=shipped_template.joints(vertices))
    header = Header(frame_id="camera")
    message = CollisionMeshes(shipped_template)([made], header)
    (found,) = deserialize_message(message, HandCollisionArray).hands
    assert (found.track_id, found.handedness) == (made.track_id, side)
    assert len(found.mesh.vertices) == 200 and len(found.mesh.triangles) == 396
    local = np.array([xyz(vertex) for vertex in found.mesh.vertices])
    placed = local @ turn(found.pose.orientation).T + xyz(found.pose.position)
    away = np.linalg.norm(placed[:, None] - vertices, axis=-1).min(axis=1)
    assert away.max() < 1e-6, "vertices of the mesh itself"
    triangles = np.array([triangle.vertex_indices for triangle in found.mesh.triangles])
    volume = np.linalg.det(placed[triangles] - placed.mean(0)).sum() / 6
    whole = abs(np.linalg.det(vertices[shipped_template.faces[0]] - vertices.mean(0)).sum() / 6)
    assert 0.8 * whole < volume < 1.1 * whole, "closed, with triangles that look outwards"


def test_grasps_say_what_hands_do(hand_model):
    a = as_hand(posed(hand_model, *[OPEN] * 4), track_id=4)
    b = as_hand(posed(hand_model, *[CLOSED] * 4), (0.2, 0, 0.5), left=True, track_id=9)
    header = Header(frame_id="camera")
    grasps, pairs = GraspObserver()([a, b], 1.0)
    message = to_grasp_array(grasps, pairs, header)
    message = deserialize_message(serialize_message(message), HandGraspArray)
    assert message.header == header
    first, second = message.hands
    assert (first.track_id, first.handedness, first.state) == (4, Handedness.RIGHT, HandGrasp.OPEN)
    assert second.handedness == Handedness.LEFT and second.flexion[2] > 0.9
    assert first.palm_pose == to_hand_mesh(a).palm_pose
    tips = np.array(xyz(first.pinch_point)) + np.outer(
        [-first.pinch_opening_m / 2, first.pinch_opening_m / 2], xyz(first.pinch_axis)
    )
    np.testing.assert_allclose(tips, a.joints_m[[4, 8]], atol=1e-6)
    (distance,) = message.distances
    assert (distance.track_id_a, distance.track_id_b) == (4, 9)
    between = np.subtract(xyz(distance.nearest_a), xyz(distance.nearest_b))
    assert distance.distance_m == pytest.approx(np.linalg.norm(between))
    named = {state.name: int(state) for state in GraspState}
    assert named == {name: getattr(HandGrasp, name) for name in named}
