"""How images look, in numbers, and how well two sets of images can be told apart by numbers."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
#: Octaves of detail; the first holds what is about a pixel large.
_OCTAVES = 4
#: Pixels this near to the end of a crop, or of the silhouette, count to neither side of it.
_MARGIN_PX = 5
#: Weight of the squared coefficients against the mean logistic loss, and Newton's steps.
_DECAY, _STEPS = 0.03, 8


def statistics(picture: np.ndarray, hand: np.ndarray) -> dict[str, float]:
    """Return figures of how a crop looks, by name; NaN where there is too little of what they need.

    `skin` is what lies well inside the silhouette, `around` what lies well outside.  Detail is the
    standard deviation of an octave of brightness.

    Args:
        picture: (S, S, 3) uint8 RGB; what lies beyond its image is black.
        hand: (S, S) bool, the silhouette.
    """
    inside = cv2.dilate(border_of(picture).astype(np.uint8), _box(2 * _MARGIN_PX + 1)) == 0
    inside[[0, -1]] = inside[:, [0, -1]] = False
    flat = hand.astype(np.uint8)
    skin = inside & (cv2.erode(flat, _box(2 * _MARGIN_PX + 1)) > 0)
    around = inside & (cv2.dilate(flat, _box(2 * _MARGIN_PX + 1)) == 0)
    luma = picture.astype(np.float32) @ _LUMA
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    octaves = _octaves(luma)
    found = {
        "hand, share": hand.mean(),
        "clipped white, share": _mean(luma >= 250, inside),
        "clipped black, share": _mean(luma <= 5, inside),
        "contrast": _deviation(luma, inside),
        "noise": _median(np.abs(octaves[0]), inside),
    }
    for name, where in (("skin", skin), ("around", around)):
        found[f"{name}: lightness"] = _mean(lab[..., 0], where)
        found[f"{name}: chroma"] = _mean(chroma, where)
        found[f"{name}: red-green"] = _mean(lab[..., 1], where)
        found[f"{name}: yellow-blue"] = _mean(lab[..., 2], where)
        found[f"{name}: contrast"] = _deviation(luma, where)
        found[f"{name}: variety of colour"] = np.hypot(
            _deviation(lab[..., 1], where), _deviation(lab[..., 2], where)
        )
        found |= {
            f"{name}: detail of {2**k} px": _deviation(octave, where)
            for k, octave in enumerate(octaves)
        }
    found["skin: highlights, share"] = _mean(luma >= 235, skin)
    found["skin against around: lightness"] = found["skin: lightness"] - found["around: lightness"]
    found["skin against around: detail"] = found["skin: detail of 1 px"] / max(
        found["around: detail of 1 px"], 1e-3
    )
    return {name: float(value) for name, value in found.items()}


def border_of(picture: np.ndarray) -> np.ndarray:
    """Return where a crop (S, S, 3) is black, (S, S) bool, because its image ends before."""
    black = (picture == 0).all(axis=2).astype(np.uint8)
    return cv2.morphologyEx(black, cv2.MORPH_OPEN, _box(5)) > 0


def auc(first: np.ndarray, second: np.ndarray) -> float:
    """Return the probability that a number of the second set (N,) is larger than one of the first.

    Ties count half; what is NaN does not count.
    """
    first, second = (np.sort(values[~np.isnan(values)]) for values in (first, second))
    below = np.searchsorted(first, second, "left") + np.searchsorted(first, second, "right")
    return float(below.mean() / (2 * max(len(first), 1)))


def told_apart(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray]
) -> tuple[list[float], list[np.ndarray], list[np.ndarray]]:
    """Return how well logistic regression tells two sets apart that it has not seen.

    Each group of both sets is left out in turn, so images of one collection never are on both
    sides.

    Args:
        first: K groups of features (N, F).
        second: as many groups of the other set.

    Returns:
        The area under the ROC curve of each pair of groups left out; the scores (N,) of each group
        of the first set, and of the second: higher ones look more like the second set.
    """
    areas: list[float] = []
    scores: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for left_out in range(len(first)):
        taught = [
            np.concatenate([group for k, group in enumerate(groups) if k != left_out])
            for groups in (first, second)
        ]
        weights = _logistic_regression(*taught)
        found = [
            np.c_[groups[left_out], np.ones(len(groups[left_out]))] @ weights
            for groups in (first, second)
        ]
        areas.append(auc(*found))
        for of_set, of_group in zip(scores, found, strict=True):
            of_set.append(of_group)
    return areas, *scores


def _logistic_regression(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return weights (F + 1,) for features and a one, by Newton's method; sets weigh the same."""
    features = np.concatenate([first, second]).astype(float)
    middle, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    x = np.c_[(features - middle) / scale, np.ones(len(features))]
    is_second = np.repeat([0.0, 1.0], [len(first), len(second)])
    share = np.repeat([0.5 / len(first), 0.5 / len(second)], [len(first), len(second)])
    decay = np.diag(np.append(np.full(features.shape[1], _DECAY), 0))
    weights = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        slope = x.T @ (share * (probability - is_second)) + decay @ weights
        bend = (x.T * (share * probability * (1 - probability))) @ x + decay
        weights = weights - np.linalg.solve(bend + 1e-9 * np.eye(len(bend)), slope)
    weights[:-1] /= scale
    weights[-1] -= middle @ weights[:-1]
    return weights


def _octaves(luma: np.ndarray) -> list[np.ndarray]:
    """Return differences (S, S) of brightness smoothed by 0, 1, 2, 4, ... pixels."""
    smooth = [luma]
    smooth += [cv2.GaussianBlur(luma, (0, 0), 2.0**k) for k in range(_OCTAVES)]
    return [fine - coarse for fine, coarse in zip(smooth, smooth[1:], strict=False)]


def _box(side: int) -> np.ndarray:
    return np.ones((side, side), np.uint8)


def _mean(values: np.ndarray, where: np.ndarray) -> float:
    return values[where].mean() if where.sum() > 50 else np.nan


def _median(values: np.ndarray, where: np.ndarray) -> float:
    return np.median(values[where]) if where.sum() > 50 else np.nan


def _deviation(values: np.ndarray, where: np.ndarray) -> float:
    return values[where].std() if where.sum() > 50 else np.nan
