"""The paper's tables, with rows of one's own measurements below the published ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.evaluation.report import Table
from cmr_ros.files.untrusted import read_json

NUMBERS = ("1", "2", "3")
#: Figures of `cmr evaluate --json` in the order of each table's columns.
_KEYS = {
    "2": ("pa_mpjpe_mm", "pa_j_auc", "pa_mpvpe_mm", "pa_v_auc", "pa_f5", "pa_f15"),
    "3": ("cs_mpjpe_mm", "cs_j_auc", "cs_mpvpe_mm", "cs_v_auc", "cs_f5", "cs_f15"),
}
_SWITCHES = ("inception", "multi_scale", "self_regression")


def table(number: str, results: Sequence[Path] = (), runs: Sequence[Path] = ()) -> Table:
    """Return table 1, 2 or 3 of the supplement; published figures carry the word `paper`.

    results: JSON files of `cmr evaluate`, a row each in tables 2 and 3.  runs: folders of
    `cmr train`, for table 1: runs that differ in their seeds alone share a row.  Raises InputError
    for files that are none of these.
    """
    content = json.loads(
        resources.files("cmr_ros.evaluation").joinpath("published.json").read_text()
    )
    entry = content["tables"][number]
    digits = 2 if number == "1" else 1
    rows = [["paper", *(_cell(value, digits) for value in row)] for row in entry["rows"]]
    if number == "1":
        rows += _ablations(runs)
    else:
        rows += [_measured(path, _KEYS[number]) for path in results]
    return f"Table {number}. {entry['title']} [mm]", ["source", *entry["columns"]], rows


def _cell(value: str | float, digits: int = 1) -> str:
    """Return a text as it is, shares with three digits, millimetres with some."""
    if isinstance(value, str):
        return value
    return f"{value:.3f}" if value <= 1 else f"{value:.{digits}f}"


def _measured(path: Path, keys: Sequence[str]) -> list[str]:
    figures = read_json(path, "`cmr evaluate --json` writes it")
    try:
        where = f"{figures['dataset']}, {figures['images']} images, {figures['misses']} missed"
        cells = [_cell(figures[key]) if key in figures else "-" for key in keys]
        return [f"measured: {where}", figures["method"], "-", *cells]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a result of `cmr evaluate --json` ({error!r})") from None


def _ablations(runs: Sequence[Path]) -> list[list[str]]:
    """Return a row per setting of the switches: means over its runs, and the runs' spread."""
    from cmr_ros.network.checkpoint import load_checkpoint

    groups: dict[tuple[bool, ...], list[tuple[float, float]]] = {}
    for run in runs:
        state = load_checkpoint(run / "last.pt", ("config", "metrics", "epoch"))
        decoder, metrics = json.loads(state["config"])["decoder"], state["metrics"]
        if not metrics:
            raise InputError(f"{run}: not validated yet; let `cmr train` finish an epoch")
        switches = tuple(bool(decoder[name]) for name in (*_SWITCHES, "start"))
        errors = (metrics["pa_mpjpe_mm"], metrics["pa_mpvpe_mm"])
        groups.setdefault(switches, []).append(errors)
    rows = []
    for switches in sorted(groups):
        errors = np.array(groups[switches])
        spread = errors.std(axis=0, ddof=1) if len(errors) > 1 else np.full(2, np.nan)
        cells = [
            f"{name} {mean:.2f}" + (f" +- {deviation:.2f}" if np.isfinite(deviation) else "")
            for name, mean, deviation in zip(
                ("", "vertices"), errors.mean(axis=0), spread, strict=True
            )
        ]
        *marks, start = ("x" if switch else "" for switch in switches)
        source = f"measured: renders, {len(errors)} runs" + (", from a start" if start else "")
        rows.append([source, *marks, *map(str.strip, cells)])
    return rows
