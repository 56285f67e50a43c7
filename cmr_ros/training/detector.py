"""Trains the hand detector on scenes that other processes compose meanwhile."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from tqdm import tqdm

from cmr_ros.files.pictures import read_picture
from cmr_ros.hand_model.model import HandModel
from cmr_ros.model import weights
from cmr_ros.network.detector import STRIDE, HandDetector
from cmr_ros.synthesis.cutouts import CutoutGenerator
from cmr_ros.synthesis.hand_scenes import Photograph, Scene, SceneComposer
from cmr_ros.synthesis.settings import SceneSettings
from cmr_ros.tracking.detection import PalmDetector, Window
from cmr_ros.training.average import Average

#: Photographs are used if all hands found in them are at least that likely.
_SURE = 0.6
_LONGEST_PHOTOGRAPH = 320
#: Weights of the losses: score, place, side, direction, handedness.
_WEIGHTS = (1.0, 0.3, 1.0, 1.0, 0.2)


@dataclass(frozen=True)
class DetectorPlan:
    """How to train a detector.

    Data: skins, panoramas: folders, see `Generator`.  photographs: folder of pictures of hands, to
    be labelled by the palm detector.  cutouts, surroundings: how many to render.
    Steps: each of batch_size pictures, three quarters of them four scenes of half the size.
    """

    output: Path
    skins: Path | None = None
    panoramas: Path | None = None
    photographs: Path | None = None
    cutouts: int = 1500
    surroundings: int = 700
    steps: int = 4000
    batch_size: int = 16
    learning_rate: float = 3e-3
    jobs: int = 1  # processes that compose scenes
    seed: int = 0


def train(plan: DetectorPlan) -> Path:
    """Train as planned; return the path of the ONNX file."""
    torch.manual_seed(plan.seed)
    network = HandDetector().to(memory_format=torch.channels_last)
    average = Average(network, 0.998)
    optimizer = torch.optim.AdamW(network.parameters(), plan.learning_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.learning_rate, plan.steps, pct_start=0.05
    )
    batches = _batches(plan)
    with tqdm(range(plan.steps), unit="step") as progress:
        for step in progress:
            pictures, targets = next(batches)
            loss = detection_loss(network(pictures), *targets)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            average.update(network, step)
            progress.set_postfix(loss=f"{loss.item():.3f}")
    return export(average.network, plan.output)


def detection_loss(
    cells: torch.Tensor, heat: torch.Tensor, share: torch.Tensor, goals: torch.Tensor
) -> torch.Tensor:
    """Return the loss of a batch of maps.

    Args:
        cells: (N, 7, h, w), the network's answer.
        heat: (N, h, w), see `targets`.
        share: (N, h, w), likewise.
        goals: (N, 6, h, w), likewise.
    """
    likely = torch.sigmoid(cells[:, 0]).clamp(1e-5, 1 - 1e-5)
    peaks = heat > 0.999
    # Focal loss that spares a peak's neighbours, as in CenterNet.
    on = -((1 - likely) ** 2 * likely.log())[peaks].sum()
    off = -((1 - heat) ** 4 * likely**2 * (1 - likely).log())[~peaks].sum()

    def apart(channels: slice) -> torch.Tensor:
        told, true = cells[:, 1:7][:, channels], goals[:, channels]
        error = smooth_l1_loss(told, true, reduction="none", beta=0.2).sum(dim=1)
        return (error * share).sum() / share.sum().clamp(min=1)

    known = share * (goals[:, 5] >= 0)
    side = binary_cross_entropy_with_logits(cells[:, 6], goals[:, 5].clamp(min=0), reduction="none")
    parts = (
        (on + off) / peaks.sum().clamp(min=1),
        apart(slice(0, 2)),
        apart(slice(2, 3)),
        apart(slice(3, 5)),
        (side * known).sum() / known.sum().clamp(min=1),
    )
    return sum(weight * part for weight, part in zip(_WEIGHTS, parts, strict=True))


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


def _batches(plan: DetectorPlan) -> Iterator[tuple[torch.Tensor, list[torch.Tensor]]]:
    rng = np.random.default_rng(plan.seed)
    # A process that renders must not share its parent's OpenGL context.
    loader = DataLoader(
        _Scenes(plan), None, num_workers=plan.jobs, multiprocessing_context="spawn",
        prefetch_factor=32,
    )  # fmt: skip
    scenes = iter(loader)
    pool = [next(scenes) for _ in range(40 * plan.batch_size)]
    size = SceneSettings().size_px
    while True:
        # A scene is seen some times, mirrored and beside others, before it makes room.
        for _ in range(plan.batch_size):
            pool[rng.integers(len(pool))] = next(scenes)
        rows = []
        for number in range(plan.batch_size):
            chosen = [pool[k] for k in rng.integers(len(pool), size=4)]
            rows.append(flipped(chosen[0], rng) if number % 4 == 0 else mosaic(chosen, rng))
        pictures = torch.from_numpy(np.stack([row.picture for row in rows])).permute(0, 3, 1, 2)
        pictures = pictures.float().div(255).contiguous(memory_format=torch.channels_last)
        truth = zip(*(targets(row.hands, size) for row in rows), strict=True)
        yield pictures, [torch.from_numpy(np.stack(part)) for part in truth]


class _Scenes(IterableDataset):
    """Scenes without end, composed by the loader's processes, each from hands of its own."""

    def __init__(self, plan: DetectorPlan):
        self._plan = plan

    def __iter__(self) -> Iterator[Scene]:
        cv2.setNumThreads(1)
        plan = self._plan
        worker = get_worker_info()
        seed = [plan.seed, worker.id if worker else 0]
        rng = np.random.default_rng(seed)
        model = HandModel.load(weights.find("hand_model.npz"))
        generator = CutoutGenerator(model, int(rng.integers(1 << 31)), plan.skins, plan.panoramas)
        cutouts = [generator.sample(k) for k in range(plan.cutouts)]
        surroundings = [generator.scenery(rng, (320, 320)) for _ in range(plan.surroundings)]
        photographs = label(plan.photographs) if plan.photographs else []
        composer = SceneComposer(cutouts, surroundings, photographs)
        while True:
            yield composer.scene(rng)


