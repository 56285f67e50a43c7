"""Draws hands into pictures: mesh, skeleton, silhouette and what is known about them; and masks."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from cmr_ros.files.playback import FoundHand
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.mesh import vertex_normals
from cmr_ros.geometry.skeleton import JOINT_PARENTS, Handedness
from cmr_ros.hand import Hand
from cmr_ros.model.template import HandTemplate

#: RGB of thumb to little finger.
FINGER_COLORS = ((255, 89, 94), (255, 190, 60), (138, 201, 58), (60, 160, 235), (170, 110, 225))
#: RGB of the mesh of each hand, here and wherever else hands are shown.
MESH_COLORS = {
    Handedness.UNKNOWN: (190, 190, 190),
    Handedness.LEFT: (255, 170, 90),
    Handedness.RIGHT: (90, 190, 235),
}
_MESH_OPACITY = 0.65
#: Coordinates are handed to OpenCV as fixed-point numbers with this many fractional bits.
_BITS = 4


def overlay(
    picture: np.ndarray, hands: Sequence[Hand], template: HandTemplate, camera: Camera
) -> np.ndarray:
    """Return the image with all hands drawn in, near ones in front.

    Args:
        picture: (height, width, 3) uint8 RGB.
        hands: found in it.
        template: of the hands' vertices.
        camera: the one that delivered the image.

    Returns:
        A new image of the same size.
    """
    canvas = np.ascontiguousarray(picture).copy()
    width = max(round(max(canvas.shape[:2]) / 400), 1)
    for hand in _far_to_near(hands):
        draw_mesh(canvas, hand, outward_faces(template, hand), camera, _MESH_OPACITY)
        outline = [_fixed(polygon) for polygon in silhouette_polygons(hand)]
        cv2.polylines(canvas, outline, True, (255, 255, 255), width, cv2.LINE_AA, _BITS)
        _draw_skeleton(canvas, camera.project(hand.joints_m), camera.sees(hand.joints_m), width)
    for hand in hands:
        if len(seen_m := hand.vertices_m[camera.sees(hand.vertices_m)]):
            _draw_label(canvas, hand, camera.project(seen_m))
    return canvas


def hand_mask(hands: Sequence[Hand], camera: Camera) -> np.ndarray:
    """Return a mono8 picture (height, width): 1-based index of the hand in front, 0 elsewhere."""
    mask = np.zeros((camera.height, camera.width), np.uint8)
    indices = {id(hand): index for index, hand in enumerate(hands, start=1)}
    for hand in _far_to_near(hands):
        polygons = [_fixed(polygon) for polygon in silhouette_polygons(hand)]
        cv2.fillPoly(mask, polygons, indices[id(hand)], cv2.LINE_8, _BITS)
    return mask


def silhouette_polygons(hand: Hand) -> list[np.ndarray]:
    """Return the outlines, holes included, of a hand's silhouette as (N, 2) picture pixels."""
    crop = hand.silhouette_camera
    # Doubled against the crop, the half pixel that outlines lose on every side hardly counts.
    side = 2 * crop.size_px
    map_ = cv2.resize(np.asarray(hand.silhouette, np.float32), (side, side))
    outlines, _ = cv2.findContours(
        (map_ > 0.5).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE
    )
    return [crop.to_picture((outline[:, 0] + 0.5) / 2 - 0.5) for outline in outlines]


def mesh_outlines(vertices_m: np.ndarray, faces: np.ndarray, camera: Camera) -> list[np.ndarray]:
    """Return the outer outlines, each (N, 2) pixels, of a mesh in a camera's picture.

    vertices_m: (V, 3) in the camera's frame.  faces: (F, 3).  Cut off at the picture's border.
    """
    mask = np.zeros((camera.height, camera.width), np.uint8)
    faces = faces[camera.sees(vertices_m)[faces].all(axis=1)]
    for triangle in _fixed(camera.project(vertices_m))[faces]:
        cv2.fillConvexPoly(mask, triangle, 1, cv2.LINE_8, _BITS)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [outline[:, 0] for outline in outlines]


def outward_faces(template: HandTemplate, hand: Hand) -> np.ndarray:
    """Return the hand's faces (F, 3), counter-clockwise seen from outside.

    Templates are right hands, and a mirror turns faces inside out.
    """
    faces = template.faces[0]
    return faces[:, ::-1] if hand.handedness is Handedness.LEFT else faces


def _far_to_near(hands: Sequence[Hand]) -> list[Hand]:
    return sorted(hands, key=lambda hand: -hand.joints_m[0, 2])


def _fixed(points: np.ndarray) -> np.ndarray:
    """Return pixels (..., 2) as the fixed-point numbers that OpenCV draws sub-pixels with."""
    limit = 1 << 24
    return np.clip(np.round(points * (1 << _BITS)), -limit, limit).astype(np.int32)


