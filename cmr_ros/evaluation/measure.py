"""Compares an answer with the truth; results of many pictures are columns of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from cmr_ros.evaluation.metrics import auc, distances_mm, f_score, procrustes
from cmr_ros.evaluation.sample import Answer, Sample
from cmr_ros.geometry.covariance import inside_90
from cmr_ros.geometry.skeleton import Handedness

#: Many pictures' measurements: name of a `Measurement`'s field -> (N, ...) float64.
Columns = dict[str, np.ndarray]

_NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Measurement:
    """How far the answer to one image is from the truth; NaN where that is unknown.

    Prefixes: pa_ after Procrustes alignment with scale, rr_ with both roots in one place, rs_ so
    and scaled to fit best, cs_ in camera space without any alignment.
    """

    found: float  # 1, or 0 for a miss
    root_depth_m: float  # the truth's
    px: np.ndarray  # (J,) distance of the 2D joints in the image
    pa_mm: np.ndarray  # (J,) distances of the joints
    rr_mm: np.ndarray  # (J,)
    rs_mm: np.ndarray  # (J,)
    cs_mm: np.ndarray  # (J,)
    confidence: np.ndarray  # (J,) in [0, 1] as answered
    inside_90: np.ndarray  # (J,) 1 if the joint lies inside its 90 % ellipsoid, else 0
    score: float = _NAN  # in [0, 1] as answered
    handed: float = _NAN  # 1 if the handedness is right, else 0
    pa_mpvpe_mm: float = _NAN  # mean per-vertex position error
    cs_mpvpe_mm: float = _NAN
    pa_v_auc: float = _NAN  # area under the vertices' PCK curve
    cs_v_auc: float = _NAN
    pa_f5: float = _NAN  # F-score at 5 mm
    pa_f15: float = _NAN  # F-score at 15 mm
    cs_f5: float = _NAN
    cs_f15: float = _NAN
    mask_iou: float = _NAN  # intersection over union of the masks


def measure(answer: Answer | None, sample: Sample) -> Measurement:
    """Compare an answer with the truth of its picture; None is a miss."""
    truth = sample.joints_m
    if answer is None:
        unknown = np.full(len(truth), _NAN)
        return Measurement(0.0, truth[0, 2], *[unknown] * 7)
    joints = answer.joints_m
    at_root, true_at_root = joints - joints[0], truth - truth[0]
    return Measurement(
        found=1.0,
        root_depth_m=truth[0, 2],
        px=np.linalg.norm(answer.joints_px - sample.camera.project(truth), axis=-1),
        pa_mm=distances_mm(procrustes(joints, truth), truth),
        rr_mm=distances_mm(at_root, true_at_root),
        rs_mm=distances_mm(_best_scale(at_root, true_at_root) * at_root, true_at_root),
        cs_mm=distances_mm(joints, truth),
        confidence=answer.confidence,
        inside_90=_inside_90(answer, truth),
        score=answer.score,
        handed=_handed(answer, sample),
        mask_iou=_mask_iou(answer, sample),
        **_mesh_figures(answer.vertices_m, sample.vertices_m),
    )


def _inside_90(answer: Answer, truth: np.ndarray) -> np.ndarray:
    if answer.joint_covariances_m2 is None:
        return np.full(len(truth), _NAN)
    return inside_90(answer.joints_m - truth, answer.joint_covariances_m2).astype(float)


def _handed(answer: Answer, sample: Sample) -> float:
    if sample.handedness is Handedness.UNKNOWN or answer.was_told_side:
        return _NAN
    return float(answer.handedness is sample.handedness)


def _best_scale(points: np.ndarray, target: np.ndarray) -> float:
    """Return the factor on points (N, 3) that brings them nearest to target, least squares."""
    size = (points**2).sum()
    return (points * target).sum() / size if size else 1.0


def _mesh_figures(vertices: np.ndarray | None, truth: np.ndarray | None) -> dict[str, float]:
    """Return the mesh's figures; F-scores alone where the templates differ."""
    if vertices is None or truth is None:
        return {}
    # FreiHAND aligns meshes by their vertices; other templates have no partners to align by.
    same = vertices.shape == truth.shape
    figures = {"cs_f5": f_score(vertices, truth, 5), "cs_f15": f_score(vertices, truth, 15)}
    if not same:
        return figures
    aligned = procrustes(vertices, truth)
    for name, mesh in (("pa", aligned), ("cs", vertices)):
        errors = distances_mm(mesh, truth)
        figures |= {f"{name}_mpvpe_mm": float(errors.mean()), f"{name}_v_auc": auc(errors)}
    return figures | {"pa_f5": f_score(aligned, truth, 5), "pa_f15": f_score(aligned, truth, 15)}


def _mask_iou(answer: Answer, sample: Sample) -> float:
    true = sample.true_mask() if answer.mask is not None else None
    if true is None:
        return _NAN
    union = np.count_nonzero(answer.mask | true)
    return np.count_nonzero(answer.mask & true) / union if union else 1.0


def stack(measurements: Sequence[Measurement]) -> Columns:
    """Return the measurements of N pictures as columns."""
    return {
        field.name: np.array([getattr(m, field.name) for m in measurements], np.float64)
        for field in fields(Measurement)
    }


def join(parts: Sequence[Columns]) -> Columns:
    """Return the columns of all parts, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
