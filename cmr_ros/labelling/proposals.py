"""Training samples of what the finder proposes in made-up scenes: is that a hand, and where?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.geometry.regions import region_from_joints
from cmr_ros.hand_model.model import HandModel
from cmr_ros.labelling.places import ImageHand, PlaceSampler
from cmr_ros.model import weights
from cmr_ros.model.cues import read_cues
from cmr_ros.model.inference import load_network
from cmr_ros.synthesis.rendering_jobs import Studio
from cmr_ros.synthesis.sample import Sample
from cmr_ros.synthesis.scene_kinds import HAND_FREE, KINDS, KindComposer

#: Share of scenes without hands.
_HAND_FREE = 0.5
#: Share of the proposed crops that are placed by the joints found in a first one, as the pipeline's
#: are when it decides whether a hand is new; of scenes with hands, the share whose crop is not
#: proposed, but placed around a hand at random.
_AGAIN, _AROUND = 0.5, 0.5
#: Standard deviations of those crops' middles by the smaller side of crop and hand, and of their
#: direction in radians; their sides by the hand's.
_OFF, _TURN_RAD, _SIDES = 0.25, 1.2, (0.35, 2.5)
_HFOV_DEG = 60.0


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
        self._seed = seed
        self._composer = KindComposer(model, seed, skins, panoramas)
        self._network = load_network(
            weights.find(weights.HAND_NETWORK), providers=("cpu",), threads=1
        )
        self._places = PlaceSampler(model, size_px)

    def sample(self, index: int) -> Sample:
        """Return crop `index`, of which it is known whether it shows a hand, or where."""
        rng = np.random.default_rng([self._seed, index])
        while True:
            kind = HAND_FREE if rng.random() < _HAND_FREE else KINDS[rng.integers(len(KINDS))]
            scene = self._composer.scene(kind, int(rng.integers(1 << 31)))
            height, width = scene.picture.shape[:2]
            camera = Camera.from_fov(width, height, _HFOV_DEG)
            if scene.hands and rng.random() < _AROUND:
                joints_px = scene.hands[rng.integers(len(scene.hands))]
                regions = [_misplaced(region_from_joints(joints_px), rng)]
            else:
                regions = self._places.proposed(scene.picture)
                if regions and rng.random() < _AGAIN:
                    first = regions[rng.integers(len(regions))]
                    regions = [self._again(scene.picture, camera, first, bool(rng.integers(2)))]
            hands = [ImageHand(*hand) for hand in zip(scene.hands, scene.left, strict=True)]
            for number in rng.permutation(len(regions)):
                sample = self._places(scene.picture, camera, regions[number], hands, rng)
                if sample.presence is not None or sample.visible.any():
                    return sample

    def _again(self, picture: np.ndarray, camera: Camera, region: Region, mirrored: bool) -> Region:
        """Return where a second look follows a first one at a region."""
        network = self._network
        crop = CropCamera.looking_at(camera, region, network.input_size)
        prediction = network(crop.cut(picture)[None])
        (cues,) = read_cues(prediction, network.input_size, network.card.joint_cue)
        return region_from_joints(crop.to_picture(cues.joints_px), mirrored)


@dataclass(frozen=True)
class ProposalStudio(Studio):
    """What a process needs to make a `ProposalGenerator` of its own."""

    def generator(self) -> ProposalGenerator:
        """Return a generator of this studio; its OpenGL context belongs to the calling process."""
        size_px = self.settings.size_px
        return ProposalGenerator(self.hand(), self.seed, self.skins, self.panoramas, size_px)


def _misplaced(region: Region, rng: np.random.Generator) -> Region:
    """Return a region somewhere around a hand's."""
    size_px = region.size_px * float(np.exp(rng.uniform(*np.log(_SIDES))))
    x, y = region.center_px + rng.normal(0, _OFF * min(size_px, region.size_px), 2)
    turn = float(rng.normal(0, _TURN_RAD))
    return Region((float(x), float(y)), size_px, region.rotation_rad + turn)
