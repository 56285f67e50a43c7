"""Training samples: pictures of made-up hands, cropped as the detector crops, with their truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from cmr_ros.hand_model.model import HandModel, PosedHand, with_tips_inside
from cmr_ros.hand_model.poses import sample_pose
from cmr_ros.synthesis import jewellery, scene
from cmr_ros.synthesis.augment import inside_borders, photograph
from cmr_ros.synthesis.backgrounds import (
    Clutter,
    add_shapes,
    palette_of_things,
    plain_wall,
    skin_palette,
)
from cmr_ros.synthesis.environment import Environment, load_environments, procedural_environment
from cmr_ros.synthesis.grasps import draw_grasp
from cmr_ros.synthesis.lighting import random_gaze, random_light
from cmr_ros.synthesis.placed_hand import HandPlacer, PlacedHand
from cmr_ros.synthesis.placement import place, project, random_depth, random_view, rotation
from cmr_ros.synthesis.renderer import Renderer
from cmr_ros.synthesis.sample import Sample
from cmr_ros.synthesis.settings import (
    BackdropSettings,
    PictureSettings,
    WallSettings,
)
from cmr_ros.synthesis.surfaces import ARM, HAND, OTHER, Layers, Light, Mesh
from cmr_ros.synthesis.touching import Touch, draw_touch

_MADE_UP_ROOMS = 64
#: How far behind the surface before it a joint may lie and still be seen, metres: the flesh over
#: wrist, palm and fingers, a sleeve's thickness included at the wrist.
_FLESH_M = np.full(21, 0.018)
_FLESH_M[[1, 5, 9, 13, 17]] = 0.028
_FLESH_M[0] = 0.036


class Generator:
    """Draws training samples; sample i of a seed is the same in every process."""

    def __init__(
        self,
        model: HandModel,
        seed: int,
        settings: PictureSettings | None = None,
        skins: str | Path | None = None,
        panoramas: str | Path | None = None,
    ):
        """Prepare to render.

        Args:
            model: of the hand.
            seed: of all samples.
            settings: of the samples.
            skins: folder of skin textures; None: they are made up.
            panoramas: folder of .exr panoramas; None: they are made up.

        Raises:
            InputError: Rendering is impossible, or a folder cannot be used.
        """
        self.settings = settings or PictureSettings()
        self._model = model
        self._seed = seed
        self._placer = HandPlacer(model, skins, self.settings.skin)
        self._panoramas = load_environments(panoramas) if panoramas else []
        self._rooms: dict[int, Environment] = {}
        self._clutter = Clutter(
            self.settings.clutter_pictures,
            self.settings.skin_colored,
            self.settings.clutter_style,
        )
        self._renderer = Renderer(self.settings.size_px)

    def sample(self, index: int) -> Sample:
        """Return sample `index`; views that hide the hand are drawn again."""
        rng = np.random.default_rng([self._seed, index])
        while True:
            sample = self._draw(rng)
            if sample is not None:
                return sample

    def _draw(self, rng: np.random.Generator) -> Sample | None:
        settings = self.settings
        hand, matrix = self._random_hand(rng)
        if hand.elbow_side[2] < settings.arm_away_min:
            return None
        meshes = self._meshes(hand, rng)
        environment = self._environment(rng)
        panorama_from_camera = random_gaze(settings.light, rng)
        light = random_light(environment, panorama_from_camera, settings.light, rng)
        layers = self._renderer.render(meshes, matrix, light)
        if settings.plain and rng.random() < settings.plain:
            background = self._wall(layers.alpha, rng)
        else:
            background = self._background(environment, light, rng)
        picture = composite(layers, background, settings.backdrop, rng)
        joints_px = project(hand.joints, matrix)
        inside = np.ones(picture.shape[:2], bool)
        if rng.random() < settings.borders:
            inside = inside_borders(joints_px, settings.size_px, settings.photograph, rng)
        picture = photograph(picture, settings, rng) * inside[..., None]
        mask = (layers.parts[..., HAND] > 0.5) & inside
        shown = visible(with_tips_inside(hand.joints), matrix, layers, inside)
        if shown.sum() < settings.least_visible or mask.mean() < settings.least_mask:
            return None
        # A tip's joint lies on the skin, so it may be outside where the flesh is inside.
        shown &= _in_picture(joints_px, settings.size_px)
        return Sample(
            picture, hand.template_vertices.astype(np.float32), hand.joints.astype(np.float32),
            matrix, mask, shown,
        )  # fmt: skip

    def _random_hand(self, rng: np.random.Generator) -> tuple[PlacedHand, np.ndarray]:
        """Return a hand in its crop camera's frame and the camera's matrix."""
        settings = self.settings
        grasp = touch = None
        if settings.grasp and rng.random() < settings.grasp:
            grasp = draw_grasp(self._model, settings.grasps, rng)
        elif settings.touch and rng.random() < settings.touch:
            touch = draw_touch(self._model, settings.touches, settings.grasps, rng)
        contact = grasp or touch
        posed = self._pose(rng) if contact is None else contact.hand
        view = random_view(posed.joints, settings, rng)
        depth_m = random_depth(settings, rng)
        turn, shift, matrix = place(posed.joints @ view.T, depth_m, settings, rng)
        hand = self._placed(posed, turn @ view, shift, rng)
        if settings.gloved and rng.random() < settings.gloved:
            hand = scene.gloved(hand, settings.things, rng, self._clutter)
        if grasp is not None:
            hand = scene.with_grasped(
                hand, grasp, turn @ view, shift, settings.things, rng, self._clutter
            )
        if touch is not None:
            hand = self._with_touching(hand, touch, turn @ view, shift, rng)
        return hand, matrix

    def _with_touching(
        self,
        hand: PlacedHand,
        touch: Touch,
        turn: np.ndarray,
        shift: np.ndarray,
        rng: np.random.Generator,
    ) -> PlacedHand:
        """Return a hand at `turn @ model's frame + shift` with the other one that touches it.

        It stays alone if the other one's forearm would come at the camera.
        """
        axes, center = turn @ touch.axes, turn @ touch.center_m + shift
        other = self._placed(touch.other, axes, center, rng)
        nearest_m = other.mesh.vertices[:, 2].min()
        if (
            other.elbow_side[2] < self.settings.arm_away_min
            or nearest_m < self.settings.other_hand.nearest_m
        ):
            return hand
        first, second = (
            replace(one.mesh, ambient=one.mesh.ambient * scene.shade_of(two.joints, one.mesh))
            for one, two in ((hand, other), (other, hand))
        )
        second = self._beside(second, hand, np.linalg.det(axes) < 0)
        return replace(hand, mesh=first, held=second)

    def _placed(
        self, posed: PosedHand, turn: np.ndarray, shift: np.ndarray, rng: np.random.Generator
    ) -> PlacedHand:
        material = self._placer.skin.material(rng, self.settings.tint)
        return self._placer.place(posed, turn, shift, material)

    def _pose(self, rng: np.random.Generator) -> PosedHand:
        model = self._model
        return model.pose(model.sample_shape(rng), sample_pose(model, rng))

    def _meshes(self, hand: PlacedHand, rng: np.random.Generator) -> list[Mesh]:
        """Return the hand and what surrounds it; the hand comes first."""
        settings, clutter, joints = self.settings, self._clutter, hand.joints
        things = settings.things
        palm_m = np.linalg.norm(joints[9] - joints[0])
        meshes = [hand.mesh]
        if rng.random() < settings.sleeve:
            meshes.append(scene.sleeve(hand.mesh, joints[0], hand.elbow_side, things, rng, clutter))
        elif rng.random() < settings.bracelet:
            meshes.append(scene.bracelet(joints[0], hand.elbow_side, palm_m, things, rng, clutter))
        elif settings.wristband and rng.random() < settings.wristband:
            meshes += jewellery.wristband(hand, settings.jewellery, rng, clutter)
        if settings.finger_ring and rng.random() < settings.finger_ring:
            meshes.append(jewellery.finger_ring(hand, settings.jewellery, rng))
        if rng.random() < settings.ring:
            meshes.append(scene.ring(joints, things, rng))
        if hand.held is not None:
            meshes.append(hand.held)
        elif rng.random() < settings.held:
            meshes.append(scene.held_object(joints, things, rng, clutter))
        if rng.random() < settings.occluder:
            meshes.append(scene.occluder(joints, things, rng, clutter))
        if rng.random() < settings.second_hand:
            meshes += self._second_hand(hand, rng)
        return meshes

    def _second_hand(self, hand: PlacedHand, rng: np.random.Generator) -> list[Mesh]:
        """Return another hand beside the first, or none if no free place was found."""
        posed, settings = self._pose(rng), self.settings.other_hand
        left = rng.random() < settings.left
        mirror = np.diag([-1.0 if left else 1.0, 1, 1])
        turn = rotation([0, 0, 1], rng.normal(0, settings.roll_rad)) @ random_view(
            posed.joints, self.settings, rng
        )
        for _ in range(settings.tries):
            away = rng.uniform(0, 2 * np.pi)
            offset = rng.uniform(*settings.distance_m) * np.array([np.cos(away), np.sin(away), 0])
            shift = hand.joints[9] + offset + [0, 0, rng.normal(0, settings.depth_m)]
            joints = posed.joints @ (mirror @ turn).T + shift
            distance = np.linalg.norm(joints[:, None] - hand.joints, axis=-1).min()
            if distance > settings.gap_m and joints[:, 2].min() > settings.nearest_m:
                mesh = self._placed(posed, mirror @ turn, shift, rng).mesh
                return [self._beside(mesh, hand, left)]
        return []

    @staticmethod
    def _beside(mesh: Mesh, hand: PlacedHand, left: bool) -> Mesh:
        """Return another hand as it is beside the first."""
        # A left hand beside a right one mostly belongs to the same person.
        material = hand.mesh.material if left else mesh.material
        return replace(mesh, material=material, part=OTHER)

    def _environment(self, rng: np.random.Generator) -> Environment:
        if self._panoramas and rng.random() > self.settings.made_up_light:
            return self._panoramas[rng.integers(len(self._panoramas))]
        k = int(rng.integers(_MADE_UP_ROOMS))
        if k not in self._rooms:
            self._rooms[k] = procedural_environment(np.random.default_rng(k), self.settings.room)
        return self._rooms[k]

    def _wall(self, alpha: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a plain wall close behind the hand, which often casts its shadow there.

        alpha: (s, s) in [0, 1], where the hand covers the wall.
        """
        settings, style = self.settings, self.settings.wall
        palette = skin_palette if rng.random() < settings.skin_colored else palette_of_things
        picture = plain_wall(style, settings.clutter_style, palette, rng, len(alpha))
        if rng.random() < style.shadow:
            picture = (picture * (1 - _shadow(alpha, style, rng))).astype(np.uint8)
        return picture

    def _background(
        self, environment: Environment, light: Light, rng: np.random.Generator
    ) -> np.ndarray:
        """Return what stands behind the hand: the surroundings, made-up clutter, or both."""
        size, settings, style = self.settings.size_px, self.settings, self.settings.backdrop
        if environment in self._panoramas and rng.random() < settings.scenery:
            slope = np.exp(rng.uniform(*np.log(style.view_slope)))
            picture = environment.view(light.rotation, slope, size, light.exposure)
            if rng.random() < settings.clutter:
                palette = palette_of_things(settings.clutter_style, rng, style.colors)
                add_shapes(
                    picture, settings.clutter_style, rng, palette, rng.integers(*style.shapes)
                )
        else:
            dim = np.exp(rng.normal(*style.dim_log))
            picture = cv2.convertScaleAbs(self._clutter.view(rng, size), alpha=dim)
        if style.faded != (1, 1):
            picture = _faded(picture, rng.uniform(*style.faded))
        if rng.random() < style.blurred:
            picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(*style.blur_px))
        return picture


