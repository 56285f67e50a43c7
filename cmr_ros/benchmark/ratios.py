"""How the ratios of a run beside others moved against those of an earlier run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmr_ros.errors import InputError
from cmr_ros.files.structured import read_structured

_RATIO = "median_ratio"
_OURS = "cmr_ros"
_REMEDY = "take a file that `cmr benchmark pipeline --peer NAME --json FILE` wrote"


@dataclass(frozen=True)
class Move:
    """The ratio of our time to a peer's in a scene, in an earlier run and now."""

    scene: str
    peer: str
    before: float
    now: float

    @property
    def share(self) -> float:
        """By how much it grew, as a share of the earlier one."""
        return self.now / self.before - 1


def read_ratios(path: Path) -> dict[tuple[str, str], float]:
    """Return the ratios of an earlier run by scene and peer; InputError for another file."""
    try:
        ratios = dict(_ratios(read_structured(path, _REMEDY)))
        if ratios and min(ratios.values()) > 0:
            return ratios
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    raise InputError(f"{path}: holds no ratios; {_REMEDY}")


def moves(
    figures: Mapping[str, Mapping[str, Mapping[str, float]]],
    before: Mapping[tuple[str, str], float],
) -> list[Move]:
    """Return how the ratios that both runs have moved.

    figures: of the run now, by scene and by who ran.  before: as `read_ratios` returns them.
    Raises InputError where the runs have none in common.
    """
    found = [
        Move(scene, peer, before[scene, peer], now)
        for (scene, peer), now in _ratios(figures)
        if (scene, peer) in before
    ]
    if not found:
        raise InputError("the earlier run has no scene and no peer of this one; compare like runs")
    return found


def _ratios(figures: Any) -> Iterator[tuple[tuple[str, str], float]]:
    for scene, rows in figures.items():
        for name, row in rows.items():
            if name != _OURS:
                yield (scene, name), float(row[_RATIO])
