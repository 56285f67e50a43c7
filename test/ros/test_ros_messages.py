"""From hands to messages and from CameraInfo to a camera, without a node."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cmr_ros.msg", reason="the messages are not generated; `make setup`")
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from cmr_ros.errors import InputError
from cmr_ros.geometry.frames import joint_rotations, palm_pose
from cmr_ros.geometry.skeleton import JOINT_NAMES, JOINT_PARENTS, Handedness
from cmr_ros.msg import HandMesh, HandMeshArray
from cmr_ros.ros.markers import HandMarkers
from cmr_ros.ros.messages import (
    to_camera,
    to_hand_array,
    to_hand_mesh,
    to_topology,
)
from cmr_ros.ros.transforms import HandTransforms
from cmr_ros.viewing.drawing import MESH_COLORS, shades
from support.made_up_hands import hand

HEADER = Header(frame_id="camera_optical")
HEADER.stamp.sec, HEADER.stamp.nanosec = 12, 345
FACES = np.array([[0, 1, 2], [2, 1, 3], [99, 3, 1]], np.int32)


def xyz(vector) -> list[float]:
    return [vector.x, vector.y, vector.z]


def turn(quaternion) -> np.ndarray:
    return Rotation.from_quat([*xyz(quaternion), quaternion.w]).as_matrix()


def test_hand_mesh_says_what_the_hand_says():
    made = hand()
    message = deserialize_message(serialize_message(to_hand_mesh(made)), HandMesh)
    assert (message.track_id, message.handedness) == (3, HandMesh.HANDEDNESS_RIGHT)
    assert (message.score, message.reprojection_rms_px) == (0.875, 2.5)
    assert message.registration == "joints+silhouette"
    np.testing.assert_array_equal([xyz(joint) for joint in message.joints], made.joints_m)
    np.testing.assert_allclose(message.joint_confidence, made.joint_confidence, rtol=1e-6)
    vertices = np.reshape(message.vertices, (-1, 3))
    np.testing.assert_allclose(vertices, made.vertices_m, rtol=1e-6)
    covariance = np.reshape(message.root_covariance, (3, 3))
    np.testing.assert_array_equal(covariance, made.root_covariance_m2)
    assert (message.region_center_x_px, message.region_center_y_px) == (300.5, 220.25)
    assert message.region_rotation_rad == 0.3
    assert message.region_size_px == 180.0
    origin, rotation = palm_pose(made.joints_m, made.handedness)
    np.testing.assert_allclose(xyz(message.palm_pose.position), origin)
    np.testing.assert_allclose(turn(message.palm_pose.orientation), rotation, atol=1e-9)


def test_handedness_constants_are_those_of_the_message():
    for side in Handedness:
        assert getattr(HandMesh, f"HANDEDNESS_{side.name}") == side


def test_array_keeps_header_and_order():
    array = to_hand_array([hand(9), hand(2)], HEADER)
    array = deserialize_message(serialize_message(array), HandMeshArray)
    assert array.header == HEADER
    assert [one.track_id for one in array.hands] == [9, 2]
    assert to_hand_array([], HEADER).hands == []


def test_topology():
    message = to_topology(SimpleNamespace(name="test_hand", faces=(FACES,)))
    assert message.template_name == "test_hand"
    assert list(message.faces) == FACES.ravel().tolist()
    assert tuple(message.joint_names) == JOINT_NAMES
    assert tuple(message.joint_parents) == JOINT_PARENTS


@pytest.mark.parametrize("side", [Handedness.LEFT, Handedness.RIGHT])
def test_transforms_put_each_joint_in_the_picture_frame(side):
    made = hand(handedness=side)
    make = HandTransforms()
    make([hand(depth_m=0.9, handedness=side)], Header(frame_id="camera_optical"), "front_")
    message = make([made], HEADER, "front_")
    transforms = deserialize_message(message, TFMessage).transforms
    name = f"front_hand_{side.name.lower()}"
    assert [t.child_frame_id for t in transforms] == [f"{name}/{joint}" for joint in JOINT_NAMES]
    rotations = joint_rotations(made.joints_m, side)
    for transform, joint, rotation in zip(transforms, made.joints_m, rotations, strict=True):
        assert transform.header == HEADER
        np.testing.assert_array_equal(xyz(transform.transform.translation), joint)
        np.testing.assert_allclose(turn(transform.transform.rotation), rotation, atol=1e-9)


def read_markers(message: bytes) -> list[Marker]:
    return deserialize_message(message, MarkerArray).markers


def test_markers_show_mesh_bones_and_joints():
    made = hand()
    markers = read_markers(HandMarkers(FACES)([made], HEADER))
    assert [(m.ns, m.type) for m in markers] == [
        ("mesh", Marker.TRIANGLE_LIST),
        ("bones", Marker.LINE_LIST),
        ("joints", Marker.SPHERE_LIST),
    ]
    mesh, bones, joints = markers
    np.testing.assert_array_equal([xyz(p) for p in mesh.points], made.vertices_m[FACES.ravel()])
    np.testing.assert_array_equal([xyz(p) for p in joints.points], made.joints_m)
    assert len(bones.points) == 40
    np.testing.assert_array_equal(xyz(bones.points[1]), made.joints_m[1])
    for marker in markers:
        assert marker.header == HEADER and marker.action == Marker.ADD
        assert marker.color.a == 1.0 and marker.scale.x > 0 and marker.lifetime.sec == 1


def test_meshes_are_opaque_and_shaded_by_vertex():
    made = hand()
    mesh = read_markers(HandMarkers(FACES)([made], HEADER))[0]
    assert {c.a for c in mesh.colors} == {1.0}, "RViz would draw back faces over front ones"
    shades_shown = np.array([[c.r, c.g, c.b] for c in mesh.colors]) / (
        np.array(MESH_COLORS[made.handedness]) / 255
    )
    expected = shades(made.vertices_m, FACES)[FACES.ravel()]
    np.testing.assert_allclose(shades_shown, np.repeat(expected[:, None], 3, axis=1), rtol=1e-5)
    assert np.ptp(expected) > 0.1


def test_markers_of_left_hands_are_turned_right_side_out():
    made = hand(handedness=Handedness.LEFT)
    mesh = read_markers(HandMarkers(FACES)([made], HEADER))[0]
    corners = made.vertices_m[FACES[:, ::-1].ravel()]
    np.testing.assert_array_equal([xyz(p) for p in mesh.points], corners)


def test_markers_follow_the_hands_and_vanish_with_them():
    markers = HandMarkers(FACES)
    markers([hand(1), hand(2)], HEADER)
    moved = hand(2, depth_m=0.9, handedness=Handedness.LEFT)
    later = Header(frame_id="another", stamp=Time(sec=13, nanosec=1))
    for _ in range(2):
        shown = read_markers(markers([moved], later))
        np.testing.assert_array_equal(xyz(shown[0].points[0]), moved.vertices_m[FACES[0, 2]])
        assert {m.header.frame_id for m in shown} == {"another"}
        assert {m.header.stamp.sec for m in shown} == {13}
        removed = [(m.ns, m.id) for m in shown if m.action == Marker.DELETE]
        assert removed in ([("mesh", 1), ("bones", 1), ("joints", 1)], [])
    assert removed == []
    assert [m.action for m in read_markers(markers([], HEADER))] == [Marker.DELETE] * 3
    assert read_markers(markers([], HEADER)) == []


def camera_info(**fields) -> CameraInfo:
    k = [500.0, 0, 320, 0, 510, 240, 0, 0, 1]
    p = [450.0, 0, 310, 0, 0, 450, 230, 0, 0, 0, 1, 0]
    info = CameraInfo(width=640, height=480, distortion_model="plumb_bob", k=k, p=p)
    info.d = [0.1, -0.05, 0.001, 0.002, 0.0]
    for name, value in fields.items():
        setattr(info, name, value)
    return info


def test_camera_of_a_raw_picture_has_k_and_d():
    found = to_camera(camera_info(), rectified=False)
    np.testing.assert_array_equal(found.matrix, [[500, 0, 320], [0, 510, 240], [0, 0, 1]])
    np.testing.assert_array_equal(found.distortion, [0.1, -0.05, 0.001, 0.002, 0.0])


def test_a_calibration_that_is_repeated_is_one_camera():
    found = to_camera(camera_info(), rectified=False)
    assert to_camera(camera_info(), rectified=False) is found
    moved = to_camera(camera_info(k=[500.0, 0, 321, 0, 510, 240, 0, 0, 1]), rectified=False)
    assert moved.matrix[0, 2] == 321 and found.matrix[0, 2] == 320


def test_camera_of_a_rectified_picture_has_p_and_no_distortion():
    found = to_camera(camera_info(), rectified=True)
    np.testing.assert_array_equal(found.matrix, [[450, 0, 310], [0, 450, 230], [0, 0, 1]])
    assert found.distortion.size == 0


def test_camera_of_a_binned_region_of_interest():
    info = camera_info(binning_x=2, binning_y=2)
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 100, 80, 400, 300
    found = to_camera(info, rectified=False)
    assert (found.width, found.height) == (200, 150)
    assert found.matrix[0, 0] == 250 and found.matrix[1, 1] == 255


@pytest.mark.parametrize(
    "fields",
    [{"k": [0.0] * 9}, {"width": 0}, {"distortion_model": "fov"}, {"k": [float("nan")] * 9}],
)
def test_camera_info_that_is_no_calibration(fields):
    with pytest.raises(InputError):
        to_camera(camera_info(**fields), rectified=False)
