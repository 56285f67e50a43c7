"""Pairs of pictures that two cameras side by side take of one made-up hand, with its truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from cmr_ros.hand_model.model import with_tips_inside
from cmr_ros.synthesis.augment import photograph
from cmr_ros.synthesis.generator import Generator, composite, visible
from cmr_ros.synthesis.lighting import random_gaze, random_light
from cmr_ros.synthesis.placed_hand import PlacedHand
from cmr_ros.synthesis.placement import random_depth, random_view, rotation
from cmr_ros.synthesis.sample import Sample
from cmr_ros.synthesis.settings import PictureSettings
from cmr_ros.synthesis.surfaces import HAND, Light, Mesh

#: What a camera with a horizontal field of view of 60 degrees sees of hands up to 2 m away.
PAIR_PICTURES = PictureSettings(
    size_px=640, depth_m=(0.3, 1.2), far=0.2, far_depth_m=2.0, low_resolution=0.0
)
_FOCAL_PX = 554.0
#: The hand's palm is in the first picture's middle, shares of its side.
_MIDDLE = 0.35, 0.65
#: Roll of the hand, and by how much the second camera is turned about each axis.
_ROLL_RAD, _TURN_RAD = 0.45, 0.02
#: How far away what stands behind the hand is.
_WALL_M = 1.5, 4.0
#: Share of pairs whose cameras are of one kind and set alike.
_ALIKE = 0.75


@dataclass(frozen=True, eq=False)
class Pair:
    """One moment before two cameras."""

    first: Sample
    second: Sample  # its points are in the second camera's frame
    transform: np.ndarray  # (4, 4): second camera's frame <- first's


class PairGenerator(Generator):
    """Draws pairs; pair i of a seed is always the same."""

    def pair(self, index: int, baseline_m: float) -> Pair:
        """Return pair `index` of cameras so far apart; views that hide the hand are drawn again."""
        rng = np.random.default_rng([self._seed, index])
        while True:
            pair = self._draw_pair(baseline_m, rng)
            if pair is not None:
                return pair

    def _draw_pair(self, baseline_m: float, rng: np.random.Generator) -> Pair | None:
        settings = self.settings
        middle = (settings.size_px - 1) / 2
        matrix = np.array([[_FOCAL_PX, 0, middle], [0, _FOCAL_PX, middle], [0, 0, 1]])
        hand = self._hand_before(matrix, rng)
        if hand.elbow_side[2] < settings.arm_away_min:
            return None
        meshes = self._meshes(hand, rng)
        environment = self._environment(rng)
        light = random_light(environment, random_gaze(settings.light, rng), settings.light, rng)
        background = self._background(environment, light, rng)
        turn = rotation(rng.normal(size=3), _TURN_RAD * rng.normal())
        transform = np.eye(4)
        transform[:3, :3], transform[:3, 3] = turn, turn @ [-baseline_m, 0, 0]
        # What lies far behind the hand is shown by both cameras, a bit shifted.
        wall_m = rng.uniform(*_WALL_M)
        homography = matrix @ turn @ np.linalg.inv(matrix)
        homography = homography @ [[1, 0, -_FOCAL_PX * baseline_m / wall_m], [0, 1, 0], [0, 0, 1]]
        beside = cv2.warpPerspective(
            background, homography, background.shape[1::-1], borderMode=cv2.BORDER_REFLECT
        )
        first, second = (
            self._view(hand, meshes, pose, matrix, light, wall, rng)
            for pose, wall in ((np.eye(4), background), (transform, beside))
        )
        if min(first.visible.sum(), second.visible.sum()) < settings.least_visible:
            return None
        pictures = first.picture, second.picture
        if rng.random() < _ALIKE:
            both = photograph(np.hstack(pictures), settings, rng)
            pictures = np.hsplit(both, 2)
        else:
            pictures = [photograph(picture, settings, rng) for picture in pictures]
        first, second = (
            replace(view, picture=np.ascontiguousarray(picture))
            for view, picture in zip((first, second), pictures, strict=True)
        )
        return Pair(first, second, transform)

    def _hand_before(self, matrix: np.ndarray, rng: np.random.Generator) -> PlacedHand:
        """Return a hand whose palm the camera sees near its middle."""
        settings = self.settings
        posed = self._pose(rng)
        view = rotation([0, 0, 1], _ROLL_RAD * rng.normal()) @ random_view(
            posed.joints, settings, rng
        )
        pixel = settings.size_px * rng.uniform(*_MIDDLE, 2)
        ray = np.linalg.solve(matrix, [*pixel, 1])
        return self._placed(posed, view, random_depth(settings, rng) * ray, rng)

    def _view(
        self,
        hand: PlacedHand,
        meshes: list[Mesh],
        pose: np.ndarray,
        matrix: np.ndarray,
        light: Light,
        background: np.ndarray,
        rng: np.random.Generator,
    ) -> Sample:
        """Return what an ideal camera at a pose (4, 4), camera <- first camera, shows."""
        turn, shift = pose[:3, :3], pose[:3, 3]

        def seen(points: np.ndarray) -> np.ndarray:
            return points @ turn.T + shift

        light = replace(
            light, rotation=light.rotation @ turn.T, key_direction=turn @ light.key_direction
        )
        layers = self._renderer.render(
            [replace(mesh, vertices=seen(mesh.vertices)) for mesh in meshes], matrix, light
        )
        joints = seen(hand.joints)
        inside = np.ones(background.shape[:2], bool)
        return Sample(
            picture=composite(layers, background, self.settings.backdrop, rng),
            vertices=seen(hand.template_vertices).astype(np.float32),
            joints=joints.astype(np.float32),
            matrix=matrix,
            mask=layers.parts[..., HAND] > 0.5,
            visible=visible(with_tips_inside(joints), matrix, layers, inside),
        )
