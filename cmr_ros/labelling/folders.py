"""Labels whole folders of photographs, each by itself, and writes them shard by shard."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cmr_ros.errors import InputError
from cmr_ros.files.output import write_bytes
from cmr_ros.files.pictures import to_picture
from cmr_ros.files.untrusted import read_bytes
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand import Hand
from cmr_ros.hand_model.model import HandModel
from cmr_ros.labelling.fit import FittedHand, HandFitter
from cmr_ros.labelling.looks import Consensus, look_several_times
from cmr_ros.labelling.pictures import Label, anywhere, sample_of
from cmr_ros.labelling.places import ImageHand, PlaceSampler
from cmr_ros.model import weights
from cmr_ros.pipeline import HandPipeline
from cmr_ros.synthesis.sample import Sample
from cmr_ros.synthesis.shards import packed, shard_path, write_shard
from cmr_ros.workers import Workers

NO_HAND = "no hand found"
_SUFFIXES = (".jpg", ".jpeg", ".png")
#: Pictures of a shard.
_SHARD = 100
#: Labels are kept within these: what looks, fit and maps say of the hand must agree.  Pixels are
#: those of the crop, in which a stretched hand is about 200 long.
_LEAST_PRESENCE, _LEAST_CONFIDENCE, _LEAST_AGREEMENT = 0.8, 0.3, 0.9
_MOST_SPREAD_PX, _MOST_RMS_PX, _MOST_OUTLINE_PX, _MOST_STRANGENESS = 6.0, 5.0, 4.0, 1.6
#: How many times the finder is asked: by then it has seen the image with a border, too, which hands
#: that fill it need.
_SEARCHES = 3
#: Share of the crops from elsewhere that the finder proposes, if it proposes any.
_PROPOSED = 0.5
#: A joint this far off, by its spread and by its distance from the fit together, counts half.
_HALF_PX = 4.0


@dataclass(frozen=True)
class LabellingPlan:
    """How to label a folder."""

    folder: Path  # of photographs, subfolders included
    output: Path  # folder of shards
    model: Path | None = None  # name or folder of the network that looks; None: "exact"
    copies: int = 4  # samples of each hand; the first one shows it as it is
    elsewhere: int = 0  # crops of each picture wherever that is, to train what is no hand
    per_folder: int | None = None  # at most so many pictures of each folder, evenly spaced
    hfov_deg: float = 60.0  # horizontal field of view that photographs are taken to have
    max_hands: int = 2
    seed: int = 0

    def pictures(self) -> list[Path]:
        """Return the pictures to label, relative to the folder; InputError if there are none."""
        found: dict[Path, list[Path]] = {}
        for path in sorted(self.folder.rglob("*")):
            if path.suffix.lower() in _SUFFIXES and path.is_file():
                found.setdefault(path.parent, []).append(path.relative_to(self.folder))
        if not found:
            raise InputError(f"{self.folder}: no JPEG or PNG here; give a folder of photographs")
        return [path for paths in found.values() for path in _spaced(paths, self.per_folder)]


def label_folder(plan: LabellingPlan, workers: Workers) -> list[dict]:
    """Label what is not labelled yet; return an entry for every picture, in their order.

    Labels depend on the plan and on the picture alone, not on who labels or on interruptions.  Each
    entry has `picture`, the number of its `samples`, why hands in it were `refused` and, where it
    cannot be read, why as `unreadable`.
    """
    pictures = plan.pictures()
    spans = [pictures[i : i + _SHARD] for i in range(0, len(pictures), _SHARD)]
    missing = [n for n in range(len(spans)) if not _index(plan, n).exists()]
    photographs = _photographs(plan, [path for number in missing for path in spans[number]])
    total = sum(len(spans[number]) for number in missing)
    with (
        closing(workers.map(_label, photographs)) as labelled,
        tqdm(total=total, unit="image", desc="label") as progress,
    ):
        for number in missing:
            entries, pairs = [], []
            for _ in spans[number]:
                entry, made = next(labelled)
                entries.append(entry)
                pairs += made
                progress.update()
            if pairs:
                samples, codes = zip(*pairs, strict=True)
                write_shard(shard_path(plan.output, number), samples, codes, plan.seed)
            write_bytes(_index(plan, number), (json.dumps(entries, indent=0) + "\n").encode())
    return [entry for n in range(len(spans)) for entry in _read_index(_index(plan, n), spans[n])]


def disagreement(seen: Consensus, fitted: FittedHand) -> str:
    """Return what looks, fit and maps disagree on, with its figure; nothing if they agree."""
    most = {
        "spread_px": (seen.spread_px.mean(), _MOST_SPREAD_PX),
        "rms_px": (fitted.rms_px, _MOST_RMS_PX),
        "outline_px": (fitted.outline_px, _MOST_OUTLINE_PX),
        "strangeness": (fitted.strangeness, _MOST_STRANGENESS),
    }
    least = {
        "presence": (seen.presence, _LEAST_PRESENCE),
        "confidence": (seen.confidence.mean(), _LEAST_CONFIDENCE),
        "agreement": (seen.agreement, _LEAST_AGREEMENT),
    }
    wrong = [f"{name} {value:.2f}" for name, (value, bound) in least.items() if value < bound]
    # What is not a number is not within its bound either.
    wrong += [f"{name} {v:.2f}" for name, (v, bound) in most.items() if not v <= bound]
    return wrong[0] if wrong else ""


def _spaced(paths: list[Path], count: int | None) -> list[Path]:
    if count is None or count >= len(paths):
        return paths
    return [paths[i] for i in np.linspace(0, len(paths) - 1, count).round().astype(int)]


def _index(plan: LabellingPlan, number: int) -> Path:
    return plan.output / f"labels_{number:05d}.json"


def _read_index(path: Path, span: list[Path]) -> list[dict]:
    entries = json.loads(path.read_text(encoding="utf-8"))
    if [entry["picture"] for entry in entries] != [one.as_posix() for one in span]:
        raise InputError(f"{path}: labels of other images; write to another folder")
    return entries


#: A plan, a picture's path and its file's content, or why that cannot be read.
_Photograph = tuple[LabellingPlan, Path, bytes | InputError]


def _photographs(plan: LabellingPlan, paths: list[Path]) -> Iterator[_Photograph]:
    """Yield what is to be labelled, with its content: other machines need not have the files."""
    for path in paths:
        try:
            yield plan, path, read_bytes(plan.folder / path, "expected an image")
        except InputError as error:
            yield plan, path, error


def _label(photograph: _Photograph) -> tuple[dict, list[tuple[Sample, np.ndarray]]]:
    """Return a picture's entry and its samples, packed."""
    plan, path, data = photograph
    labeller = _labeller(plan)
    entry: dict = {"picture": path.as_posix(), "samples": 0, "refused": []}
    try:
        if isinstance(data, InputError):
            raise data
        samples, entry["refused"] = labeller(path, to_picture(data, plan.folder / path))
    except InputError as error:
        return entry | {"unreadable": str(error)}, []
    return entry | {"samples": len(samples)}, [packed(sample) for sample in samples]


