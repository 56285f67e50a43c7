"""Draws how often errors are small (PCK curves) and how they grow with depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cmr_ros.evaluation.measure import Columns
from cmr_ros.evaluation.metrics import auc
from cmr_ros.evaluation.summary import CURVES, THRESHOLDS_MM, Summary, by_picture

_BINS = 8
#: A range of depths with fewer pictures has no quartiles worth drawing.
_FEWEST = 3
_COLORS = ("tab:blue", "tab:orange", "tab:green", "tab:red")


def draw_curves(
    folder: Path, summaries: Sequence[Summary], measured: Mapping[str, Columns]
) -> None:
    """Write pck.png and depth.png into a folder, all methods in one picture each."""
    folder.mkdir(parents=True, exist_ok=True)
    _pck(summaries, measured).savefig(folder / "pck.png", dpi=110)
    _depth(measured).savefig(folder / "depth.png", dpi=110)


def _pck(summaries: Sequence[Summary], measured: Mapping[str, Columns]) -> Figure:
    """Return the share of joints within each distance, as the supplement's Figure 2 does."""
    figure = Figure(figsize=(4 * len(CURVES), 3.8), layout="constrained")
    axes = figure.subplots(1, len(CURVES), sharey=True)
    for axis, (name, key) in zip(axes, CURVES.items(), strict=True):
        for summary, color in zip(summaries, _COLORS, strict=False):
            if name not in summary.curves:
                continue
            columns = measured[summary.method]
            area = auc(columns[key][columns["found"] > 0])
            label = f"{summary.method} (AUC {area:.3f})"
            axis.plot(THRESHOLDS_MM, summary.curves[name], color=color, label=label)
        axis.set(title=name, xlabel="error threshold [mm]", xlim=(0, 50), ylim=(0, 1))
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend(loc="lower right", fontsize=8)
    axes[0].set_ylabel("3D PCK of found hands")
    return figure


def _depth(measured: Mapping[str, Columns]) -> Figure:
    """Return camera-space error against depth: pictures, medians with quartiles, and counts."""
    figure = Figure(figsize=(7, 5.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    depths = next(iter(measured.values()))["root_depth_m"]
    edges = np.linspace(depths.min(), depths.max() + 1e-6, _BINS + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    for (name, columns), color in zip(measured.items(), _COLORS, strict=False):
        errors = by_picture(columns)["cs_mpjpe_mm"]
        upper.plot(depths, errors, ".", color=color, ms=4, alpha=0.4)
        rows = [errors[(depths >= a) & (depths < b) & np.isfinite(errors)]
                for a, b in zip(edges, edges[1:], strict=False)]  # fmt: skip
        drawn = [i for i, row in enumerate(rows) if len(row) >= _FEWEST]
        if not drawn:
            continue
        low, median, high = np.array([np.percentile(rows[i], (25, 50, 75)) for i in drawn]).T
        upper.errorbar(
            middles[drawn], median, (median - low, high - median), color=color, marker="o",
            capsize=3, label=f"{name}: median and quartiles",
        )  # fmt: skip
    upper.set(ylabel="CS-MPJPE [mm]", title="Camera-space error against depth")
    upper.set_ylim(bottom=0)
    if upper.get_legend_handles_labels()[0]:
        upper.legend(fontsize=8)
    lower.hist(depths, edges, color="0.75", label="images")
    missed = next(iter(measured.values()))["found"] == 0
    lower.hist(depths[missed], edges, color="tab:red", label=f"missed by {next(iter(measured))}")
    lower.set(xlabel="true depth of the wrist [m]", ylabel="images")
    lower.legend(fontsize=8)
    for axis in (upper, lower):
        axis.grid(alpha=0.3)
    return figure
