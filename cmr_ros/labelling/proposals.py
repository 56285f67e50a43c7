"""Training samples of what the finder proposes in made-up scenes: whether that is a hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.geometry.regions import region_from_joints
from cmr_ros.hand_model.model import HandModel
from cmr_ros.model import weights
from cmr_ros.model.cues import read_cues
from cmr_ros.model.inference import load_network
from cmr_ros.synthesis.rendering_jobs import Studio
from cmr_ros.synthesis.sample import CERTAINTY, Sample, without_truth
from cmr_ros.synthesis.scene_kinds import HAND_FREE, KINDS, KindComposer, SceneOfKind
from cmr_ros.tracking.detection import PalmDetector
from cmr_ros.tracking.finder import HandFinder
from cmr_ros.tracking.hand_detector import HandDetector

#: Share of scenes without hands; of looks at a scene, the most.
_HAND_FREE, _MOST_LOOKS = 0.6, 9
#: Share of the crops that are placed by the joints found in a first one, as the pipeline's are
#: when it decides whether a hand is new.
_AGAIN = 0.5
#: A crop shows a hand if so many of its joints lie inside, and they extend over so much of its
#: side; it shows none if hardly any does.  What is in between teaches nothing.
_INSIDE, _EXTENT, _HARDLY = 0.7, (0.27, 1.0), 0.15
_HFOV_DEG = 60.0
#: The hand that stands for the unknown truth lies there.
_AHEAD_M = np.array([0.0, 0.0, 0.5])


class ProposalGenerator:
    """Draws crops that the finder proposes; crop i of a seed is the same in every process."""

    def __init__(
        self,
        model: HandModel,
        seed: int,
        skins: Path | None,
        panoramas: Path | None,
        size_px: int,
    ):
        """Prepare to render and to look.

        Args:
            model: of the hand.
            seed: of all crops.
            skins: folder of skin textures; None: they are made up.
            panoramas: folder of .exr panoramas; None: they are made up.
            size_px: side of the crops.

        Raises:
            InputError: Rendering is impossible, or a folder cannot be used.
        """
        self._seed, self._size_px = seed, size_px
        self._composer = KindComposer(model, seed, skins, panoramas)
        self._finder = HandFinder(
            PalmDetector(weights.find(weights.PALM_DETECTION)),
            HandDetector(weights.find(weights.HAND_DETECTION)),
        )
        self._network = load_network(
            weights.find(weights.HAND_NETWORK), providers=("cpu",), threads=1
        )
        posed = model.rest()
        self._hand = posed.template_vertices + _AHEAD_M, posed.joints + _AHEAD_M

    def sample(self, index: int) -> Sample:
        """Return crop `index`, whose presence is known."""
        rng = np.random.default_rng([self._seed, index])
        while True:
            kind = HAND_FREE if rng.random() < _HAND_FREE else KINDS[rng.integers(len(KINDS))]
            scene = self._composer.scene(kind, int(rng.integers(1 << 31)))
            height, width = scene.picture.shape[:2]
            camera = Camera.from_fov(width, height, _HFOV_DEG)
            regions = self._proposed(scene.picture)
            for number in rng.permutation(len(regions)):
                region, mirrored = regions[number], bool(rng.integers(2))
                if rng.random() < _AGAIN:
                    region = self._again(scene.picture, camera, region, mirrored)
                crop = CropCamera.looking_at(camera, region, self._size_px, mirrored)
                presence = _presence(crop, scene)
                if presence is not None:
                    picture = crop.cut(scene.picture)
                    return without_truth(picture, crop.matrix, *self._hand, presence)

    def _again(self, picture: np.ndarray, camera: Camera, region: Region, mirrored: bool) -> Region:
        """Return where a second look follows a first one at a region."""
        network = self._network
        crop = CropCamera.looking_at(camera, region, network.input_size)
        prediction = network(crop.cut(picture)[None])
        (cues,) = read_cues(prediction, network.input_size, network.card.joint_cue)
        return region_from_joints(crop.to_picture(cues.joints_px), mirrored)

    def _proposed(self, picture: np.ndarray) -> list[Region]:
        finder = self._finder
        finder.reset()
        with finder.still(picture) as count:
            looks = [finder(picture, []) for _ in range(min(count, _MOST_LOOKS))]
        return [detection.region for found in looks for detection in found]


@dataclass(frozen=True)
class ProposalStudio(Studio):
    """What a process needs to make a `ProposalGenerator` of its own."""

    def generator(self) -> ProposalGenerator:
        """Return a generator of this studio; its OpenGL context belongs to the calling process."""
        size_px = self.settings.size_px
        return ProposalGenerator(self.hand(), self.seed, self.skins, self.panoramas, size_px)


def _presence(crop: CropCamera, scene: SceneOfKind) -> float | None:
    """Return whether a crop shows a hand of a scene, as a probability; None if it is debatable."""
    shares, extents = [0.0], [0.0]
    for joints_px in scene.hands:
        pixels = crop.from_picture(joints_px)
        shares.append(((pixels > 0) & (pixels < crop.size_px)).all(axis=1).mean())
        extents.append(np.ptp(pixels, axis=0).max() / crop.size_px)
    best = int(np.argmax(shares))
    if shares[best] <= _HARDLY:
        return 1 - CERTAINTY
    is_hand = shares[best] >= _INSIDE and _EXTENT[0] < extents[best] < _EXTENT[1]
    return CERTAINTY if is_hand else None
