"""Writes summaries: text and Markdown tables, JSON, and a CSV with a line per picture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cmr_ros.evaluation.measure import Columns
from cmr_ros.evaluation.sample import Sample
from cmr_ros.evaluation.summary import BRIEF, THRESHOLDS_MM, TITLES, Summary, by_picture
from cmr_ros.files.output import write_bytes

#: A table: heading, the titles of its columns, and its rows.
Table = tuple[str, list[str], list[list[str]]]


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """Return all tables: figures of the methods side by side, then the break-downs of each."""
    known = [key for key in TITLES if any(key in s.figures for s in summaries)]
    rows = [[TITLES[key], *(_with_interval(s, key) for s in summaries)] for key in known]
    found: list[Table] = [("Figures", ["", *(s.method for s in summaries)], rows)]
    for s in summaries:
        titles = [TITLES[key] for key in BRIEF]
        for name, kind in ((s.joints, "joint"), (s.depths, "depth"), (s.confidences, "confidence")):
            keys = [key for key in BRIEF if name and key in name[0][1]]
            titles = [kind, *(TITLES[key] for key in keys)]
            lines = [[label, *(_number(row.get(key)) for key in keys)] for label, row in name]
            found.append((f"{s.method} by {kind}", titles, lines))
    return found


def _with_interval(summary: Summary, key: str) -> str:
    text = _number(summary.figures.get(key))
    if key not in summary.intervals:
        return text
    low, high = summary.intervals[key]
    return f"{text} [{_number(low)}, {_number(high)}]"


def _number(value: float | None) -> str:
    if value is None or not np.isfinite(value):
        return "-"
    if isinstance(value, int):
        return str(value)
    return f"{value:.3f}" if abs(value) < 1.5 else f"{value:.2f}"


def text(table: Table) -> str:
    """Return a table for the terminal."""
    heading, titles, rows = table
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in (titles, *rows))
    ]
    return "\n".join([heading, *(line.rstrip() for line in lines)])


def markdown(table: Table) -> str:
    """Return a table in Markdown."""
    heading, titles, rows = table
    rule = ["---", *["---:"] * (len(titles) - 1)]
    lines = ["| " + " | ".join(row) + " |" for row in (titles, rule, *rows)]
    return "\n".join([f"## {heading}", "", *lines])


def entries(summary: Summary) -> dict:
    """Return a summary for JSON; the figures at the top, by the keys of TITLES."""
    return summary.figures | {
        "method": summary.method,
        "intervals_95": {key: list(pair) for key, pair in summary.intervals.items()},
        "by_joint": dict(summary.joints),
        "by_depth": dict(summary.depths),
        "by_confidence": dict(summary.confidences),
        "pck": {"thresholds_mm": THRESHOLDS_MM.tolist()}
        | {name: curve.tolist() for name, curve in summary.curves.items()},
    }


def write_json(path: Path, dataset: str, summaries: Sequence[Summary]) -> None:
    """Write the first summary, and the others under `peers` by their names."""
    own, *others = summaries
    content = (
        entries(own)
        | {"dataset": dataset}
        | ({"peers": {s.method: entries(s) for s in others}} if others else {})
    )
    write_bytes(path, (json.dumps(content, indent=1) + "\n").encode())


def write_markdown(path: Path, title: str, summaries: Sequence[Summary]) -> None:
    """Write all tables."""
    parts = [f"# {title}", *map(markdown, tables(summaries))]
    write_bytes(path, ("\n\n".join(parts) + "\n").encode())


def write_csv(path: Path, samples: Sequence[Sample], columns: Columns) -> None:
    """Write a line per picture; what is not known is left empty."""
    values = {key: columns[key] for key in ("found", "root_depth_m", "score")}
    values |= by_picture(columns)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["image", *values])
    for sample, *row in zip(samples, *values.values(), strict=True):
        writer.writerow([sample.image, *(f"{v:.6g}" if np.isfinite(v) else "" for v in row)])
    write_bytes(path, file.getvalue().encode())
