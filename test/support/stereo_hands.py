"""Made-up hands before two cameras side by side, for the tests of stereo."""

import cv2
import numpy as np

from cmr_ros.registration import View
from support.registration_hands import cues, hand


def look_at(point_m, roll_rad=0.0):
    """Return the rotation (3, 3) into the frame of a crop that looks at a point."""
    ahead = point_m / np.linalg.norm(point_m)
    down = np.cross(ahead, [1.0, 0, 0])
    down /= np.linalg.norm(down)
    roll, _ = cv2.Rodrigues(np.array([0, 0, roll_rad]))
    return roll @ np.stack([np.cross(down, ahead), down, ahead])


def crop_matrix(distance_m):
    """Return the camera of a crop that a hand at a distance fills."""
    focal = 650 * distance_m
    return np.array([[focal, 0, 111.5], [0, focal, 111.5], [0, 0, 1]])


def pair(rng, distance_m=0.6, baseline_m=0.12, noise_px=0.0, length_m=0.186):
    """Return vertices, joints, cues, matrix and root of a hand in a crop, and the same of a View.

    The meshes are those of a hand of 186 mm, whatever the length of the one that is seen.
    """
    vertices, joints, faces = hand(rng)
    grown = length_m / 0.186
    matrix = crop_matrix(distance_m)
    root = np.array([0, 0, distance_m]) - grown * joints.mean(0)
    first = cues(grown * vertices, grown * joints, faces, matrix, root, noise_px, rng)
    camera_m = baseline_m * np.array([0.96, 0.28, 0])
    rotation = look_at(np.array([0, 0, distance_m]) - camera_m, 0.1)
    turned_root = rotation @ (root - camera_m)
    second = cues(
        grown * vertices @ rotation.T, grown * joints @ rotation.T, faces, matrix, turned_root,
        noise_px, rng,
    )  # fmt: skip
    view = View(
        vertices @ rotation.T, joints @ rotation.T, second, matrix, rotation, -rotation @ camera_m
    )
    return vertices, joints, first, matrix, root, view
