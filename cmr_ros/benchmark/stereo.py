"""Registration of hands in two views, on made-up pairs with the errors of the shipped network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cmr_ros.benchmark.cases import SIZE_PX, Cases
from cmr_ros.benchmark.made_up_pairs import ADULT, NOISE, STEREO_KINDS, Pairs, simulate_pairs
from cmr_ros.geometry.covariance import inside_90
from cmr_ros.registration import RootEstimate, View, register

BASELINES_M, DISTANCES_M = (0.05, 0.12, 0.2, 0.3), (0.3, 0.6, 1.0, 2.0)
_BATCH = 30


def measure_pairs(pairs: Pairs) -> dict[str, float]:
    """Return failures, mean root errors in mm of one view and of both, and ellipsoids' coverage."""
    alone = _register(pairs, lambda index: [])
    both = _register(pairs, lambda index: [pairs.view(index)])
    found = [
        index
        for index, pair in enumerate(zip(alone, both, strict=True))
        if all(isinstance(answer, RootEstimate) for answer in pair)
    ]
    roots_m = pairs.first.roots_m[found]
    report: dict[str, float] = {"failures": len(pairs) - len(found)}
    for name, answers in (("one", alone), ("both", both)):
        errors = np.array([answers[index].translation_m for index in found]) - roots_m
        covariances = np.array([answers[index].covariance_m2 for index in found])
        report[f"{name}_mean_mm"] = float(1e3 * np.linalg.norm(errors, axis=1).mean())
        report[f"{name}_coverage_90"] = float(inside_90(errors, covariances).mean())
    report["joined"] = float(np.mean(["stereo" in both[index].cues for index in found]))
    return report


def _register(pairs: Pairs, views: Callable[[int], list[View]]) -> list:
    answers = []
    for start in range(0, len(pairs), _BATCH):
        batch = range(start, min(start + _BATCH, len(pairs)))
        part, first = slice(batch.start, batch.stop), pairs.first
        answers += register(
            first.vertices_m[part], first.joints_m[part], [first.cues(i) for i in batch],
            first.matrices[part], SIZE_PX, noise=NOISE, sizes=[ADULT] * len(batch),
            views=[views(i) for i in batch],
        )  # fmt: skip
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
    head = "mean root error in mm".ljust(32) + "one view  ellipsoid     both  ellipsoid    joined"
    lines = [head]
    for name, row in (report["kinds"] | report["grid"]).items():
        lines.append(
            f"{name:32s}{row['one_mean_mm']:8.1f}{100 * row['one_coverage_90']:9.1f} %"
            f"{row['both_mean_mm']:9.1f}{100 * row['both_coverage_90']:9.1f} %"
            f"{100 * row['joined']:8.0f} %"
        )
    return "\n".join(lines)
