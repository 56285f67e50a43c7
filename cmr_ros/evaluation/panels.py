"""Draws what the network found in chosen pictures, and where it failed worst.

A row per picture, as the supplement's Figures 5 and 6: silhouette, 2D pose, projected mesh, the
mesh from the side, and mesh and joints in camera space with the camera, in metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection

from cmr_ros.evaluation.measure import Columns
from cmr_ros.evaluation.methods import Method
from cmr_ros.evaluation.runs import answer_all
from cmr_ros.evaluation.sample import Answer, Sample
from cmr_ros.evaluation.summary import by_picture
from cmr_ros.geometry.skeleton import JOINT_PARENTS, Handedness
from cmr_ros.viewing.drawing import shades

_ROWS, _SHEETS, _WORST = 6, 2, 10
_COLUMNS = ("image", "silhouette", "2D pose", "projected mesh", "side view", "camera space [m]")
_FINGER_COLORS = ("tab:red", "tab:orange", "tab:green", "tab:blue", "tab:purple")
_SKIN = np.array([0.62, 0.75, 0.88])
#: Points of the optical frame (x right, y down, z forward) seen from the hand's right.
_FROM_THE_SIDE = np.array([[0, 0, -1.0], [0, 1, 0], [1, 0, 0]])
_MARGIN = 0.25
_FAR_M = 2.0
#: The box around camera and hand is no narrower than this part of its length.
_NARROWEST = 0.4


def draw_panels(folder: Path, method: Method, samples: Sequence[Sample], columns: Columns) -> None:
    """Write panels_*.png of pictures spread over the set, and worst.png, into a folder.

    Args:
        folder: made where it is missing.
        method: answers once more for the images drawn.
        samples: the images and their truth.
        columns: measurements of all samples, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    faces = method.template().faces[0]
    values = by_picture(columns)
    count = min(_ROWS * _SHEETS, len(samples))
    spread = np.unique(np.linspace(0, len(samples) - 1, count).round().astype(int))
    # Misses are worse than any error.
    order = np.argsort(-np.nan_to_num(values["cs_mpjpe_mm"], nan=np.inf), kind="stable")
    worst = order[:_WORST]
    chosen = [*spread, *worst]
    answers = dict(zip(chosen, answer_all(method, [samples[i] for i in chosen]), strict=True))

    def caption(index: int) -> str:
        if answers[index] is None:
            return "missed"
        return ", ".join(
            f"{name} {values[key][index]:.0f} {unit}"
            for name, key, unit in (
                ("2D", "px", "px"), ("PA", "pa_mpjpe_mm", "mm"), ("CS", "cs_mpjpe_mm", "mm")
            )
        )  # fmt: skip

    for sheet, start in enumerate(range(0, len(spread), _ROWS)):
        rows = [(samples[i], answers[i], caption(i)) for i in spread[start : start + _ROWS]]
        _sheet(rows, faces).savefig(folder / f"panels_{sheet}.png", dpi=80)
    rows = [(samples[i], answers[i], caption(i)) for i in worst]
    _worst(rows, faces).savefig(folder / "worst.png", dpi=90)


def _sheet(rows: Sequence[tuple[Sample, Answer | None, str]], faces: np.ndarray) -> Figure:
    size = len(_COLUMNS)
    figure = Figure(figsize=(2.9 * size, 2.9 * len(rows)), layout="constrained")
    for row, (sample, answer, caption) in enumerate(rows):
        axes = [
            figure.add_subplot(
                len(rows), size, row * size + column + 1, projection="3d" if column == 5 else None
            )
            for column in range(size)
        ]
        picture = sample.picture()
        _show(axes[0], picture, sample)
        axes[0].set_ylabel(sample.image.name, fontsize=8)
        axes[0].set_title(caption, fontsize=9)
        for axis, title in zip(axes[1:], _COLUMNS[1:], strict=True):
            axis.set_title(title, fontsize=9)
        if answer is None:
            for axis in axes[1:]:
                axis.set_axis_off()
            continue
        outward = faces[:, ::-1] if answer.handedness is Handedness.LEFT else faces
        _silhouette(axes[1], picture, sample, answer)
        _show(axes[2], picture, sample)
        _skeleton(axes[2], answer.joints_px)
        _show(axes[3], picture, sample)
        _mesh(axes[3], sample.camera.project(answer.vertices_m), answer.vertices_m, outward, 0.8)
        _side_view(axes[4], answer, outward)
        _camera_space(axes[5], sample, answer, outward)
    return figure


