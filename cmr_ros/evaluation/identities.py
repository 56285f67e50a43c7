"""Whether hands keep their ids: the measures of multiple-object tracking.

Id switches and fragmentations as in Bernardin and Stiefelhagen, "Evaluating Multiple Object
Tracking Performance: The CLEAR MOT Metrics" (2008), and Li et al., "Learning to Associate" (2009);
IDF1 and identity recall as in Ristani et al., "Performance Measures and a Data Set for
Multi-Target, Multi-Camera Tracking" (2016).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

#: A hand is met where its joints lie on average within this share of the true box's diagonal.
_NEAR = 0.25


@dataclass(frozen=True)
class IdentityFigures:
    """Sums over all images of one or more scenes."""

    true: int = 0  # hands to be seen
    found: int = 0  # hands reported
    right: int = 0  # of them, by the one id that fits each hand best
    switches: int = 0  # hands met by another id than the last time
    fragmentations: int = 0  # hands met again after they were not

    def __add__(self, other: IdentityFigures) -> IdentityFigures:
        return IdentityFigures(**{name: n + getattr(other, name) for name, n in vars(self).items()})

    @property
    def idf1(self) -> float:
        """The F1 score of hands reported by the right id."""
        return 2 * self.right / max(self.true + self.found, 1)

    @property
    def recall(self) -> float:
        """The share of hands to be seen that were reported by the right id."""
        return self.right / max(self.true, 1)


class Identities:
    """Compares the hands found in the images of one scene with the true ones."""

    def __init__(self) -> None:
        self._true = self._found = self._switches = self._fragmentations = 0
        self._met: Counter[tuple[Hashable, Hashable]] = Counter()
        self._last: dict[Hashable, Hashable] = {}  # true hand: the id that met it last
        self._away: set[Hashable] = set()  # true hands that were met, but not in the last image

    def add(
        self, true_px: Mapping[Hashable, np.ndarray], found_px: Mapping[Hashable, np.ndarray]
    ) -> None:
        """Take in the next image.

        Args:
            true_px: joints (21, 2) in pixels of the hands that it shows, by name.
            found_px: the same of those found, by id.
        """
        self._true += len(true_px)
        self._found += len(found_px)
        near = {
            (name, id_): distance
            for name, joints in true_px.items()
            for id_, other in found_px.items()
            if (distance := _distance(joints, other)) < _NEAR
        }
        self._met.update(near.keys())
        # Whoever is still met by the same id stays with it; the others are shared out.
        pairs = {name: id_ for name, id_ in self._last.items() if (name, id_) in near}
        taken = set(pairs.values())
        free = {
            pair: distance
            for pair, distance in near.items()
            if pair[0] not in pairs and pair[1] not in taken
        }
        pairs |= dict(_best(free))
        for name in true_px:
            if name not in pairs:
                if name in self._last:
                    self._away.add(name)
                continue
            self._switches += self._last.get(name, pairs[name]) != pairs[name]
            self._fragmentations += name in self._away
            self._away.discard(name)
        self._last |= pairs

    def figures(self) -> IdentityFigures:
        """Return the figures of the scene so far."""
        right = sum(self._met[pair] for pair in _best({k: -n for k, n in self._met.items()}))
        return IdentityFigures(self._true, self._found, right, self._switches, self._fragmentations)


def _distance(true_px: np.ndarray, found_px: np.ndarray) -> float:
    diagonal = np.linalg.norm(np.ptp(true_px, axis=0))
    return float(np.linalg.norm(found_px - true_px, axis=1).mean() / diagonal)


def _best(costs: Mapping[tuple, float]) -> list[tuple]:
    """Return the pairs of least cost in sum, each of both in one at most."""
    names, ids = (sorted({pair[side] for pair in costs}) for side in (0, 1))
    # Dearer than any sum of real costs, so that as many pairs as possible are made.
    matrix = np.full((len(names), len(ids)), 1.0 + sum(map(abs, costs.values())))
    for (name, id_), cost in costs.items():
        matrix[names.index(name), ids.index(id_)] = cost
    pairs = ((names[i], ids[j]) for i, j in zip(*linear_sum_assignment(matrix), strict=True))
    return [pair for pair in pairs if pair in costs]
