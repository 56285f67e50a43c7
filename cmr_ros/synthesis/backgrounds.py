"""Made-up pictures: clutter behind hands and textures on objects and clothes."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from cmr_ros.synthesis.settings import ClutterSettings, WallSettings
from cmr_ros.synthesis.surfaces import Texture

_SIZE = 320
_TEXTURES = 96
_LETTERS = "ABCDEFGHKLMNOPRSTUVXYZ0123456789"


class Clutter:
    """A library of made-up pictures (320, 320, 3) uint8, each drawn when first wanted.

    Picture k is the same whatever was asked before, so samples do not depend on their order.
    """

    def __init__(self, count: int, skin_colored: float, style: ClutterSettings):
        self.style = style
        self._pictures: list[np.ndarray | None] = [None] * count
        self._skin_colored = skin_colored
        self._textures: dict[int, Texture] = {}

    def picture(self, rng: np.random.Generator) -> np.ndarray:
        """Return one picture of the library."""
        k = int(rng.integers(len(self._pictures)))
        if self._pictures[k] is None:
            own = np.random.default_rng(k)
            self._pictures[k] = draw_clutter(self.style, own, own.random() < self._skin_colored)
        return self._pictures[k]

    def texture(self, rng: np.random.Generator) -> Texture:
        """Return one of the library's prints and cloths; the device keeps them all."""
        k = int(rng.integers(_TEXTURES))
        if k not in self._textures:
            piece = self.view(np.random.default_rng(k), 128)
            self._textures[k] = Texture(np.ascontiguousarray(piece))
        return self._textures[k]

    def view(self, rng: np.random.Generator, size_px: int) -> np.ndarray:
        """Return a random piece (s, s, 3) of one picture, turned and scaled."""
        style = self.style
        scale = size_px / _SIZE * np.exp(rng.uniform(*style.zoom_log))
        turn = cv2.getRotationMatrix2D((_SIZE / 2, _SIZE / 2), rng.normal(0, style.turn_deg), scale)
        shift = rng.uniform(-style.shift, style.shift, 2)
        turn[:, 2] += size_px / 2 - _SIZE / 2 + shift * _SIZE * scale
        return cv2.warpAffine(
            self.picture(rng), turn, (size_px, size_px), borderMode=cv2.BORDER_REFLECT
        )


def draw_clutter(
    style: ClutterSettings, rng: np.random.Generator, skin_colored: bool
) -> np.ndarray:
    """Return a picture of layered shapes, lines, text and texture; sharper towards the front."""
    palette = (skin_palette if skin_colored else palette_of_things)(style, rng, 6)
    picture = _ground(style, rng, palette)
    for layer in range(rng.integers(*style.layers)):
        add_shapes(picture, style, rng, palette, rng.integers(*style.shapes))
        if rng.random() < style.rows:
            _add_row(picture, style, rng, palette)
        if layer == 0:
            picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(*style.blur_px))
    grain = rng.normal(0, rng.uniform(*style.grain), (_SIZE, _SIZE, 1))
    grain = cv2.GaussianBlur(grain, (0, 0), rng.uniform(*style.grain_px))[..., None]
    shade = rng.normal(1, style.shade, (3, 3))
    shade = cv2.resize(shade, (_SIZE, _SIZE), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture * np.clip(shade, 0.3, 1.5)[..., None] + grain, 0, 255).astype(np.uint8)


def plain_wall(
    wall: WallSettings,
    style: ClutterSettings,
    palette: Callable[[ClutterSettings, np.random.Generator, int], np.ndarray],
    rng: np.random.Generator,
    size_px: int,
) -> np.ndarray:
    """Return a wall (s, s, 3) uint8 of one dull colour, stained, lit from one side.

    Args:
        wall: what it looks like.
        style: of its stains and colour.
        palette: draws its colour.
        rng: source of randomness.
        size_px: side of the picture.
    """
    color = palette(style, rng, 1)
    color = color.mean() + wall.dull * (color - color.mean())
    stains = 1 + rng.uniform(*wall.stains) * np.array([[-1], [1]])
    stained = cv2.resize(_ground(style, rng, np.minimum(stains * color, 255)), (size_px, size_px))
    angle, line = rng.uniform(0, 2 * np.pi), np.linspace(-0.5, 0.5, size_px)
    across = np.cos(angle) * line + np.sin(angle) * line[:, None]
    light = 1 - rng.uniform(*wall.shade) * (across + 0.5)
    return np.clip(light[..., None] * stained, 0, 255).astype(np.uint8)


def skin_palette(style: ClutterSettings, rng: np.random.Generator, count: int) -> np.ndarray:
    """Return colours (count, 3) like skin, wood, cardboard and sand."""
    light = rng.uniform(*style.skin_light, (count, 1)) * [1, 0.76, 0.62]
    return np.clip(light * rng.normal(1, style.skin_spread, (count, 3)), 0, 255).astype(int)


