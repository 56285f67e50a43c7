"""Registration of hands in two views, on made-up pairs with the errors of the shipped network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmr_ros.benchmark.cases import SIZE_PX, Cases
from cmr_ros.benchmark.made_up_pairs import ADULT, NOISE, STEREO_KINDS, Pairs, simulate_pairs
from cmr_ros.geometry.covariance import inside_90
from cmr_ros.registration import HandSize, RootEstimate, register

BASELINES_M, DISTANCES_M = (0.05, 0.12, 0.2, 0.3), (0.3, 0.6, 1.0, 2.0)
#: What is measured, and its title: one view of an adult's hand, of one whose length is known, with
#: a depth camera's image; two views.
WAYS = {"one": "one view", "known": "known length", "depth": "depth", "both": "two views"}
_BATCH = 30


def measure_pairs(pairs: Pairs) -> dict[str, float]:
    """Return failures, and of each of WAYS mean root errors in mm and the ellipsoids' coverage."""
    adults = [ADULT] * len(pairs)
    answers = {
        "one": _register(pairs, adults),
        "known": _register(pairs, [HandSize.measured(length_m) for length_m in pairs.lengths_m]),
        "depth": _register(pairs, adults, depths_m=pairs.depths_m),
        "both": _register(pairs, adults, views=[[pairs.view(i)] for i in range(len(pairs))]),
    }
    found = [
        index
        for index, row in enumerate(zip(*answers.values(), strict=True))
        if all(isinstance(answer, RootEstimate) for answer in row)
    ]
    roots_m = pairs.first.roots_m[found]
    report: dict[str, float] = {"failures": len(pairs) - len(found)}
    for name, estimates in answers.items():
        errors = np.array([estimates[index].translation_m for index in found]) - roots_m
        covariances = np.array([estimates[index].covariance_m2 for index in found])
        report[f"{name}_mean_mm"] = float(1e3 * np.linalg.norm(errors, axis=1).mean())
        report[f"{name}_coverage_90"] = float(inside_90(errors, covariances).mean())
    report["joined"] = float(np.mean(["stereo" in answers["both"][i].cues for i in found]))
    return report


def _register(pairs: Pairs, sizes: Sequence[HandSize], **further: Sequence) -> list:
    answers = []
    for start in range(0, len(pairs), _BATCH):
        part, first = slice(start, min(start + _BATCH, len(pairs))), pairs.first
        answers += register(
            first.vertices_m[part],
            first.joints_m[part],
            [first.cues(index) for index in range(part.start, part.stop)],
            first.matrices[part],
            SIZE_PX,
            noise=NOISE,
            sizes=sizes[part],
            **{name: values[part] for name, values in further.items()},
        )
    return answers


def report_pairs(like: Cases, count: int, seed: int) -> dict:
    """Return the figures of each kind, and those of a grid of baselines and distances."""
    return {
        "kinds": {
            name: measure_pairs(simulate_pairs(like, count, seed, kind=kind))
            for kind, name in enumerate(STEREO_KINDS)
        },
        "grid": {
            f"{baseline:g} m apart, hand at {distance:g} m": measure_pairs(
                simulate_pairs(like, count, seed, baseline_m=baseline, distance_m=distance)
            )
            for baseline in BASELINES_M
            for distance in DISTANCES_M
        },
    }


def pairs_table(report: dict) -> str:
    """Return a report as text."""
    titles = "".join(f"{title:>12s} {'inside':>6s}" for title in WAYS.values())
    lines = ["mean root error in mm, share inside the 90 % ellipsoid", f"{'':32s}{titles}  joined"]
    for name, row in (report["kinds"] | report["grid"]).items():
        figures = "".join(
            f"{row[f'{way}_mean_mm']:12.1f} {100 * row[f'{way}_coverage_90']:4.0f} %"
            for way in WAYS
        )
        lines.append(f"{name:32s}{figures}{100 * row['joined']:6.0f} %")
    return "\n".join(lines)