def _worst(rows: Sequence[tuple[Sample, Answer | None, str]], faces: np.ndarray) -> Figure:
    """Return the pictures with the largest camera-space errors, the truth drawn in white."""
    columns = min(5, len(rows))
    lines = -(-len(rows) // columns)
    figure = Figure(figsize=(3.1 * columns, 3.3 * lines), layout="constrained")
    for axis, (sample, answer, caption) in zip(
        figure.subplots(lines, columns, squeeze=False).flat, rows, strict=False
    ):
        _show(axis, sample.picture(), sample)
        _bones(axis, sample.camera.project(sample.joints_m), ["white"] * 5, 1.0)
        if answer is not None:
            _skeleton(axis, answer.joints_px)
        axis.set_title(f"{sample.image.name}\n{caption}", fontsize=8)
    figure.suptitle("Largest camera-space errors; coloured: found, white: truth", fontsize=10)
    return figure


def _show(axis: Axes, picture: np.ndarray, sample: Sample) -> None:
    """Show a picture around the true hand, which is all of a crop and a part of a full frame."""
    axis.imshow(picture)
    pixels = sample.camera.project(sample.joints_m)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    half = (high - low).max() * (0.5 + _MARGIN)
    x, y = (low + high) / 2
    axis.set_xlim(max(x - half, -0.5), min(x + half, picture.shape[1] - 0.5))
    axis.set_ylim(min(y + half, picture.shape[0] - 0.5), max(y - half, -0.5))
    axis.set(xticks=[], yticks=[])


def _silhouette(axis: Axes, picture: np.ndarray, sample: Sample, answer: Answer) -> None:
    dimmed = picture // 3
    if answer.mask is not None:
        dimmed[answer.mask] = picture[answer.mask] // 2 + np.array([60, 120, 60], np.uint8)
    _show(axis, dimmed, sample)


def _skeleton(axis: Axes, joints_px: np.ndarray) -> None:
    _bones(axis, joints_px, _FINGER_COLORS, 1.6)
    axis.plot(*joints_px.T, ".", color="black", ms=3)


def _bones(axis: Axes, joints: np.ndarray, colors: Sequence[str], width: float) -> None:
    """Draw the bones between joints (21, 2) or, on 3D axes, (21, 3)."""
    for joint in range(1, len(joints)):
        ends = joints[[JOINT_PARENTS[joint], joint]]
        axis.plot(*ends.T, color=colors[(joint - 1) // 4], lw=width)


def _mesh(
    axis: Axes, flat: np.ndarray, vertices: np.ndarray, faces: np.ndarray, opacity: float
) -> None:
    """Draw the faces of vertices (V, 3), as a camera at the origin sees them, at flat (V, 2)."""
    colors, facing, depths = _shaded(vertices, faces)
    order = np.argsort(-depths)
    order = order[facing[order]]
    polygons = PolyCollection(flat[faces][order], facecolors=colors[order], alpha=opacity, lw=0.2)
    polygons.set_edgecolor(colors[order])  # or the background shines through between them
    axis.add_collection(polygons)


def _shaded(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return colours (F, 3), whether they face a camera at the origin (F,), and depths (F,)."""
    corners = vertices[faces]
    centers = corners.mean(axis=1)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    colors = shades(vertices, faces)[faces].mean(axis=1)[:, None] * _SKIN
    return colors, (normals * centers).sum(axis=1) < 0, centers[:, 2]


def _side_view(axis: Axes, answer: Answer, faces: np.ndarray) -> None:
    """Draw the mesh as seen from a quarter turn to its right, from far away."""
    turned = (answer.vertices_m - answer.vertices_m.mean(axis=0)) @ _FROM_THE_SIDE.T
    _mesh(axis, turned[:, :2], turned + [0, 0, _FAR_M], faces, 1.0)
    half = np.abs(turned[:, :2]).max() * 1.1
    axis.set(xlim=(-half, half), ylim=(half, -half), aspect="equal", xticks=[], yticks=[])


def _camera_space(axis: Axes3D, sample: Sample, answer: Answer, faces: np.ndarray) -> None:
    """Draw mesh, joints and camera; the axes are x, z (forward) and -y (up)."""
    vertices, joints = _upright(answer.vertices_m), _upright(answer.joints_m)
    colors = _shaded(answer.vertices_m, faces)[0]
    axis.add_collection3d(Poly3DCollection(vertices[faces], facecolors=colors, lw=0))
    _bones(axis, joints, _FINGER_COLORS, 1.0)
    camera, depth = sample.camera, 0.12 * answer.joints_m[0, 2]
    size = np.array([camera.width, camera.height]) - 0.5
    rim = [[-0.5, -0.5], [size[0], -0.5], [*size], [-0.5, size[1]]]
    rays = np.concatenate([np.array(rim), np.ones((4, 1))], axis=1) @ np.linalg.inv(camera.matrix).T
    base = _upright(depth * rays)
    edges = [(np.zeros(3), point) for point in base] + list(
        zip(base, np.roll(base, 1, axis=0), strict=True)
    )
    axis.add_collection3d(Line3DCollection(edges, colors="0.2", lw=1))
    axis.plot([0, joints[0, 0]], [0, joints[0, 1]], [0, joints[0, 2]], ":", color="0.5", lw=0.8)
    everything = np.concatenate([vertices, base, np.zeros((1, 3))])
    low, high = everything.min(axis=0), everything.max(axis=0)
    slack = np.maximum(_NARROWEST * (high - low).max() - (high - low), 0) / 2
    low, high = low - slack, high + slack
    for name, start, end in zip("xyz", low, high, strict=True):
        axis.set(**{f"{name}lim": (start, end)})
    axis.set_box_aspect(high - low, zoom=1.1)
    axis.view_init(elev=18, azim=-55)
    axis.tick_params(labelsize=6, pad=-3)
    axis.locator_params(nbins=3)


def _upright(points: np.ndarray) -> np.ndarray:
    """Return points (..., 3) of the optical frame as x, z, -y, with up upwards."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)
