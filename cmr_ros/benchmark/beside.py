"""The pipeline and MediaPipe on the same images in turn: time, processor time and memory."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from cmr_ros.evaluation.mediapipe_hands import peak_bytes
from cmr_ros.evaluation.peers import MediaPipe
from cmr_ros.files import playback
from cmr_ros.geometry.camera import Camera
from cmr_ros.pipeline import HandPipeline

#: Peer -> complexity of its model.
PEERS = {"mediapipe": 1, "mediapipe-lite": 0}
_WIDE = 1280, 720
#: Images a second of the recording, as the pipeline is told.
_RATE_HZ = 30.0


@dataclass(frozen=True)
class Cost:
    """What one image cost.

    wall_s: until the answer.  cpu_s: of all threads.  peak_bytes: most memory of the process so
    far.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int


@dataclass(frozen=True, eq=False)
class Scene:
    """A sequence of images in which so many hands are seen.

    frames: of the recording, in order.  arrange: makes the scene's image of a frame's.
    """

    hands: int
    size: tuple[int, int]
    frames: Sequence[playback.Frame]
    arrange: Callable[[np.ndarray], np.ndarray]

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.hands} hand{'s' * (self.hands > 1)}, {self.size[0]}x{self.size[1]}"

    def images(self) -> Iterator[np.ndarray]:
        """Yield the images, RGB (height, width, 3) uint8, decoded one by one."""
        return (self.arrange(frame.picture()) for frame in self.frames)


def scenes(frames: Sequence[playback.Frame]) -> list[Scene]:
    """Return the scenes that a recording makes: one, two and four hands, in two sizes.

    Four hands are two copies of a frame of two, side by side.
    """
    by_count: dict[int, list[playback.Frame]] = defaultdict(list)
    for frame in frames:
        by_count[len(frame.truth)].append(frame)
    height, width = frames[0].picture().shape[:2]
    arranged = [
        Scene(hands, size, by_count[hands], arrange)
        for hands in (1, 2)
        for size, arrange in (((width, height), _as_it_is), (_WIDE, partial(_pasted, copies=1)))
    ]
    four = Scene(4, _WIDE, by_count[2], partial(_pasted, copies=2))
    return [scene for scene in (*arranged, four) if scene.frames]


def compare(
    scene: Scene, model: Path | None, threads: int, peers: Sequence[str], turns: int
) -> dict[str, dict]:
    """Return the figures of the pipeline ("cmr_ros") and of the peers, run in turn.

    Args:
        scene: what to show them.
        model: model folder, by default the package's own.
        threads: of the pipeline.
        peers: of `PEERS`.
        turns: how often each is shown the whole scene.

    Raises:
        InputError: a peer is not installed or does not run.
    """
    most_hands = max(scene.hands, 2)
    costs: dict[str, list[Cost]] = defaultdict(list)
    with ExitStack() as opened:
        answerers = {"cmr_ros": _pipeline(scene, model, threads, most_hands)}
        for name in peers:
            mediapipe = opened.enter_context(closing(MediaPipe("video", PEERS[name], most_hands)))
            answerers[name] = partial(_peer_cost, mediapipe)
        for _ in range(turns):
            for name, answer in answerers.items():
                costs[name] += [answer(image) for image in scene.images()]
    figures = {name: _figures(costs[name]) for name in answerers}
    for row in figures.values():
        row["median_ratio"] = figures["cmr_ros"]["median_ms"] / row["median_ms"]
    return figures


def _pipeline(
    scene: Scene, model: Path | None, threads: int, most_hands: int
) -> Callable[[np.ndarray], Cost]:
    pipeline = HandPipeline(model, threads=threads, max_hands=most_hands, looks_beside=True)
    # Any lens will do: the scene may be two images in one.
    camera = Camera.from_fov(*scene.size, 60.0)
    stamp_s = 0.0

    def answer(image: np.ndarray) -> Cost:
        nonlocal stamp_s
        stamp_s += 1 / _RATE_HZ
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        pipeline(image, camera, stamp_s)
        wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
        return Cost(wall_s, cpu_s, peak_bytes())

    return answer


def _peer_cost(mediapipe: MediaPipe, image: np.ndarray) -> Cost:
    answer = mediapipe.answer(image)
    return Cost(answer["wall_s"], answer["cpu_s"], answer["peak_bytes"])


def _figures(costs: Sequence[Cost]) -> dict[str, float]:
    median, p90 = np.percentile([1000 * cost.wall_s for cost in costs], (50, 90))
    return {
        "images": len(costs),
        "median_ms": float(median),
        "p90_ms": float(p90),
        "cpu_ms": 1000 * float(np.mean([cost.cpu_s for cost in costs])),
        "peak_mb": max(cost.peak_bytes for cost in costs) / 1e6,
    }


def _as_it_is(picture: np.ndarray) -> np.ndarray:
    return picture


def _pasted(picture: np.ndarray, copies: int) -> np.ndarray:
    """Return copies of a picture side by side, as large as they fit, on grey."""
    width, height = _WIDE
    scale = min(width / copies / picture.shape[1], height / picture.shape[0])
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    wide = np.full((height, width, 3), 127, np.uint8)
    top = (height - picture.shape[0]) // 2
    for copy in range(copies):
        left = round((copy + 0.5) * width / copies - picture.shape[1] / 2)
        wide[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return wide
