"""Rendered hands without a background, to be pasted into scenes that show where hands are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cmr_ros.hand_model.model import HandModel
from cmr_ros.synthesis import scene
from cmr_ros.synthesis.generator import Generator
from cmr_ros.synthesis.lighting import random_gaze, random_light
from cmr_ros.synthesis.placement import project
from cmr_ros.synthesis.settings import PictureSettings
from cmr_ros.synthesis.surfaces import HAND

#: The whole forearm and whatever is held fit in; no second hand, whose joints nobody would know.
CUTOUT = PictureSettings(
    size_px=320, palm_share=0.21, palm_center=(0.5, 0.48), center_jitter=0.02, scale_jitter=0.08,
    arm_away_min=-0.92, second_hand=0.0, held=0.45, occluder=0.15, sleeve=0.5, bracelet=0.12,
    turn_deg=40.0, steep=0.3, far=0.3, far_depth_m=3.0,
)  # fmt: skip
#: Share of gloved hands, and of the picture that a hand must fill.
_GLOVED, _LEAST_SEEN = 0.1, 0.012


@dataclass(frozen=True, eq=False)
class Cutout:
    """A right hand with its arm and what it holds, fingers roughly up."""

    color: np.ndarray  # (h, w, 4) uint8 RGBA, not multiplied by alpha
    joints_px: np.ndarray  # (21, 2)
    #: (2,) unit vector from the wrist along the forearm; zero where it points at the camera
    elbow_px: np.ndarray


class CutoutGenerator(Generator):
    """Draws cut-outs; number i of a seed is the same in every process."""

    def __init__(
        self,
        model: HandModel,
        seed: int,
        skins: str | Path | None = None,
        panoramas: str | Path | None = None,
        settings: PictureSettings = CUTOUT,
    ):
        """Prepare to render.

        Args:
            model: of the hand.
            seed: of all cut-outs.
            skins: folder of skin textures; None: they are made up.
            panoramas: folder of .exr panoramas; None: they are made up.
            settings: of the cut-outs.

        Raises:
            InputError: Rendering is impossible, or a folder cannot be used.
        """
        super().__init__(model, seed, settings, skins, panoramas)

    def scenery(self, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
        """Return a hand-free picture of a size (width, height): surroundings or clutter."""
        environment = self._environment(rng)
        light = random_light(
            environment, random_gaze(self.settings.light, rng), self.settings.light, rng
        )
        picture = self._background(environment, light, rng)
        height = max(round(len(picture) * size[1] / size[0]), 1)
        return cv2.resize(picture[:height], size, interpolation=cv2.INTER_CUBIC)

    def _draw(self, rng: np.random.Generator) -> Cutout | None:
        settings = self.settings
        hand, matrix = self._random_hand(rng)
        if hand.elbow_side[2] < settings.arm_away_min:
            return None
        if rng.random() < _GLOVED:
            hand = scene.gloved(hand, settings.things, rng, self._clutter)
        environment = self._environment(rng)
        light = random_light(environment, random_gaze(settings.light, rng), settings.light, rng)
        layers = self._renderer.render(self._meshes(hand, rng), matrix, light)
        if (layers.parts[..., HAND] > 0.5).mean() < _LEAST_SEEN:
            return None
        alpha = layers.alpha[..., None]
        color = np.clip(layers.color / np.maximum(alpha, 1e-3), 0, 255)
        joints_px = project(hand.joints, matrix)
        elbow = project(hand.joints[0] + 0.1 * hand.elbow_side, matrix) - joints_px[0]
        reach = np.linalg.norm(elbow)
        # Only what is seen is kept: thousands are.
        rows, columns = (np.flatnonzero(alpha.any(axis=axis)) for axis in ((1, 2), (0, 2)))
        seen = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return Cutout(
            np.concatenate([color, 255 * alpha], axis=-1)[seen].astype(np.uint8),
            (joints_px - [columns[0], rows[0]]).astype(np.float32),
            (elbow / reach if reach > 0.025 * settings.size_px else np.zeros(2)),
        )