def palette_of_things(style: ClutterSettings, rng: np.random.Generator, count: int) -> np.ndarray:
    """Return colours (count, 3) of paint, cloth and things: mostly dull, now and then bright."""
    hue = rng.uniform(0, 180, count)
    saturation = 255 * rng.beta(*style.saturation_beta, count)
    value = 255 * rng.beta(*style.value_beta, count)
    hsv = np.stack([hue, saturation, value], axis=-1).astype(np.uint8)
    return cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0].astype(int)


def add_shapes(
    picture: np.ndarray,
    style: ClutterSettings,
    rng: np.random.Generator,
    palette: np.ndarray,
    count: int,
) -> None:
    """Draw boxes, ellipses, polygons, lines and words upon a picture, in place.

    Args:
        picture: (s, s, 3) uint8.
        style: of what is drawn.
        rng: source of randomness.
        palette: (P, 3) colours to take, 0 to 255.
        count: of things to draw.
    """
    size = picture.shape[0]
    for _ in range(count):
        color = tuple(int(c) for c in palette[rng.integers(len(palette))])
        center = rng.uniform(0, size, 2)
        extent = size * np.exp(rng.normal(*style.extent_log, 2))
        angle = rng.choice([0.0, 90.0, rng.uniform(0, 180)], p=style.angles)
        kind = rng.integers(5)
        if kind == 0:
            box = cv2.boxPoints((tuple(center), tuple(2 * extent), angle))
            cv2.fillPoly(picture, [box.astype(np.int32)], color, cv2.LINE_AA)
        elif kind == 1:
            axes = tuple(extent.astype(int))
            at = tuple(center.astype(int))
            cv2.ellipse(picture, at, axes, angle, 0, 360, color, -1, cv2.LINE_AA)
        elif kind == 2:
            offsets = rng.normal(0, style.corner_spread, (rng.integers(*style.corners), 2))
            corners = center + extent.max() * offsets
            cv2.fillPoly(picture, [corners.astype(np.int32)], color, cv2.LINE_AA)
        elif kind == 3:
            reach = 2 * size * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
            ends = [tuple(p.astype(int)) for p in (center - reach, center + reach)]
            width = int(1 + rng.exponential(style.line_width) * size)
            cv2.line(picture, *ends, color, width, cv2.LINE_AA)
        else:
            word = "".join(rng.choice(list(_LETTERS), rng.integers(*style.letters)))
            height = rng.uniform(*style.letter_height)
            at = tuple((center - [size / 5, 0]).astype(int))
            cv2.putText(picture, word, at, rng.integers(0, 5), height, color, 2, cv2.LINE_AA)


def _ground(style: ClutterSettings, rng: np.random.Generator, palette: np.ndarray) -> np.ndarray:
    """Return a wall, a gradient or a cloudy texture in two colours of the palette."""
    first, second = palette[rng.choice(len(palette), 2)].astype(np.float32)
    octaves = [
        cv2.resize(rng.normal(0, 1, (k, k)), (_SIZE, _SIZE), interpolation=cv2.INTER_CUBIC) / k**0.5
        for k in rng.choice(style.ground_cells, rng.integers(*style.ground_octaves), replace=False)
    ]
    mix = np.clip(0.5 + rng.uniform(*style.ground_mix) * sum(octaves), 0, 1)[..., None]
    return np.ascontiguousarray((first * mix + second * (1 - mix)).astype(np.uint8))


def _add_row(
    picture: np.ndarray, style: ClutterSettings, rng: np.random.Generator, palette: np.ndarray
) -> None:
    """Draw equal things side by side in rows: shelves, windows, tiles, keyboards, stripes."""
    size = picture.shape[0]
    pitch = size * rng.uniform(*style.row_pitch, 2)
    fill = rng.uniform(*style.row_fill, 2)
    top, left = rng.uniform(*style.row_corner, 2) * size
    rows, columns = rng.integers(*style.row_count), rng.integers(*style.row_length)
    round_ones = rng.random() < style.row_round
    colors = [tuple(int(c) for c in palette[k]) for k in rng.choice(len(palette), 3)]
    for row in range(rows):
        for column in range(columns):
            corner = np.array([left, top]) + pitch * [column, row]
            a, b = (tuple(p.astype(int)) for p in (corner, corner + pitch * fill))
            color = colors[rng.integers(3)]
            if round_ones:
                center = tuple((corner + pitch * fill / 2).astype(int))
                cv2.circle(picture, center, int(pitch.min() * fill[0] / 2), color, -1, cv2.LINE_AA)
            else:
                cv2.rectangle(picture, a, b, color, -1)