def label(folder: Path) -> list[Photograph]:
    """Return the pictures of a folder and of those in it whose hands are clear to see."""
    palms = PalmDetector(weights.find(weights.PALM_DETECTION), min_score=0.3)
    photographs = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".png")):
        picture = read_picture(path)
        height, width = picture.shape[:2]
        scale = min(_LONGEST_PHOTOGRAPH / max(height, width), 1.0)
        if scale < 1:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            height, width = picture.shape[:2]
        found = palms(picture) or palms(picture, Window.around(width, height, 0.25))
        if found and min(hand.score for hand in found) > _SURE:
            photographs.append(Photograph(picture, tuple(hand.region for hand in found)))
    return photographs


class _OfPictures(nn.Module):
    """The network with its input as cameras deliver it: (N, H, W, 3) uint8."""

    def __init__(self, network: HandDetector):
        super().__init__()
        self.network = network

    def forward(self, image):
        return self.network(image.permute(0, 3, 1, 2).float() / 255)


def export(network: HandDetector, folder: Path) -> Path:
    """Write hand_detection.onnx for pictures of any size; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "hand_detection.onnx"
    sizes = {0: "count", 1: "height", 2: "width"}
    torch.onnx.export(
        _OfPictures(network.cpu()).eval(),
        (torch.zeros(1, 320, 320, 3, dtype=torch.uint8),),
        str(path),
        input_names=["image"],
        output_names=["map"],
        dynamic_axes={"image": sizes, "map": {0: "count", 2: "rows", 3: "columns"}},
        opset_version=17,
        dynamo=False,
    )
    return path