def composite(
    layers: Layers, background: np.ndarray, settings: BackdropSettings, rng: np.random.Generator
) -> np.ndarray:
    """Lay the rendering over the background; a light blur hides how sharp renderings are.

    Args:
        layers: the rendering.
        background: (s, s, 3) uint8 RGB.
        settings: how much blur.
        rng: source of randomness.
    """
    alpha = layers.alpha[..., None]
    picture = (layers.color + background * (1 - alpha)).astype(np.uint8)
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(*settings.edge_px))


def _shadow(alpha: np.ndarray, settings: WallSettings, rng: np.random.Generator) -> np.ndarray:
    """Return the share of light (s, s, 1) that what covers alpha (s, s) takes from a wall."""
    size = len(alpha)
    shift = np.c_[np.eye(2), size * settings.shift * rng.normal(size=2)]
    moved = cv2.warpAffine(alpha, shift, (size, size), borderMode=cv2.BORDER_REPLICATE)
    soft = cv2.GaussianBlur(moved, (0, 0), rng.uniform(*settings.blur_px))
    return rng.uniform(*settings.depth) * soft[..., None]


def _faded(picture: np.ndarray, saturation: float) -> np.ndarray:
    """Return a picture (s, s, 3) uint8 with its colours nearer to grey."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    grey = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(picture, saturation, grey, 1 - saturation, 0)


def visible(
    joints: np.ndarray, matrix: np.ndarray, layers: Layers, inside: np.ndarray
) -> np.ndarray:
    """Return which joints (21,) are inside the picture and not hidden.

    Args:
        joints: (21, 3) metres, the tips inside the flesh.
        matrix: (3, 3) of the camera.
        layers: the rendering.
        inside: (s, s) bool, where the picture shows anything.
    """
    size = inside.shape[0]
    joints_px = project(joints, matrix)
    column, row = np.clip(np.rint(joints_px), 0, size - 1).astype(int).T
    within = _in_picture(joints_px, size) & inside[row, column]
    own = layers.parts[row, column, HAND] + layers.parts[row, column, ARM] > 0.5
    near = joints[:, 2] - layers.depth_m[row, column] < _FLESH_M
    return within & own & near


def _in_picture(pixels: np.ndarray, size: int) -> np.ndarray:
    """Return which pixels (N, 2) lie in a square picture of that side."""
    return np.asarray(((pixels > -0.5) & (pixels < size - 0.5)).all(axis=1))
