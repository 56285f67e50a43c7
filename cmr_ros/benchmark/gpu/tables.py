"""What a check found as tables in Markdown, ready for the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence


def page(report: dict) -> str:
    """Return gpu.md."""
    parts = report["parts"]
    lines = ["# GPU check", ""]
    if report["rehearsal"]:
        lines += ["Rehearsal on a CPU with tiny sizes: the figures say nothing.", ""]
    lines += [f"Started {report['started']}, {report['seconds']:.0f} s.", ""]
    if report.get("too_large"):
        lines += [f"Larger than 16 MB: {', '.join(report['too_large'])}.", ""]
    ceilings = _ceilings(parts)
    for name, entry in parts.items():
        lines += [part(name, entry, ceilings), ""]
    return "\n".join(lines)


def part(name: str, entry: dict, ceilings: dict | None = None) -> str:
    """Return the section of one part; ceilings: of `_ceilings`, for the part `fast`."""
    rows = entry["rows"]
    lines = [f"## {entry['title']}", "", f"{entry['status']}, {entry['seconds']:.0f} s", ""]
    table: Callable | None = _TABLES.get(name)
    good = [row for row in rows if "error" not in row]
    if table is _fast:
        lines += _fast(good, ceilings or {})
    elif table and good:
        lines += table(good)
    lines += [f"* **{row['task']}**: {row['error']}" for row in rows if "error" in row]
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Iterable[Sequence]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines] + [""]


def _ceilings(parts: dict) -> dict:
    """Return the rates that the very card has: copy in GB/s, products in TFLOP/s."""
    rows = {row["task"]: row for row in parts.get("machine", {}).get("rows", [])}
    return {
        "copy": rows.get("copy", {}).get("gb_per_s"),
        "float16": rows.get("matrix product, float16", {}).get("tflop_per_s"),
        "float32": rows.get("matrix product, float32 as TF32", {}).get("tflop_per_s"),
    }


def _machine(rows: list[dict]) -> list[str]:
    facts = {k: v for row in rows for k, v in _flat(row).items() if k not in ("took_s", "task")}
    for row in rows:
        if "tflop_per_s" in row:
            facts[row["task"]] = f"{row['tflop_per_s']} TFLOP/s"
    facts.pop("tflop_per_s", None)
    names = {"gb_per_s": "copy, read and written, GB/s", "renderer": "OpenGL"}
    return _table(["what", ""], [(names.get(k, k), v) for k, v in facts.items()])


def _flat(row: dict) -> dict:
    packages = row.get("packages", {})
    return {k: v for k, v in row.items() if k != "packages"} | packages


def _right(rows: list[dict]) -> list[str]:
    outputs = list(dict.fromkeys(name for row in rows for name in row["relative"]))

    def line(row: dict) -> list:
        errors = row["relative"]
        far = [f"{errors[name]:.1e}" if name in errors else "" for name in outputs]
        return [row["task"], "yes" if row["ok"] else "**no**", row["vertices_mm_max"], *far]

    head = ["network, precision, way, layout", "right", "mesh, mm at most", *outputs]
    return [
        "Relative error ||a - b|| / ||b|| against the CPU in float32, the worst of all batches.",
        "",
        *_table(head, map(line, rows)),
    ]


def _providers(rows: list[dict]) -> list[str]:
    head = ["asked for", "answer", "right", "one crop, ms"]
    said = {True: "yes", False: "**no**", None: ""}
    return _table(
        head,
        ([r["task"], r["says"], said[r.get("ok")], r.get("one_crop_ms", "")] for r in rows),
    )


def _fast(rows: list[dict], ceilings: dict) -> list[str]:
    def line(row: dict) -> list:
        device, call = row.get("device_ms"), row["call_ms"]
        way = row.get("serving") or ("graph" if row["graph"] else "eager")
        floor = _floor_ms(row, ceilings)
        return [
            row["network"], row["batch"], row["precision"], way,
            f"{device['median']:.3f} / {device['p90']:.3f}" if device else "",
            f"{call['median']:.3f} / {call['p90']:.3f}",
            f"{floor:.3f}" if floor else "", f"{device['median'] / floor:.1f}" if floor else "",
            call["runs"] if not device else device["runs"],
        ]  # fmt: skip

    head = [
        "network", "crops", "precision", "way", "device, ms", "NumPy to NumPy, ms", "floor, ms",
        "times the floor", "runs",
    ]  # fmt: skip
    return [
        "Median / 90th percentile after a warm-up. Device: between events of the device. Floor: "
        "the longer of operations over the measured rate of products and weights read once over "
        "the measured rate of copies.",
        "",
        *_table(head, map(line, rows)),
    ]


def _floor_ms(row: dict, ceilings: dict) -> float | None:
    rate, copy = ceilings.get(row["precision"]), ceilings.get("copy")
    if not rate or not copy or "gflop" not in row:
        return None
    return max(row["gflop"] / rate, row["weights_mb"] / copy)


def _pipeline(rows: list[dict]) -> list[str]:
    lines = []
    for row in rows:
        for hands, stages in row["hands"].items():
            for stage, figures in stages.items():
                spent = f"{figures['median_ms']:.2f} / {figures['p90_ms']:.2f}"
                lines.append([row["serving"], hands, stage, figures["pictures"], spent])
    return _table(["network on", "hands", "stage", "images", "ms, median / p90"], lines)


def _trains(rows: list[dict]) -> list[str]:
    lines = []
    for row in rows:
        figures = {
            k: v for k, v in row.items()
            if k not in ("task", "took_s", "validations", "shipped", "new")
        }  # fmt: skip
        lines.append(
            [row["task"], ", ".join(f"{k} {v}" for k, v in figures.items()), row["took_s"]]
        )
    lines = _table(["step", "", "s"], lines)
    for row in rows:
        if "new" in row:
            new, old = row["new"], row["shipped"]
            lines += _table(
                ["held-out images", *new],
                [["shipped", *(old.get(k, "") for k in new)], ["new", *new.values()]],
            )
    return lines


_TABLES = {
    "machine": _machine,
    "right": _right,
    "providers": _providers,
    "fast": _fast,
    "pipeline": _pipeline,
    "trains": _trains,
}
