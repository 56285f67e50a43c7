"""Measure the registration on cases with known roots, beside the published answers."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from cmr_ros.benchmark.cases import KINDS, SIZE_PX, Cases, load_cases
from cmr_ros.benchmark.simulate import simulate_cases
from cmr_ros.benchmark.stereo import pairs_table, report_pairs
from cmr_ros.geometry.covariance import inside_90
from cmr_ros.registration import SCHEMES, RootEstimate, register

_REPEATS = 5
#: Hands a call while timing; batching is what the registration is made for.
_TIMED_BATCH = 6
_BATCH = 30


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--cases", required=True, metavar="FILE", help="cases as an .npz file")
    parser.add_argument(
        "--simulate", type=int, metavar="N",
        help="measure N new cases of the same sort instead, made from the file's hands",
    )  # fmt: skip
    parser.add_argument(
        "--stereo", type=int, metavar="N",
        help="measure N new pairs of views of each kind instead, made from the file's hands",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of the new cases")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--figure", metavar="PNG", help="draw some cases before and after")


def run(args: Namespace) -> None:
    """Measure, print and draw."""
    cases = load_cases(args.cases)
    if args.stereo:
        pairs = report_pairs(cases, args.stereo, args.seed)
        print(json.dumps(pairs, indent=2) if args.json else pairs_table(pairs))
        return
    if args.simulate:
        cases = simulate_cases(cases, args.simulate, args.seed)
    report = measure(cases)
    print(json.dumps(report, indent=2) if args.json else table(report, cases))
    if args.figure:
        from cmr_ros.benchmark.registration_figure import draw_cases

        draw_cases(cases, Path(args.figure))


def register_cases(cases: Cases, scheme: str) -> list:
    """Return the answers of one scheme for all cases."""
    answers = []
    for first in range(0, len(cases), _BATCH):
        batch = np.arange(first, min(first + _BATCH, len(cases)))
        answers += register(
            cases.vertices_m[batch], cases.joints_m[batch], [cases.cues(i) for i in batch],
            cases.matrices[batch], SIZE_PX, scheme=scheme,
        )  # fmt: skip
    return answers


def measure(cases: Cases) -> dict:
    """Return errors, coverage and times: of our registration, of its schemes, and published."""
    schemes = {}
    for scheme in SCHEMES:
        answers = register_cases(cases, scheme)
        found = np.array([isinstance(answer, RootEstimate) for answer in answers])
        roots = np.full((len(cases), 3), np.nan)
        placed = [answer for answer in answers if isinstance(answer, RootEstimate)]
        roots[found] = [answer.translation_m for answer in placed]
        schemes[scheme] = {"root_error_mm": _errors(roots, cases), "failures": int((~found).sum())}
        if scheme == SCHEMES[0]:
            covariances = np.array([answer.covariance_m2 for answer in placed])
            errors = (roots - cases.roots_m)[found]
            schemes[scheme]["coverage_90"] = float(inside_90(errors, covariances).mean())
    report = {
        "cases": len(cases),
        **schemes.pop(SCHEMES[0]),
        "ms_per_hand": _milliseconds(cases, _TIMED_BATCH),
        "ms_per_hand_alone": _milliseconds(cases, 1),
        "schemes": schemes,
    }
    if cases.published_m is not None:
        report["published"] = {"root_error_mm": _errors(cases.published_m, cases)}
    return report


def _errors(roots_m: np.ndarray, cases: Cases) -> dict:
    """Return root errors in mm over the hands found: overall, and the mean of each kind."""
    error = 1e3 * np.linalg.norm(roots_m - cases.roots_m, axis=-1)
    return {
        "mean": float(np.nanmean(error)),
        "median": float(np.nanmedian(error)),
        "p90": float(np.nanpercentile(error, 90)),
        "by_kind": {
            str(kind): float(np.nanmean(error[cases.kinds == kind]))
            for kind in np.unique(cases.kinds)
        },
    }


def _milliseconds(cases: Cases, batch: int) -> float:
    """Return the median time per hand in milliseconds, registered `batch` hands a call.

    Each call's best of five (as timeit has it), in time of all cores together: neither other
    programs nor a second core shall change it.
    """
    times = []
    for first in range(0, len(cases) - batch + 1, batch):
        part = slice(first, first + batch)
        arguments = (
            cases.vertices_m[part], cases.joints_m[part],
            [cases.cues(i) for i in range(first, first + batch)], cases.matrices[part], SIZE_PX,
        )  # fmt: skip
        repeats = []
        for _ in range(_REPEATS):
            start = time.process_time()
            register(*arguments)
            repeats.append(time.process_time() - start)
        times.append(min(repeats) / batch)
    return float(1e3 * np.median(times)) if times else float("nan")


def table(report: dict, cases: Cases) -> str:
    """Return the report as text."""
    columns = {"ours": report["root_error_mm"]}
    columns |= {name: part["root_error_mm"] for name, part in report["schemes"].items()}
    columns["published"] = columns.pop("published")
    if "published" in report:
        columns["as published"] = report["published"]["root_error_mm"]
    names = {"joints": "joints only", "silhouette": "silh. only", "published": "2D-1D here"}
    lines = [f"root error in mm, {len(cases)} hands".ljust(26)]
    lines[0] += "".join(names.get(name, name).rjust(14) for name in columns)
    rows = [(key, key, lambda errors, key=key: errors[key]) for key in ("mean", "median", "p90")]
    rows += [
        (kind, f"mean, {KINDS[int(kind)] if int(kind) < len(KINDS) else 'kind ' + kind}",
         lambda errors, kind=kind: errors["by_kind"][kind])
        for kind in report["root_error_mm"]["by_kind"]
    ]  # fmt: skip
    for _, label, value in rows:
        lines.append(label.ljust(26) + "".join(f"{value(c):14.1f}" for c in columns.values()))
    lines.append(
        f"truth inside the 90 % ellipsoid: {100 * report['coverage_90']:.1f} %; "
        f"failures: {report['failures']}"
    )
    lines.append(
        f"ms per hand on one core: {report['ms_per_hand']:.2f} in calls of {_TIMED_BATCH} hands, "
        f"{report['ms_per_hand_alone']:.2f} alone"
    )
    return "\n".join(lines)
