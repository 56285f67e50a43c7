"""Sums measurements up: means with confidence intervals, PCK curves, and break-downs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmr_ros.evaluation.measure import Columns
from cmr_ros.evaluation.metrics import auc, pck
from cmr_ros.geometry.skeleton import JOINT_NAMES

#: Figure -> what tables call it.  All but the first two are means over the pictures with an answer.
TITLES = {
    "images": "images",
    "misses": "missed",
    "px": "2D error [px]",
    "pa_mpjpe_mm": "PA-MPJPE [mm]",
    "rr_mpjpe_mm": "root-relative MPJPE [mm]",
    "rs_mpjpe_mm": "root-relative, scaled MPJPE [mm]",
    "cs_mpjpe_mm": "CS-MPJPE [mm]",
    "pa_j_auc": "PA J-AUC 0-50 mm",
    "rs_j_auc_20_50": "root-relative, scaled J-AUC 20-50 mm",
    "cs_j_auc": "CS J-AUC 0-50 mm",
    "pa_mpvpe_mm": "PA-MPVPE [mm]",
    "pa_v_auc": "PA V-AUC 0-50 mm",
    "pa_f5": "PA F@5 mm",
    "pa_f15": "PA F@15 mm",
    "cs_mpvpe_mm": "CS-MPVPE [mm]",
    "cs_v_auc": "CS V-AUC 0-50 mm",
    "cs_f5": "CS F@5 mm",
    "cs_f15": "CS F@15 mm",
    "mask_iou": "mask IoU",
    "handedness_accuracy": "handedness accuracy",
    "joint_coverage_90": "joints inside their 90 % ellipsoid",
}
#: What break-downs show.
BRIEF = ("images", "misses", "px", "pa_mpjpe_mm", "rr_mpjpe_mm", "cs_mpjpe_mm")
THRESHOLDS_MM = np.linspace(0, 50, 100)
CURVES = {"PA": "pa_mm", "root-relative": "rr_mm", "camera space": "cs_mm"}

_DEPTHS_M = (0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1, 1.5, 2, 3, 4, 5, 7, 10, np.inf)
_CONFIDENCES = (0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Summary:
    """The figures of one method on one data set, by the names of TITLES."""

    method: str
    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]]  # 95 % confidence intervals
    joints: list[tuple[str, dict[str, float]]]  # figures by joint: label and figures of each row
    depths: list[tuple[str, dict[str, float]]]  # by the true depth of the root
    confidences: list[tuple[str, dict[str, float]]]  # by the joints' mean confidence
    curves: dict[str, np.ndarray]  # names of CURVES -> PCK (100,) at THRESHOLDS_MM


def summarise(method: str, columns: Columns) -> Summary:
    """Return the summary of a method's measurements."""
    values = by_picture(columns)
    found = columns["found"] > 0
    return Summary(
        method=method,
        figures=_figures(values, found),
        intervals=_intervals(values),
        joints=_by_joint(columns),
        depths=_bins(values, found, columns["root_depth_m"], _DEPTHS_M, "m"),
        confidences=_bins(values, found, _row_means(columns["confidence"]), _CONFIDENCES, ""),
        curves={
            name: pck(columns[key][found], THRESHOLDS_MM) for name, key in CURVES.items()
        } if found.any() else {},
    )  # fmt: skip


def by_picture(columns: Columns) -> dict[str, np.ndarray]:
    """Return each figure (N,) per picture, NaN for misses and where there is no such truth.

    Every picture has as many points, so that the mean of their AUCs is the AUC of all points.
    """
    values = {"px": _row_means(columns["px"])}
    for kind in ("pa", "rr", "rs", "cs"):
        values[f"{kind}_mpjpe_mm"] = _row_means(columns[f"{kind}_mm"])
    for name, key, span in (
        ("pa_j_auc", "pa_mm", (0, 50)),
        ("rs_j_auc_20_50", "rs_mm", (20, 50)),
        ("cs_j_auc", "cs_mm", (0, 50)),
    ):
        values[name] = np.array(
            [auc(row, *span) if np.isfinite(row).all() else np.nan for row in columns[key]]
        )
    values["handedness_accuracy"] = columns["handed"]
    values["joint_coverage_90"] = _row_means(columns["inside_90"])
    return {name: values.get(name, columns.get(name)) for name in list(TITLES)[2:]}


def _figures(values: dict[str, np.ndarray], found: np.ndarray) -> dict[str, float]:
    """Return the means of those figures that there is truth for, and the counts."""
    counts = {"images": len(found), "misses": int((~found).sum())}
    means = {name: float(_mean(column)) for name, column in values.items()}
    return counts | {name: mean for name, mean in means.items() if np.isfinite(mean)}


def _intervals(values: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """Return percentile bootstrap intervals of the means; whole pictures are drawn."""
    answered = {
        name: column[np.isfinite(column)]
        for name, column in values.items()
        if np.isfinite(column).any()
    }
    intervals = {}
    for name, column in answered.items():
        rng = np.random.default_rng(0)
        means = [rng.choice(column, len(column)).mean() for _ in range(_RESAMPLES)]
        low, high = np.percentile(means, [2.5, 97.5])
        intervals[name] = (float(low), float(high))
    return intervals


def _by_joint(columns: Columns) -> list[tuple[str, dict[str, float]]]:
    keys = {
        "px": "px", "pa_mpjpe_mm": "pa_mm", "rr_mpjpe_mm": "rr_mm", "cs_mpjpe_mm": "cs_mm",
        "joint_coverage_90": "inside_90",
    }  # fmt: skip
    count = columns["px"].shape[1]
    names = JOINT_NAMES if count == len(JOINT_NAMES) else [f"joint {i}" for i in range(count)]
    return [
        (name, {key: float(_mean(columns[column][:, i])) for key, column in keys.items()})
        for i, name in enumerate(names)
    ]


def _bins(
    values: Columns, found: np.ndarray, by: np.ndarray, edges: Sequence[float], unit: str
) -> list[tuple[str, dict[str, float]]]:
    """Return the figures of the images whose value of `by` (N,) lies between two edges."""
    rows = []
    for low, high in zip(edges, edges[1:], strict=False):
        last = high == edges[-1]
        inside = (by >= low) & ((by < high) | (last & (by <= high)))
        if inside.any():
            label = f"{low:g} to {high:g} {unit}".strip()
            part = {name: column[inside] for name, column in values.items()}
            figures = _figures(part, found[inside])
            rows.append((label, {key: figures[key] for key in BRIEF if key in figures}))
    return rows


def _row_means(rows: np.ndarray) -> np.ndarray:
    return rows.mean(axis=1)


def _mean(column: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no answer at all: NaN is meant
        return np.nanmean(column)
