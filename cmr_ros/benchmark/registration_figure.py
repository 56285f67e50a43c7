"""Draws what each cue of the registration contributes, as the supplement's Figure 1 does."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from cmr_ros.benchmark.cases import KINDS, SIZE_PX, Cases
from cmr_ros.benchmark.simulate import draw_silhouette, project
from cmr_ros.geometry.skeleton import JOINT_PARENTS
from cmr_ros.registration import RootEstimate, register

#: Column titles and schemes; None is where an optimiser would start, on the axis at 0.6 m.
_COLUMNS = (
    ("before", None),
    ("2D: joints", "joints"),
    ("1D: silhouette", "silhouette"),
    ("both", "joints+silhouette"),
)
_START_M = np.array([0.0, 0.0, 0.6])
_MARGIN_PX = 14


def draw_cases(cases: Cases, path: Path) -> None:
    """Write a picture: a typical case of each kind a row, one scheme a column."""
    kinds = [kind for kind in np.unique(cases.kinds) if kind != 0]
    figure, axes = plt.subplots(
        len(kinds), len(_COLUMNS), figsize=(2.9 * len(_COLUMNS), 3.0 * len(kinds)), squeeze=False
    )
    for row, kind in zip(axes, kinds, strict=True):
        index = _typical(cases, kind)
        for axis, (title, scheme) in zip(row, _COLUMNS, strict=True):
            root, scale = (_START_M, 1.0) if scheme is None else _answer(cases, index, scheme)
            _panel(axis, cases, index, root, scale)
            error = 1e3 * np.linalg.norm(root - cases.roots_m[index])
            axis.set_title(f"{title}: {error:.0f} mm", fontsize=10)
        row[0].set_ylabel(KINDS[kind] if kind < len(KINDS) else f"kind {kind}", fontsize=10)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=4, fontsize=9, frameon=False)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _answer(cases: Cases, index: int, scheme: str) -> tuple[np.ndarray, float]:
    """Return root and scale of one case; the start where registration fails."""
    at = slice(index, index + 1)
    answer = register(
        cases.vertices_m[at], cases.joints_m[at], [cases.cues(index)], cases.matrices[at], SIZE_PX,
        scheme=scheme,
    )[0]  # fmt: skip
    if isinstance(answer, RootEstimate):
        return answer.translation_m, answer.scale
    return _START_M, 1.0


def _typical(cases: Cases, kind: int) -> int:
    """Return the case of median error among those of a kind."""
    indices = np.flatnonzero(cases.kinds == kind)
    errors = [
        np.linalg.norm(_answer(cases, index, "joints+silhouette")[0] - cases.roots_m[index])
        for index in indices
    ]
    return int(indices[np.argsort(errors)[len(indices) // 2]])


def _panel(axis, cases: Cases, index: int, root_m: np.ndarray, scale: float) -> None:
    """Draw cues and mesh of one case, the mesh placed at a root."""
    matrix, seen = cases.matrices[index], cases.seen_px[index]
    mesh = draw_silhouette(project(scale * cases.vertices_m[index] + root_m, matrix), cases.faces)
    picture = np.full((SIZE_PX, SIZE_PX, 3), 255, np.uint8)
    picture[cases.silhouettes[index]] = (190, 205, 225)
    axis.imshow(picture)
    for outline in cv2.findContours(mesh, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]:
        closed = np.concatenate([outline[:, 0], outline[:1, 0]])
        axis.plot(*closed.T, color="tab:red", lw=1.2, label="mesh")
    joints = project(scale * cases.joints_m[index] + root_m, matrix)
    for child, parent in enumerate(JOINT_PARENTS):
        if parent >= 0:
            axis.plot(*joints[[parent, child]].T, color="tab:red", lw=0.7, alpha=0.7)
        axis.plot(*np.stack([seen[child], joints[child]]).T, color="tab:green", lw=0.5)
    axis.plot(*joints.T, ".", color="tab:red", ms=4, label="its joints")
    axis.scatter(
        *seen.T, s=14, c="tab:green", alpha=np.clip(cases.confidence[index], 0.15, 1),
        label="joints seen (pale: little confidence)", zorder=3,
    )  # fmt: skip
    axis.plot([], [], "s", color=np.array([190, 205, 225]) / 255, label="silhouette seen")
    y, x = np.nonzero(cases.silhouettes[index])
    axis.set_xlim(x.min() - _MARGIN_PX, x.max() + _MARGIN_PX)
    axis.set_ylim(y.max() + _MARGIN_PX, y.min() - _MARGIN_PX)
    axis.set_xticks([])
    axis.set_yticks([])
