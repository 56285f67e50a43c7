"""Rendered hands of several kinds and sizes in made-up scenes, and scenes without hands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from cmr_ros.hand_model.model import HandModel
from cmr_ros.synthesis.cutouts import CUTOUT, Cutout, CutoutGenerator
from cmr_ros.synthesis.pasting import Pose2D, extend_arm, paste

_VGA, _FULL_HD = (640, 480), (1920, 1080)
#: The kind of scenes without hands.
HAND_FREE = "hand-free"


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
#: Kinds with hands, in the order of their seeds.
KINDS = tuple(_KINDS)


@dataclass(frozen=True, eq=False)
class SceneOfKind:
    """An image and its true hands."""

    kind: str
    picture: np.ndarray  # (height, width, 3) uint8 RGB
    hands: tuple[np.ndarray, ...]  # pixels of the joints (21, 2), or of the box's corners (2, 2)
    left: tuple[bool, ...] = ()  # whether each is a left one, where that is known


class KindComposer:
    """Draws scenes; scene i of a kind and a seed is the same in every process."""

    def __init__(
        self, model: HandModel, seed: int, skins: Path | None = None, panoramas: Path | None = None
    ):
        """Prepare to render; errors are those of `CutoutGenerator`.

        Args:
            model: the hands'.
            seed: of everything that is drawn.
            skins: folder of skin textures; None: made-up ones.
            panoramas: folder of panoramas for the surroundings; None: made-up ones.
        """
        self._seed = seed
        self._generators = {
            name: CutoutGenerator(
                model, seed + number, skins, panoramas, replace(CUTOUT, **(kind.changes or {}))
            )
            for number, (name, kind) in enumerate(_KINDS.items())
        }

    def scene(self, kind: str, index: int) -> SceneOfKind:
        """Return scene `index` of a kind, one of KINDS or HAND_FREE."""
        number = KINDS.index(kind) if kind in KINDS else len(KINDS)
        rng = np.random.default_rng([self._seed, number, index])
        if kind == HAND_FREE:
            return SceneOfKind(kind, self._generators[KINDS[-1]].scenery(rng, _VGA), ())
        count, generator = _KINDS[kind].hands, self._generators[kind]
        cutouts = [generator.sample(count * index + k) for k in range(count)]
        return _composed(kind, cutouts, generator, rng)


def _composed(
    name: str, cutouts: list[Cutout], generator: CutoutGenerator, rng: np.random.Generator
) -> SceneOfKind:
    kind = _KINDS[name]
    picture = generator.scenery(rng, kind.size)
    extent = float(np.exp(rng.uniform(*np.log(kind.extent_px))))
    size = np.array(kind.size)
    margin = np.minimum(0.5 * extent, 0.45 * size)
    palm = rng.uniform(margin, size - margin)
    hands, left = [], []
    for number, cutout in enumerate(cutouts):
        turn = rng.normal(0, 0.35 if kind.from_below else 0.8)
        pose = Pose2D(extent, palm, turn, bool((number + rng.integers(2)) % 2))
        extend_arm(picture, cutout, pose, rng)
        hands.append(paste(picture, cutout, pose, rng.uniform(0.8, 1.15)))
        left.append(pose.left)
        palm = palm + 0.5 * extent * _unit(rng)
    if kind.grey:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    return SceneOfKind(name, picture, tuple(hands), tuple(left))


def _unit(rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])
