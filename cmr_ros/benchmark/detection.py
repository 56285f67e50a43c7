"""Share of hands found by their size and kind, false hands, and the time to look for them."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.output import write_bytes
from cmr_ros.files.pictures import read_picture
from cmr_ros.files.untrusted import read_json
from cmr_ros.geometry.camera import Camera
from cmr_ros.hand_model.model import HandModel
from cmr_ros.model import weights
from cmr_ros.pipeline import HandPipeline
from cmr_ros.synthesis.scene_kinds import HAND_FREE, KINDS, KindComposer, SceneOfKind

#: Of the renders.
_SEED = 20_260
#: Images are shown 30 times a second; how long is waited for a hand, in images up to and beyond
#: 1000 pixels wide.
_RATE_HZ, _PATIENCE_S, _LARGE_PX = 30, (0.3, 0.6), 1000
#: A hand is found when its joints, or the middles of both boxes, lie on average within this share
#: of the true box's diagonal.
_NEAR = 0.25
#: Lower edges of the size classes, longer side of the joints' box in pixels.
_SIZES_PX = (16, 24, 32, 48, 64, 96, 128, 200, 320, 450)
#: Edges of the classes of scores.
_SCORES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


def add_arguments(parser) -> None:
    """Declare the arguments of this part."""
    parser.add_argument(
        "--manifest",
        type=Path,
        action="append",
        default=[],
        help="images with joints_m, joints_px or boxes_xywh (default: renders)",
    )
    parser.add_argument("--count", type=int, default=40, help="renders of each kind")
    parser.add_argument("--empty", type=int, default=200, help="hand-free images")
    parser.add_argument("--skins", type=Path, metavar="DIR", help="folder of skin textures")
    parser.add_argument("--hdri", type=Path, metavar="DIR", help="folder of .exr panoramas")
    parser.add_argument("--model", type=Path, help="exact (default), lite, or a model folder")
    parser.add_argument("--max-hands", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")


def run(args) -> None:
    """Print recall by kind and size, false hands, milliseconds, and how right scores are."""
    pipeline = HandPipeline(args.model, max_hands=args.max_hands, threads=args.threads)
    if args.manifest:
        cases = (case for path in args.manifest for case in manifest_cases(path))
    else:
        model = HandModel.load(weights.find("hand_model.npz"))
        composer = KindComposer(model, _SEED, args.skins, args.hdri)
        counts = dict.fromkeys(KINDS, args.count) | {HAND_FREE: args.empty}
        cases = (
            composer.scene(kind, index) for kind, count in counts.items() for index in range(count)
        )
    figures = measure(pipeline, cases)
    for group in ("by kind", "by size"):
        print(f"\n{group:24s}  hands  found")
        for name, row in figures[group].items():
            print(f"{name:24s}{row['hands']:7d}{row['found']:7.3f}")
    print(f"\n{figures['images']} images, {figures['false hands']} hands where there are none")
    if figures["hand-free images"]:
        print(f"{figures['false per 1000']:.1f} false hands per 1000 hand-free images")
    print(f"{figures['look ms']:.1f} ms per look for hands")
    print("\nscore                    hands  right")
    for name, row in figures["by score"].items():
        print(f"{name:24s}{row['hands']:7d}{row['right']:7.3f}")
    if args.json:
        write_bytes(args.json, (json.dumps(figures, indent=2) + "\n").encode())


def manifest_cases(path: Path) -> Iterator[SceneOfKind]:
    """Yield the images of a manifest, all of one kind: the name of its folder."""
    path = path / "manifest.json" if path.is_dir() else path
    content = read_json(path, "expected a manifest.json")
    try:
        entries = content["images"]
        for entry in entries:
            picture = read_picture(path.parent / entry["image"])
            yield SceneOfKind(path.parent.name, picture, tuple(_true_hands(entry)))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"{path}: {error!r}; expected images with joints_m and K, joints_px or boxes_xywh"
        ) from None


def _true_hands(entry: dict) -> Iterator[np.ndarray]:
    if "boxes_xywh" in entry:
        for x, y, width, height in entry["boxes_xywh"]:
            yield np.array([[x, y], [x + width, y + height]], float)
    elif "joints_px" in entry:
        yield from np.array(entry["joints_px"], float).reshape(-1, 21, 2)
    else:
        joints = np.array(entry["joints_m"], float).reshape(21, 3)
        pixels = joints @ np.array(entry["K"], float).T
        yield pixels[:, :2] / pixels[:, 2:]


def measure(pipeline: HandPipeline, cases) -> dict:
    """Return the figures that `run` prints."""
    from tqdm import tqdm  # other parts of `cmr benchmark` run without it

    found = {"by kind": defaultdict(list), "by size": defaultdict(list)}
    images = empty = false = false_empty = 0
    looks, scores = [], []
    for case in tqdm(cases, unit="image"):
        hit, seen, seconds = _show(pipeline, case)
        extra = sum(not right for _, right in seen)
        for hand, success in zip(case.hands, hit, strict=True):
            found["by kind"][case.kind].append(success)
            found["by size"][_size_class(case.picture, hand)].append(success)
        images, false, looks, scores = images + 1, false + extra, looks + seconds, scores + seen
        if not case.hands:
            empty, false_empty = empty + 1, false_empty + extra
    groups = {
        group: {
            name: {"hands": len(hits), "found": float(np.mean(hits))}
            for name, hits in sorted(classes.items(), key=lambda item: _order(item[0]))
        }
        for group, classes in found.items()
    }
    return groups | {
        "images": images,
        "false hands": false,
        "hand-free images": empty,
        "false per 1000": 1000 * false_empty / max(empty, 1),
        "look ms": 1000 * float(np.mean(looks)) if looks else 0.0,
        "by score": _reliability(scores),
    }


def _reliability(scores: list[tuple[float, bool]]) -> dict[str, dict]:
    """Return by class of scores how many hands there were, and which share of them was right."""
    classes: dict[int, list[bool]] = defaultdict(list)
    for score, right in scores:
        classes[int(np.searchsorted(_SCORES[1:-1], score, side="right"))].append(right)
    return {
        f"{_SCORES[index]:g} to {_SCORES[index + 1]:g}": {
            "hands": len(rights),
            "right": float(np.mean(rights)),
        }
        for index, rights in sorted(classes.items())
    }


def _show(
    pipeline: HandPipeline, case: SceneOfKind
) -> tuple[list[bool], list[tuple[float, bool]], list[float]]:
    """Show an image again and again.

    Returns which hands were found, the scores of the hands seen at the end and whether they are
    some, and the seconds that the images took in which nothing was followed.
    """
    height, width = case.picture.shape[:2]
    camera = Camera.from_fov(width, height, hfov_deg=60)
    pipeline.reset()
    hit = [False] * len(case.hands)
    seen: list[tuple[float, bool]] = []
    seconds = []
    for count in range(round(_RATE_HZ * _PATIENCE_S[max(width, height) > _LARGE_PX])):
        start = time.perf_counter()
        hands = pipeline(case.picture, camera, count / _RATE_HZ)
        if not hands:
            seconds.append(time.perf_counter() - start)
        near = np.array([[_near(hand.joints_px, true) for true in case.hands] for hand in hands])
        near = near.reshape(len(hands), len(case.hands))
        hit = [bool(was or now) for was, now in zip(hit, near.any(axis=0), strict=True)]
        seen = [
            (hand.score, bool(right)) for hand, right in zip(hands, near.any(axis=1), strict=True)
        ]
        if case.hands and all(hit):
            break
    return hit, seen, seconds


def _near(joints_px: np.ndarray, true_px: np.ndarray) -> bool:
    diagonal = np.linalg.norm(np.ptp(true_px, axis=0))
    if len(true_px) == len(joints_px):
        apart = np.linalg.norm(joints_px - true_px, axis=1).mean()
    else:
        middle = (joints_px.min(axis=0) + joints_px.max(axis=0)) / 2
        apart = np.linalg.norm(middle - true_px.mean(axis=0))
    return bool(apart < _NEAR * diagonal)


def _size_class(picture: np.ndarray, hand: np.ndarray) -> str:
    extent = np.ptp(hand, axis=0).max()
    low = max((size for size in _SIZES_PX if size <= extent * 1.01), default=0)
    return f"{picture.shape[1]}x{picture.shape[0]} {low:3d} px"


def _order(name: str):
    return [int(word) if word.isdigit() else word for word in name.replace("x", " ").split()]
