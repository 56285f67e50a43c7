"""Who answers: this package's pipeline on crops of its own or on true ones, or a peer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from cmr_ros.errors import InputError
from cmr_ros.evaluation.sample import Answer, Sample
from cmr_ros.geometry.regions import region_from_joints
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.model import weights
from cmr_ros.model.template import HandTemplate
from cmr_ros.pipeline import HandPipeline

#: Answers to a picture, without memory of other pictures.
Finder = Callable[[Sample], list[Answer]]

Peer = Literal["mediapipe"]
PEERS: tuple[Peer, ...] = get_args(Peer)
#: Where a crop comes from: the palm detector finds it in the whole image, or the true joints do.
CropSource = Literal["detector", "truth"]
CROPS: tuple[CropSource, ...] = get_args(CropSource)


@dataclass(frozen=True)
class Method:
    """What answers; all that a process needs to start it."""

    model: Path | None = None  # name or folder, see `weights.hand_network`
    crops: CropSource = "detector"
    peer: Peer | None = None  # answers in place of the model, with a detector of its own
    hand_length_m: float = 0.0  # of all hands; 0: unknown, an adult's is assumed
    one_view: bool = False  # whether what a second camera shows is ignored

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.peer or self.folder.name

    @property
    def takes_pairs(self) -> bool:
        """Whether it looks at what a second camera shows."""
        return not (self.one_view or self.peer or self.crops == "truth")

    def start(self) -> Finder:
        """Return the finder; InputError when it lacks files or packages."""
        if self.peer == "mediapipe":
            from cmr_ros.evaluation.peers import MediaPipe

            return MediaPipe()
        if self.crops == "truth":
            return _in_true_crops(
                HandPipeline(self.model, min_score=0.0, hand_length_m=self.hand_length_m)
            )
        pipeline = HandPipeline(self.model, hand_length_m=self.hand_length_m)
        return _in_whole_pictures(pipeline, self.takes_pairs)

    @property
    def folder(self) -> Path:
        """The model folder."""
        return weights.hand_network(self.model)

    def template(self) -> HandTemplate:
        """Return the template of the model's vertices."""
        return HandTemplate.load(self.folder / "template.npz")

    def fingerprint(self) -> dict[str, str]:
        """Return what makes the numbers what they are, the network's contents included."""
        entries = {"crops": self.crops, "peer": str(self.peer)}
        entries["hand_length_m"] = str(self.hand_length_m)
        entries["one_view"] = str(self.one_view)
        if self.peer is None:
            for name in ("model.onnx", "model.json", "template.npz"):
                path = self.folder / name
                try:
                    entries[name] = hashlib.sha256(path.read_bytes()).hexdigest()
                except OSError as error:
                    raise InputError(f"{path}: {error.strerror}; expected a model folder") from None
        return entries


def _in_whole_pictures(pipeline: HandPipeline, takes_pairs: bool) -> Finder:
    def find(sample: Sample) -> list[Answer]:
        pipeline.reset()
        picture = sample.picture()
        second = sample.beside.view() if takes_pairs and sample.beside else None
        hands = pipeline(picture, sample.camera, second=second)
        if second:  # from its second image on a hand is looked for in both views
            hands = pipeline(picture, sample.camera, second=second)
        return [Answer.of(hand, sample.camera) for hand in hands]

    return find


def _in_true_crops(pipeline: HandPipeline) -> Finder:
    """Let the truth place the crop and name the hand; the network's own confidence is not used."""
    margin = pipeline.network.card.crop_margin

    def find(sample: Sample) -> list[Answer]:
        joints_px = sample.camera.project(sample.joints_m)
        region = region_from_joints(joints_px, sample.handedness is Handedness.LEFT, margin)
        hand = pipeline.recover(sample.picture(), sample.camera, region, sample.handedness)
        if hand is None:
            return []
        return [replace(Answer.of(hand, sample.camera), was_told_side=True)]

    return find
