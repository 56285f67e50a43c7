"""A hand of tubes with cues made from it, for the tests of the registration."""

import cv2
import numpy as np

from cmr_ros.geometry.skeleton import JOINT_PARENTS
from cmr_ros.hand import Cues
from cmr_ros.registration import Noise, hand_length_m

SIZE_PX = 224
_SIDES = 8
#: A network that cannot see size, and errs as this says.
BLIND = Noise(length_log_sd=0.08, length_log_mean=0.02, length_m=0.18, scale_log_sd=0.05)


def hand(rng, length_m=0.186, bend=0.5):
    """Return root-relative vertices (V, 3), joints (21, 3) and faces of a random open hand."""
    joints = np.zeros((21, 3))
    for finger in range(5):
        angle = np.radians(-60 + 25 * finger) + 0.1 * rng.standard_normal()
        direction = np.array([np.sin(angle), -np.cos(angle), 0])
        for bone in range(4):
            child = 1 + 4 * finger + bone
            parent = JOINT_PARENTS[child]
            joints[child] = joints[parent] + (0.09, 0.04, 0.03, 0.025)[bone] * direction
            curl, _ = cv2.Rodrigues(np.array([bend * rng.random(), 0, 0]))
            direction = curl @ direction
    turn, _ = cv2.Rodrigues(rng.normal(0, 0.5, 3))
    joints = joints @ turn.T
    joints *= length_m / hand_length_m(joints)
    vertices, faces = [], []
    for child, parent in enumerate(JOINT_PARENTS):
        if parent >= 0:
            faces.append(_tube_faces() + len(vertices) * 2 * _SIDES)
            vertices.append(_tube(joints[parent], joints[child], 0.014 if parent == 0 else 0.008))
    return np.concatenate(vertices), joints, np.concatenate(faces)


def _tube(start, end, radius):
    axis = (end - start) / np.linalg.norm(end - start)
    u = np.cross(axis, [0.3, 0.5, 0.8])
    u /= np.linalg.norm(u)
    angle = 2 * np.pi * np.arange(_SIDES) / _SIDES
    ring = radius * (np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * np.cross(axis, u))
    return np.concatenate([start + ring, end + ring])


def _tube_faces():
    near = np.arange(_SIDES)
    far, turned = near + _SIDES, np.roll(near, -1)
    sides = [np.stack([near, turned, far], 1), np.stack([turned, turned + _SIDES, far], 1)]
    caps = [np.stack([0 * near[1:-1] + base, near[1:-1] + base, near[2:] + base], 1)
            for base in (0, _SIDES)]  # fmt: skip
    return np.concatenate(sides + caps)


def camera(rng):
    """Return a crop's camera matrix (3, 3): off-centre, fx != fy, slightly skewed."""
    focal = rng.uniform(350, 600)
    skew = 0.02 * rng.standard_normal()
    return np.array(
        [[focal, skew * focal, 111.5 + rng.normal(0, 10)],
         [0, focal * rng.uniform(0.95, 1.05), 111.5 + rng.normal(0, 10)], [0, 0, 1]]
    )  # fmt: skip


def project(points, matrix):
    pixels = points @ matrix.T
    return pixels[..., :2] / pixels[..., 2:]


def silhouette(pixels, faces, size_px=SIZE_PX):
    """Return the mesh's filled projection (size, size), soft at its outline."""
    finer = 4
    fine = np.zeros((size_px * finer, size_px * finer), np.uint8)
    corners = np.round((pixels * finer + (finer - 1) / 2)[faces] * 16).astype(np.int32)
    for triangle in corners:
        cv2.fillConvexPoly(fine, triangle, 255, shift=4)
    soft = cv2.resize(fine, (size_px, size_px), interpolation=cv2.INTER_AREA)
    return soft.astype(np.float32) / 255


def placed(rng, margin_px=12, **kwargs):
    """Return a hand that lies inside the crop: vertices, joints, faces, matrix and root."""
    while True:
        vertices, joints, faces = hand(rng, **kwargs)
        matrix = camera(rng)
        middle = 111.5 + rng.normal(0, 12, 2)
        root = np.linalg.solve(matrix, [*middle, 1]) * rng.uniform(0.4, 0.9) - vertices.mean(0)
        pixels = project(vertices + root, matrix)
        if pixels.min() > margin_px and pixels.max() < SIZE_PX - 1 - margin_px:
            return vertices, joints, faces, matrix, root


def cues(vertices, joints, faces, matrix, root, noise_px=0.0, rng=None, with_silhouette=True):
    """Return what a network would see of a hand at a root."""
    seen = project(joints + root, matrix)
    if noise_px:
        seen = seen + rng.normal(0, noise_px, seen.shape)
    mask = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    if with_silhouette:
        mask = silhouette(project(vertices + root, matrix), faces)
    return Cues(seen, np.ones(len(joints)), np.full(len(joints), 3.0), mask)


def blind_hands(rng, count):
    """Yield meshes of a network blind to size, with cues: `BLIND` says how wrong they are."""
    for _ in range(count):
        length_m = BLIND.length_m * np.exp(
            BLIND.length_log_mean + BLIND.length_log_sd * rng.standard_normal()
        )
        vertices, joints, faces, matrix, root = placed(rng)
        true = length_m / hand_length_m(joints)
        drawn = (
            true * BLIND.length_m / length_m * np.exp(BLIND.scale_log_sd * rng.standard_normal())
        )
        noise_px = rng.uniform(1, 4)
        seen = cues(true * vertices, true * joints, faces, matrix, root, noise_px, rng, False)
        yield drawn * vertices, drawn * joints, seen, matrix, root, length_m
