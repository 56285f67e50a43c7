"""Made-up scenes with hands of all sizes, and where the hands are: what a hand detector learns.

Rendered cut-outs and photographs of hands are pasted into surroundings, between faces, limbs and
other things that are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.regions import palm_center, region_from_joints
from cmr_ros.synthesis.augment import photograph
from cmr_ros.synthesis.backgrounds import add_shapes, palette_of_things, skin_palette
from cmr_ros.synthesis.cutouts import Cutout
from cmr_ros.synthesis.pasting import Pose2D, extend_arm, lay_over, paste
from cmr_ros.synthesis.persons import Person
from cmr_ros.synthesis.settings import PictureSettings, SceneSettings

#: Longer side of the joints' box of an average hand as a share of its region's side.
EXTENT = 0.55


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph of hands whose handedness is not known."""

    #: (height, width, 3) uint8 RGB.
    picture: np.ndarray
    #: Of all its hands.
    regions: tuple[Region, ...]


@dataclass(frozen=True, eq=False)
class Scene:
    """A made-up picture and its hands."""

    #: (s, s, 3) uint8 RGB.
    picture: np.ndarray
    #: (N, 6) float32: middle of the palm (x, y) and side of the region in pixels, up of the region
    #: (x, y), right hand (1, 0, or -1 if not known).
    hands: np.ndarray