@lru_cache(maxsize=1)
def _labeller(plan: LabellingPlan) -> Labeller:
    return Labeller(plan)


class Labeller:
    """Labels photographs according to a plan, one at a time."""

    def __init__(self, plan: LabellingPlan):
        self._plan = plan
        self._pipeline = HandPipeline(plan.model, providers=("cpu",), max_hands=plan.max_hands)
        model = HandModel.load(weights.find("hand_model.npz"))
        vertices = self._pipeline.template.vertices[0]
        if self._pipeline.network.card.crop != "virtual" or len(vertices) != len(
            model.template_index
        ):
            raise InputError(
                f"{plan.model}: no network of this package's hand in virtual crops; leave --model "
                "out, or name one that `cmr export` wrote"
            )
        self._fitter = HandFitter(model)
        self._places = PlaceSampler(model, self._pipeline.network.input_size)

    def __call__(self, path: Path, picture: np.ndarray) -> tuple[list[Sample], list[str]]:
        """Return the samples of a picture and why hands in it were refused.

        path: of the picture in the plan's folder, of which its random numbers are made.
        picture: (height, width, 3) uint8 RGB.
        """
        plan, pipeline = self._plan, self._pipeline
        height, width = picture.shape[:2]
        camera = Camera.from_fov(width, height, plan.hfov_deg)
        pipeline.reset()
        hands: list[Hand] = []
        for _ in range(_SEARCHES):
            hands = hands or pipeline(picture, camera)
        rng = np.random.default_rng([plan.seed, zlib.crc32(path.as_posix().encode())])
        samples, refused = [], [] if hands else [NO_HAND]
        labelled: list[ImageHand] = []
        for hand in hands:
            label, problem = self._label(hand, picture, camera)
            if label is None:
                refused.append(problem)
                continue
            labelled.append(ImageHand(hand.joints_px, hand.handedness is Handedness.LEFT))
            faces = pipeline.template.faces[0]
            samples += [
                sample_of(label, picture, faces, rng, clean=not copy) for copy in range(plan.copies)
            ]
        if plan.elsewhere:
            samples += self._elsewhere(picture, camera, labelled, rng)
        return samples, refused

    def _elsewhere(
        self,
        picture: np.ndarray,
        camera: Camera,
        hands: list[ImageHand],
        rng: np.random.Generator,
    ) -> list[Sample]:
        """Return crops from anywhere, of whose presence nothing is known: there may be others."""
        proposed = self._places.proposed(picture)
        samples = []
        for _ in range(self._plan.elsewhere):
            region = anywhere(*picture.shape[1::-1], rng)
            if proposed and rng.random() < _PROPOSED:
                region = proposed[rng.integers(len(proposed))]
            sample = self._places(picture, camera, region, hands, rng)
            samples.append(replace(sample, presence=None))
        return samples

    def _label(self, hand: Hand, picture: np.ndarray, camera: Camera) -> tuple[Label | None, str]:
        """Return the label of a hand, or None and what disagreed."""
        mirrored = hand.handedness is Handedness.LEFT
        seen = look_several_times(self._pipeline.network, picture, camera, hand.region, mirrored)
        fitted = self._fitter.fit(seen)
        if problem := disagreement(seen, fitted):
            return None, problem
        off_px = np.linalg.norm(seen.camera.project(fitted.joints_m) - seen.joints_px, axis=1)
        off = np.hypot(off_px, seen.spread_px) / _HALF_PX
        picture_weight = 1 / (1 + (fitted.rms_px / _HALF_PX) ** 2)
        return Label(seen, fitted, picture_weight / (1 + off**2)), ""