def draw_mesh(
    canvas: np.ndarray, hand: Hand, faces: np.ndarray, camera: Camera, opacity: float
) -> None:
    """Blend a shaded mesh into a canvas: faces towards the camera, far ones first.

    Args:
        canvas: (height, width, 3) uint8 RGB, changed in place.
        hand: in the camera's frame.
        faces: (F, 3), counter-clockwise seen from outside.
        camera: the canvas's.
        opacity: of the mesh, 0 to 1.

    """
    shade = shades(hand.vertices_m, faces)
    faces = faces[camera.sees(hand.vertices_m)[faces].all(axis=1)]
    if not len(faces):
        return
    corners = hand.vertices_m[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    centers = corners.mean(axis=1)
    visible = np.flatnonzero((normals * centers).sum(axis=1) < 0)
    visible = visible[np.argsort(-centers[visible, 2])]
    colors = shade[faces[visible]].mean(axis=1)[:, None] * MESH_COLORS[hand.handedness]

    triangles_px = camera.project(hand.vertices_m)[faces]
    low = np.clip(np.floor(triangles_px.min(axis=(0, 1))).astype(int), 0, None)
    high = np.ceil(triangles_px.max(axis=(0, 1))).astype(int) + 1
    window = canvas[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
    if not window.size:
        return
    layer = window.copy()
    triangles = _fixed(triangles_px - low)
    for face, color in zip(visible, colors.tolist(), strict=True):
        cv2.fillConvexPoly(layer, triangles[face], color, cv2.LINE_8, _BITS)
    cv2.addWeighted(layer, opacity, window, 1 - opacity, 0, dst=window)


def shades(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the brightness (V,), 0.3 to 1, of a mesh lit by the camera, a little from above.

    Args:
        vertices: (V, 3) in the camera's optical frame.
        faces: (F, 3), counter-clockwise seen from outside.
    """
    light = _unit(_unit(-vertices) + [0, -0.6, 0])
    return 0.3 + 0.7 * np.clip((vertex_normals(vertices, faces) * light).sum(axis=1), 0, 1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _draw_skeleton(
    canvas: np.ndarray, joints_px: np.ndarray, are_seen: np.ndarray, width: int
) -> None:
    points = _fixed(joints_px)
    joints = np.flatnonzero(are_seen)
    for outline in (True, False):  # a dark border first keeps bones legible on skin
        for joint in joints[joints > 0]:
            if not are_seen[JOINT_PARENTS[joint]]:
                continue
            color = (30, 30, 30) if outline else FINGER_COLORS[(joint - 1) // 4]
            ends = points[JOINT_PARENTS[joint]].tolist(), points[joint].tolist()
            cv2.line(canvas, *ends, color, width + 2 * outline, cv2.LINE_AA, _BITS)
        for joint in joints:
            color = FINGER_COLORS[(joint - 1) // 4] if joint else (240, 240, 240)
            radius = (width + (2 if outline else 1)) << _BITS
            color = (30, 30, 30) if outline else color
            cv2.circle(canvas, points[joint].tolist(), radius, color, -1, cv2.LINE_AA, _BITS)


def label(hand: Hand | FoundHand) -> list[str]:
    """Return what is known about a hand, in two short lines."""
    name = {Handedness.UNKNOWN: "hand"}.get(hand.handedness, hand.handedness.name.lower())
    sigma_mm = 1000 * np.sqrt(hand.root_covariance_m2[2, 2])
    return [
        f"{name} #{hand.track_id}  {100 * hand.score:.0f}%",
        f"{hand.joints_m[0, 2]:.3f} m +-{sigma_mm:.0f} mm",
    ]


def _draw_label(canvas: np.ndarray, hand: Hand, pixels: np.ndarray) -> None:
    """Write above the hand, or below where there is no room above, on a dark plate."""
    scale = max(max(canvas.shape[:2]) / 1280, 0.4)
    lines, font, pad = label(hand), cv2.FONT_HERSHEY_SIMPLEX, round(8 * scale)
    sizes = [cv2.getTextSize(line, font, scale, 1)[0] for line in lines]
    step = max(height for _, height in sizes) + pad
    width, height = max(width for width, _ in sizes) + 2 * pad, len(lines) * step + pad
    (left, top), (_, bottom) = pixels.min(axis=0), pixels.max(axis=0)
    y = top - height - pad if top >= height + pad else bottom + pad
    x = int(np.clip(left, 0, max(canvas.shape[1] - width, 0)))
    y = int(np.clip(y, 0, max(canvas.shape[0] - height, 0)))
    plate = canvas[y : y + height, x : x + width]
    cv2.addWeighted(plate, 0.35, np.zeros_like(plate), 0.65, 0, dst=plate)
    for row, line in enumerate(lines, start=1):
        at = (x + pad, y + row * step)
        cv2.putText(canvas, line, at, font, scale, (255, 255, 255), 1, cv2.LINE_AA)
