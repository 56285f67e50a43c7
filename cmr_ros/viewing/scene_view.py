"""Draws hands in 3D from beside the camera, with the camera and a floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from cmr_ros.geometry.camera import Camera
from cmr_ros.hand import Hand
from cmr_ros.model.template import HandTemplate
from cmr_ros.viewing.drawing import draw_mesh, label, outward_faces

_BACKGROUND, _FLOOR, _FRUSTUM, _TEXT = (24, 27, 33), (58, 64, 74), (225, 228, 232), (235, 235, 235)
#: In the camera's frame, metres: what the eye looks at, and from where.
_TARGET, _EYE = np.array([0.0, 0.03, 0.34]), np.array([-0.5, -0.32, -0.32])
_FOV_DEG, _FLOOR_Y_M, _FLOOR_STEP_M, _FRUSTUM_M = 50.0, 0.3, 0.25, 0.1
#: Lines are drawn as large and scaled down, which smooths the mesh's edges.
_OVERSAMPLING = 2


def scene_view(
    hands: Sequence[Hand],
    template: HandTemplate,
    camera: Camera,
    size: tuple[int, int],
    turn_rad: float = 0.0,
) -> np.ndarray:
    """Return a picture (height, width, 3) uint8 RGB of the hands in space.

    Args:
        hands: in the camera's frame.
        template: of their vertices.
        camera: the one that sees them; it is drawn, too.
        size: width and height in pixels.
        turn_rad: how far the eye has turned about the vertical.

    """
    width, height = (_OVERSAMPLING * side for side in size)
    view = Camera.from_fov(width, height, _FOV_DEG)
    rotation, eye = _look(turn_rad)
    canvas = np.full((height, width, 3), _BACKGROUND, np.uint8)

    def line(start: np.ndarray, end: np.ndarray, color: tuple[int, int, int], thick: int) -> None:
        ends = np.stack([start, end]) - eye
        ends = _in_front(ends @ rotation.T)
        if ends is not None:
            (x0, y0), (x1, y1) = view.project(ends).round().astype(int).tolist()
            cv2.line(canvas, (x0, y0), (x1, y1), color, thick, cv2.LINE_AA)

    for step in np.arange(-1.0, 1.01, _FLOOR_STEP_M):
        line(np.array([step, _FLOOR_Y_M, -0.25]), np.array([step, _FLOOR_Y_M, 2.0]), _FLOOR, 1)
    for step in np.arange(-0.25, 2.01, _FLOOR_STEP_M):
        line(np.array([-1.0, _FLOOR_Y_M, step]), np.array([1.0, _FLOOR_Y_M, step]), _FLOOR, 1)
    corners = [[0, 0], [camera.width, 0], [camera.width, camera.height], [0, camera.height]]
    pinhole = Camera(camera.width, camera.height, camera.matrix)
    rays = pinhole.rays(np.array(corners, float))
    rays = _FRUSTUM_M * rays / rays[:, 2:]
    for ray, following in zip(rays, np.roll(rays, -1, axis=0), strict=True):
        line(np.zeros(3), ray, _FRUSTUM, 2)
        line(ray, following, _FRUSTUM, 2)
    seen = [
        replace(
            hand,
            vertices_m=(hand.vertices_m - eye) @ rotation.T,
            joints_m=(hand.joints_m - eye) @ rotation.T,
        )
        for hand in hands
    ]
    order = np.argsort([-hand.joints_m[0, 2] for hand in seen])
    for index in order:
        wrist = hands[index].joints_m[0]
        line(wrist, np.array([wrist[0], _FLOOR_Y_M, wrist[2]]), _FLOOR, 2)
        draw_mesh(canvas, seen[index], outward_faces(template, hands[index]), view, opacity=1.0)
    canvas = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    for hand, shown in zip(hands, seen, strict=True):
        x, y = view.project(shown.joints_m[:1])[0] / _OVERSAMPLING
        text = label(hand)[1]
        at = (int(x) - 40, int(y) + 18)
        cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _TEXT, 1, cv2.LINE_AA)
    return canvas


def _look(turn_rad: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the eye's rotation (3, 3), rows are its axes, and its place (3,)."""
    around = cv2.Rodrigues(np.array([0.0, turn_rad, 0.0]))[0]
    eye = _TARGET + around @ (_EYE - _TARGET)
    forward = (_TARGET - eye) / np.linalg.norm(_TARGET - eye)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward]), eye


def _in_front(ends: np.ndarray, near_m: float = 0.05) -> np.ndarray | None:
    """Return a segment (2, 3) cut to what lies before the eye; None where nothing does."""
    if ends[:, 2].max() < near_m:
        return None
    far, near = ends[np.argmax(ends[:, 2])], ends[np.argmin(ends[:, 2])]
    if near[2] < near_m:
        near = near + (far - near) * (near_m - near[2]) / (far[2] - near[2])
    return np.stack([near, far])