class SceneComposer:
    """Draws scenes."""

    def __init__(
        self,
        cutouts: Sequence[Cutout],
        surroundings: Sequence[np.ndarray],
        photographs: Sequence[Photograph] = (),
        persons: Sequence[Person] = (),
        settings: SceneSettings | None = None,
    ):
        """Take what scenes are made of.

        Args:
            cutouts: rendered hands to paste.
            surroundings: pictures (n, n, 3) without hands.
            photographs: of hands; there may be none.
            persons: likewise.
            settings: how often what comes, and how large.
        """
        self._settings = settings or SceneSettings()
        self._cutouts, self._surroundings = cutouts, surroundings
        self._photographs, self._persons = photographs, persons
        self._camera = PictureSettings()

    def scene(self, rng: np.random.Generator) -> Scene:
        """Return a random scene."""
        settings = self._settings
        picture = self._ground(rng)
        if rng.random() < settings.bystanders:
            self._add_bystanders(picture, rng)
        hands: list[np.ndarray] = []
        while self._persons and rng.random() < settings.persons:
            hands += self._paste_person(picture, hands, rng)
        count = 0 if rng.random() < settings.empty else 1 + rng.poisson(settings.more_hands)
        for _ in range(count):
            extent = float(np.exp(rng.uniform(*np.log(settings.extent_px))))
            place: np.ndarray | None
            if hands and rng.random() < settings.beside:
                extent, place = self._beside(hands[rng.integers(len(hands))], rng)
            else:
                place = self._free_place(extent, hands, rng)
            if place is None:
                continue
            if self._photographs and rng.random() < settings.photographed:
                hands += self._paste_photograph(picture, extent, place, rng)
            else:
                hands.append(self._paste_cutout(picture, extent, place, rng))
        if rng.random() < settings.grey:
            picture[:] = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None]
        if rng.random() < settings.dark:
            picture = cv2.convertScaleAbs(picture, alpha=np.exp(rng.uniform(*settings.dark_log)))
        picture = photograph(picture, self._camera, rng)
        return Scene(picture, np.array(hands, np.float32).reshape(-1, 6))

    def _ground(self, rng: np.random.Generator) -> np.ndarray:
        settings, style = self._settings, self._camera.clutter_style
        size = settings.size_px
        source = self._surroundings[rng.integers(len(self._surroundings))]
        side = int(np.exp(rng.uniform(np.log(0.2), 0)) * len(source))
        row, column = rng.integers(0, len(source) - side + 1, 2)
        piece = source[row : row + side, column : column + side]
        how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        picture = cv2.resize(np.ascontiguousarray(piece), (size, size), interpolation=how)
        if rng.random() < settings.clouds:
            colors = rng.normal(
                picture.mean((0, 1)), rng.uniform(5, 35), (*rng.integers(3, 10, 2), 3)
            )
            colors = colors.clip(0, 255).astype(np.uint8)
            picture = cv2.resize(colors, (size, size), interpolation=cv2.INTER_CUBIC)
        if rng.random() < settings.shapes:
            palette = skin_palette if rng.random() < 0.5 else palette_of_things
            add_shapes(picture, style, rng, palette(style, rng, 4), rng.integers(1, 5))
        return picture

    def _add_bystanders(self, picture: np.ndarray, rng: np.random.Generator) -> None:
        """Draw faces, and limbs that end without a hand, in place."""
        style, size = self._camera.clutter_style, self._settings.size_px
        for _ in range(rng.integers(1, 3)):
            skin = skin_palette(style, rng, 1)[0].astype(float)
            cloth = palette_of_things(style, rng, 1)[0].astype(float)
            center = rng.uniform(0, size, 2)
            radius = np.exp(rng.uniform(np.log(0.05), np.log(0.3))) * size
            layer = picture.copy()
            if rng.random() < 0.5:
                _draw_face(layer, center, radius, skin, cloth, rng)
            else:
                angle = rng.uniform(0, 2 * np.pi)
                along = radius * rng.uniform(3, 8) * np.array([np.cos(angle), np.sin(angle)])
                _draw_limb(layer, center, center + along, 0.8 * radius, skin)
                if rng.random() < 0.6:
                    _draw_limb(layer, center + 0.4 * along, center + 1.3 * along, radius, cloth)
            shade = cv2.resize(rng.normal(1, 0.18, (4, 4)), (size, size))[..., None]
            drawn = (layer != picture).any(axis=-1, keepdims=True)
            picture[:] = np.where(drawn, np.clip(layer * shade, 0, 255), picture)

    def _free_place(self, extent: float, hands, rng: np.random.Generator) -> np.ndarray | None:
        """Return where a palm can lie without hiding others, or None if no such place was found."""
        for _ in range(6):
            place = rng.uniform(0, self._settings.size_px, 2)
            gap = 0.25 if rng.random() < self._settings.touching else 0.75
            if all(
                np.hypot(*(place - hand[:2])) > gap * (extent + EXTENT * hand[2]) for hand in hands
            ):
                return place
        return None

    def _beside(self, hand: np.ndarray, rng: np.random.Generator) -> tuple[float, np.ndarray]:
        """Return the extent and place of a hand that touches or covers another one."""
        extent = EXTENT * float(hand[2])
        angle = rng.uniform(0, 2 * np.pi)
        away = extent * rng.uniform(*self._settings.beside_at)
        place = hand[:2] + away * np.array([np.cos(angle), np.sin(angle)])
        return extent * float(np.exp(rng.normal(0, 0.15))), place

    def _paste_person(self, picture, others, rng: np.random.Generator) -> list[np.ndarray]:
        person = self._persons[rng.integers(len(self._persons))]
        size, own = self._settings.size_px, np.array(person.color.shape[1::-1])
        extents = [np.ptp(joints, axis=0).max() for joints, _ in person.hands]
        scale = size / own.max() * np.exp(rng.uniform(*np.log(self._settings.person_size)))
        if extents:
            low, high = self._settings.extent_px
            scale = np.exp(rng.uniform(np.log(low), np.log(0.6 * high))) / min(extents)
        flip = np.diag([-1.0 if rng.random() < 0.5 else 1.0, 1.0])
        # The person, or one of its hands, is somewhere in the picture.
        middle = own / 2
        if extents:
            middle = person.hands[rng.integers(len(extents))][0].mean(axis=0)
        affine = np.concatenate([scale * flip, np.zeros((2, 1))], axis=1)
        affine[:, 2] = rng.uniform(0, size, 2) - affine[:, :2] @ middle
        hands = [
            (joints @ affine[:, :2].T + affine[:, 2], left == bool(flip[0, 0] > 0))
            for joints, left in person.hands
        ]
        alpha = cv2.warpAffine(person.color[..., 3], affine, (size, size))
        if any(alpha[tuple(np.clip(hand[1::-1], 0, size - 1).astype(int))] for hand in others):
            return []  # it would hide a hand
        lay_over(picture, person.color, affine, np.exp(rng.normal(0, 0.25)))
        return [_row(region_from_joints(j, left), 0.0 if left else 1.0) for j, left in hands]

    def _paste_cutout(self, picture, extent: float, place, rng: np.random.Generator) -> np.ndarray:
        cutout = self._cutouts[rng.integers(len(self._cutouts))]
        turn = rng.normal(0, 0.7) if rng.random() < 0.6 else rng.uniform(-np.pi, np.pi)
        pose = Pose2D(extent, place, turn, left=rng.random() < 0.5)
        if rng.random() < self._settings.whole_arm:
            extend_arm(picture, cutout, pose, rng)
        gain = np.exp(rng.normal(0, 0.25) + rng.normal(0, 0.05, 3))
        joints = paste(picture, cutout, pose, gain)
        return _row(region_from_joints(joints, pose.left), 0.0 if pose.left else 1.0)

    def _paste_photograph(
        self, picture, extent: float, place, rng: np.random.Generator
    ) -> list[np.ndarray]:
        source = self._photographs[rng.integers(len(self._photographs))]
        scale = extent / (EXTENT * source.regions[0].size_px)
        flip = np.diag([-1.0 if rng.random() < 0.5 else 1.0, 1.0])
        shift = place - scale * flip @ palm_center(source.regions[0])
        regions = []
        for region in source.regions:
            x, y = scale * flip @ region.center_px + shift
            regions.append(Region((x, y), scale * region.size_px, flip[0, 0] * region.rotation_rad))
        affine = np.concatenate([scale * flip, shift[:, None]], axis=1)
        shown = source.picture
        if scale < 0.7:  # cv2.warpAffine does not average
            blur = 0.4 / scale
            shown = cv2.GaussianBlur(shown, (0, 0), blur)
        layer = cv2.warpAffine(shown, affine, picture.shape[1::-1])
        alpha = _fade(source.picture.shape, rng)
        alpha = cv2.warpAffine(alpha, affine, picture.shape[1::-1])[..., None]
        picture[:] = layer * alpha + picture * (1 - alpha)
        return [_row(region, -1.0) for region in regions]


