"""Hands made up for tests, exact in every field."""

import numpy as np

from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand import Hand
from cmr_ros.registration.pose import pose_covariances


def camera() -> Camera:
    return Camera(640, 480, np.array([[500.0, 0, 310], [0, 510, 250], [0, 0, 1]]))


def flat_right_hand(bend_rad=0.0) -> np.ndarray:
    """Joints on a table: fingers along +x, back up (+z), thumb at +y; fingers bent downwards."""
    joints = np.zeros((21, 3))
    for finger, y in enumerate((0.035, 0.02, 0.0, -0.02, -0.04)):
        first = 1 + 4 * finger
        joints[first] = (0.03 if finger == 0 else 0.09, y, 0)
        angle = 0.0
        for joint in range(first + 1, first + 4):
            angle += bend_rad
            joints[joint] = joints[joint - 1] + 0.03 * np.array([np.cos(angle), 0, -np.sin(angle)])
    return joints


def hand(track_id=3, handedness=Handedness.RIGHT, depth_m=0.6, vertex_count=100) -> Hand:
    """A flat hand before the camera with vertices strewn around its joints."""
    rng = np.random.default_rng(track_id)
    joints = flat_right_hand(0.1) * ([1, -1, 1] if handedness is Handedness.LEFT else [1, 1, 1])
    joints = joints + [-0.05, 0.0, depth_m]
    pose_m2 = pose_covariances(np.ones(21), 0.003, 0.006)
    region = Region((300.5, 220.25), 180.0, 0.3)
    return Hand(
        track_id=track_id,
        handedness=handedness,
        score=0.875,
        joints_m=joints,
        vertices_m=joints[np.arange(vertex_count) % 21] + rng.normal(0, 0.005, (vertex_count, 3)),
        joint_covariances_m2=np.diag([1e-6, 2e-6, 9e-5]) + pose_m2,
        pose_covariances_m2=pose_m2,
        length_m=0.186,
        length_deviation_m=0.012,
        rms_px=2.5,
        registration="joints+silhouette",
        region=region,
        joints_px=camera().project(joints),
        joint_confidence=np.linspace(0, 1, 21),
        silhouette=np.ones((56, 56)),
        silhouette_camera=CropCamera.looking_at(camera(), region, 224),
    )
