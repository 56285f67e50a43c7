"""Rendered hands of several kinds and sizes in made-up scenes, and scenes without hands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from cmr_ros.benchmark.detection_case import Case
from cmr_ros.hand_model.model import HandModel
from cmr_ros.model import weights
from cmr_ros.synthesis.cutouts import CUTOUT, CutoutGenerator
from cmr_ros.synthesis.pasting import Pose2D, extend_arm, paste

_SEED = 20_260
_VGA, _FULL_HD = (640, 480), (1920, 1080)


@dataclass(frozen=True)
class _Kind:
    """What the hands of a kind have in common; extents in pixels."""

    extent_px: tuple[float, float]
    size: tuple[int, int] = _VGA
    changes: dict | None = None  # settings that differ from CUTOUT
    hands: int = 1
    grey: bool = False
    from_below: bool = False


_KINDS = {
    "far": _Kind((24, 64)),
    "middle": _Kind((64, 200)),
    "near": _Kind((300, 450)),
    "far, full HD": _Kind((48, 128), _FULL_HD),
    "held object": _Kind((60, 200), changes={"held": 1.0, "occluder": 0.0}),
    "egocentric": _Kind((100, 220), changes={"back_seen": 0.8, "palm_seen": 0.1}, from_below=True),
    "grey": _Kind((48, 200), grey=True),
    "two interlocked": _Kind((60, 160), hands=2),
}


def rendered_cases(
    count: int, empty: int, skins: Path | None, panoramas: Path | None
) -> Iterator[Case]:
    """Yield images of each kind, then some without hands, the same each time.

    Args:
        count: images of each kind.
        empty: images without hands.
        skins: folder of skin textures; None: they are made up.
        panoramas: folder of .exr panoramas; None: they are made up.
    """
    model = HandModel.load(weights.find("hand_model.npz"))
    for number, (name, kind) in enumerate(_KINDS.items()):
        settings = replace(CUTOUT, **(kind.changes or {}))
        generator = CutoutGenerator(model, _SEED + number, skins, panoramas, settings)
        for index in range(count):
            rng = np.random.default_rng([_SEED, number, index])
            cutouts = [generator.sample(kind.hands * index + k) for k in range(kind.hands)]
            yield _case(name, kind, cutouts, generator.scenery, rng)
    for index in range(empty):
        rng = np.random.default_rng([_SEED, len(_KINDS), index])
        yield Case("hand-free", generator.scenery(rng, _VGA), ())


def _case(name: str, kind: _Kind, cutouts, scenery: Callable, rng: np.random.Generator) -> Case:
    picture = scenery(rng, kind.size)
    extent = float(np.exp(rng.uniform(*np.log(kind.extent_px))))
    size = np.array(kind.size)
    margin = np.minimum(0.5 * extent, 0.45 * size)
    palm = rng.uniform(margin, size - margin)
    hands = []
    for number, cutout in enumerate(cutouts):
        turn = rng.normal(0, 0.35 if kind.from_below else 0.8)
        pose = Pose2D(extent, palm, turn, bool((number + rng.integers(2)) % 2))
        extend_arm(picture, cutout, pose, rng)
        hands.append(paste(picture, cutout, pose, rng.uniform(0.8, 1.15)))
        palm = palm + 0.5 * extent * _unit(rng)
    if kind.grey:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    return Case(name, picture, tuple(hands))


def _unit(rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])