def _row(region: Region, right: float) -> np.ndarray:
    up = np.sin(region.rotation_rad), -np.cos(region.rotation_rad)
    return np.array([*palm_center(region), region.size_px, *up, right])


def _fade(shape, rng: np.random.Generator) -> np.ndarray:
    """Return the opacity (h, w) of a photograph: all of it, or less towards its edges."""
    if rng.random() < 0.3:
        return np.ones(shape[:2], np.float32)
    steep = rng.uniform(2, 10)
    ramps = [(np.arange(side, dtype=np.float32) + 0.5) / side for side in shape[:2]]
    rows, columns = (np.clip(steep * np.minimum(ramp, 1 - ramp), 0, 1) for ramp in ramps)
    return rows[:, None] * columns


def _draw_face(picture, center, radius: float, skin, hair, rng: np.random.Generator) -> None:
    height, tilt = radius * rng.uniform(1.1, 1.5), rng.normal(0, 15)

    def blob(x: float, y: float, width: float, tall: float, color) -> None:
        at = tuple((center + [x * radius, y * height]).astype(int).tolist())
        axes = max(int(width * radius), 1), max(int(tall * height), 1)
        color = tuple(np.clip(color, 0, 255))
        cv2.ellipse(picture, at, axes, tilt, 0, 360, color, -1, cv2.LINE_AA)

    if rng.random() < 0.8:
        blob(0, -0.25, 1.15, 1.05, hair * rng.uniform(0.1, 0.8))
    blob(0, 0, 1, 1, skin)
    for side in (-0.42, 0.42):
        blob(side, -0.15, 0.16, 0.06, skin * rng.uniform(0.1, 0.4))
    blob(0, 0.5, 0.3, 0.06, skin * [0.8, 0.5, 0.5])


def _draw_limb(picture, start, end, width: float, color) -> None:
    ends = (tuple(point.astype(int).tolist()) for point in (start, end))
    cv2.line(picture, *ends, tuple(color), max(int(width), 2), cv2.LINE_AA)
