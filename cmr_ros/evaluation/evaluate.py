"""Runs the whole pipeline over a data set and measures every hand it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from cmr_ros.camera import Camera
from cmr_ros.drawing import hand_mask
from cmr_ros.evaluation.datasets import Sample
from cmr_ros.evaluation.metrics import distances_mm, f_score, procrustes
from cmr_ros.hand import Hand

#: Finds the hands of one picture, RGB (height, width, 3) uint8, without memory of other pictures.
Finder = Callable[[np.ndarray, Camera], list[Hand]]


@dataclass(frozen=True)
class Measurement:
    """How far one found hand is from the truth.

    px, pa_mm, rr_mm, cs_mm: (21,) per joint: distance in the picture; in space after Procrustes
    alignment, with both wrists in one place, and without any alignment.  handed: whether left and
    right were told apart.  The mesh and mask figures are None where the data set has no such truth
    or the template differs.
    """

    px: np.ndarray
    pa_mm: np.ndarray
    rr_mm: np.ndarray
    cs_mm: np.ndarray
    handed: bool
    pa_mpvpe_mm: float | None = None
    cs_mpvpe_mm: float | None = None
    f_at_5: float | None = None
    f_at_15: float | None = None
    mask_iou: float | None = None


def measure(hand: Hand, sample: Sample) -> Measurement:
    """Compare a hand with the truth of its picture."""
    truth = sample.joints_m
    joints = hand.joints_m
    true_px = sample.camera.project(truth)
    figures = {}
    if sample.vertices_m is not None:
        if hand.vertices_m.shape == sample.vertices_m.shape:
            aligned = procrustes(hand.vertices_m, sample.vertices_m)
            figures["pa_mpvpe_mm"] = float(distances_mm(aligned, sample.vertices_m).mean())
            figures["cs_mpvpe_mm"] = float(distances_mm(hand.vertices_m, sample.vertices_m).mean())
            figures["f_at_5"] = f_score(aligned, sample.vertices_m, 5)
            figures["f_at_15"] = f_score(aligned, sample.vertices_m, 15)
    if sample.mask is not None:
        figures["mask_iou"] = _mask_iou(hand, sample)
    return Measurement(
        px=np.linalg.norm(hand.joints_px - true_px, axis=-1),
        pa_mm=distances_mm(procrustes(joints, truth), truth),
        rr_mm=distances_mm(joints - joints[0], truth - truth[0]),
        cs_mm=distances_mm(joints, truth),
        handed=hand.handedness == sample.handedness,
        **figures,
    )


def _mask_iou(hand: Hand, sample: Sample) -> float:
    predicted = hand_mask([hand], sample.camera) > 0
    true = cv2.imread(str(sample.mask), cv2.IMREAD_GRAYSCALE) > 0
    union = np.count_nonzero(predicted | true)
    return np.count_nonzero(predicted & true) / union if union else 1.0


def nearest(hands: list[Hand], sample: Sample) -> Hand | None:
    """Return the hand whose 2D joints lie nearest to the true ones; None when there is none."""
    true_px = sample.camera.project(sample.joints_m)
    return min(
        hands,
        key=lambda hand: np.linalg.norm(hand.joints_px - true_px, axis=-1).mean(),
        default=None,
    )


def evaluate(find: Finder, samples: Iterable[Sample]) -> Iterator[Measurement | None]:
    """Yield a measurement per sample, in order; None where no hand was found."""
    for sample in samples:
        hand = nearest(find(sample.picture(), sample.camera), sample)
        yield None if hand is None else measure(hand, sample)


def summarise(measurements: list[Measurement | None]) -> dict[str, float | int | None]:
    """Return the figures of `cmr evaluate --json`: means over the found hands, misses counted."""
    found = [m for m in measurements if m is not None]

    def mean(name: str) -> float | None:
        values = [value for m in found if (value := getattr(m, name)) is not None]
        return float(np.mean(values)) if values else None

    return {
        "images": len(measurements),
        "misses": len(measurements) - len(found),
        "px": mean("px"),
        "pa_mpjpe_mm": mean("pa_mm"),
        "rr_mpjpe_mm": mean("rr_mm"),
        "cs_mpjpe_mm": mean("cs_mm"),
        "handedness_accuracy": mean("handed"),
        "pa_mpvpe_mm": mean("pa_mpvpe_mm"),
        "cs_mpvpe_mm": mean("cs_mpvpe_mm"),
        "f_at_5": mean("f_at_5"),
        "f_at_15": mean("f_at_15"),
        "mask_iou": mean("mask_iou"),
    }
