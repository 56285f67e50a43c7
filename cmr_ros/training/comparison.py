"""Renders beside photographs: can the network's own features tell them apart, and by what?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
import torch

from cmr_ros.evaluation.look import auc, border_of, statistics, told_apart
from cmr_ros.labelling.crops import Crop
from cmr_ros.model.card import ModelCard
from cmr_ros.model.template import HandTemplate
from cmr_ros.network.engine import stored_network

_BATCH = 50


@dataclass(frozen=True, eq=False)
class Comparison:
    """How renders and photographs differ."""

    #: For each set of features and each collection of photographs: the area under the ROC curve of
    #: a classifier that learnt from the others.  `pose` knows nothing but where joints are:
    #: features that know more than the look cannot be expected to fall below it.
    areas: dict[str, dict[str, float]]
    #: Medians of photographs and of renders, and the area under the ROC curve of each figure alone.
    statistics: dict[str, tuple[float, float, float]]
    #: Crops in the order of how much they look like renders, the most likely ones first.
    photographs: list[Crop]
    renders: list[Crop]


def compare(
    photographs: Mapping[str, Sequence[Crop]], renders: Sequence[Crop], model: Path
) -> Comparison:
    """Return how photographs, by collection, and renders differ.

    Args:
        photographs: crops of each collection, two collections at least.
        renders: as many as all photographs together, or so.
        model: folder of the network whose trunk makes the features.
    """
    groups = [*photographs.values()]
    shares = [renders[k :: len(groups)] for k in range(len(groups))]
    crops = [crop for group in (*groups, *shares) for crop in group]
    ends = np.cumsum([len(group) for group in (*groups, *shares)])[:-1]
    pictures = [
        _with_borders(crop.picture, other.picture)
        for mine, others in (*zip(groups, shares, strict=True), *zip(shares, groups, strict=True))
        for crop, other in zip(mine, cycle(others), strict=False)
    ]
    figures = [
        statistics(picture, crop.hand) for picture, crop in zip(pictures, crops, strict=True)
    ]
    table = np.array([list(one.values()) for one in figures])
    sets = {"pose": np.stack([_pose(crop) for crop in crops])}
    sets["figures"] = np.where(np.isnan(table), np.nanmedian(table, axis=0), table)
    sets |= trunk_features(model, np.stack(pictures))
    areas, scores = {}, np.zeros(len(crops))
    for name, features in sets.items():
        parts = np.split(features, ends)
        found, of_photographs, of_renders = told_apart(parts[: len(groups)], parts[len(groups) :])
        areas[name] = dict(zip(photographs, found, strict=True))
        if name != "pose":
            scores += _ranks(np.concatenate([*of_photographs, *of_renders]))
    order, count = np.argsort(-scores), sum(len(group) for group in groups)
    columns = {name: (table[:count, k], table[count:, k]) for k, name in enumerate(figures[0])}
    return Comparison(
        areas,
        {
            name: (float(np.nanmedian(a)), float(np.nanmedian(b)), auc(a, b))
            for name, (a, b) in columns.items()
        },
        [crops[k] for k in order if k < count],
        [crops[k] for k in order if k >= count],
    )


@torch.inference_mode()
def trunk_features(model: Path, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Return features (N, F) of crops (N, S, S, 3) uint8 by depth: means and deviations of maps."""
    card = ModelCard.load(model / "model.json")
    template = HandTemplate.load(model / "template.npz")
    trunk = stored_network(model / "model.onnx", card, template).network.trunk.eval()
    found: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(pictures), _BATCH):
        batch = torch.from_numpy(pictures[start : start + _BATCH]).permute(0, 3, 1, 2) / 255
        for name, x in trunk(batch)._asdict().items():
            if x.ndim == 4:
                x = torch.cat([x.mean(dim=(2, 3)), x.std(dim=(2, 3))], dim=1)
            found.setdefault(name, []).append(x.numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _pose(crop: Crop) -> np.ndarray:
    """Return the joints' places and their products (F,), which know nothing of the look."""
    places = crop.joints_px.ravel() / len(crop.picture) - 0.5
    return np.concatenate([places, np.outer(places, places)[np.triu_indices(len(places))]])


def _with_borders(picture: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return a crop (S, S, 3) that ends where another one does, too.

    How often crops reach beyond their image is a matter of the collection, not of the renderer.
    """
    return picture * ~border_of(other)[..., None]


def _ranks(scores: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(scores)) / len(scores)
