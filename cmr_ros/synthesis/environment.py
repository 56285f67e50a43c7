"""Surroundings: panoramas that light the scene and stand behind it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.synthesis.settings import Counts, RoomSettings
from cmr_ros.synthesis.surfaces import Light

_HEIGHT, _WIDTH = 128, 256
_LUMA = np.array([0.2126, 0.7152, 0.0722])
#: Squared norms of the first nine real spherical harmonics, times the share of each band that
#: reaches a diffuse surface: 1, 2/3 and 1/4 (Ramamoorthi and Hanrahan 2001).
_BANDS = np.array(
    [0.282095, *[0.488603] * 3, 1.092548, 1.092548, 0.315392, 1.092548, 0.546274]
) ** 2 * np.array([1, *[2 / 3] * 3, *[1 / 4] * 5])
#: Radiance above this many times the mean counts as the key light and casts shadows.
_KEY_RATIO = 5.0


@dataclass(frozen=True, eq=False)
class Environment:
    """A panorama; y is up, the middle column looks along z."""

    radiance: np.ndarray  # (h, w, 3) float32, linear

    @cached_property
    def _lighting(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Harmonics (9, 3) of the soft light, direction (3,) and colour (3,) of the key light."""
        radiance = cv2.resize(
            self.radiance, (_WIDTH // 2, _HEIGHT // 2), interpolation=cv2.INTER_AREA
        )
        directions, solid_angle = _sphere(*radiance.shape[:2])
        luma = radiance @ _LUMA
        mean = (luma * solid_angle).sum() / (4 * np.pi)
        soft = np.minimum(1, _KEY_RATIO * mean / np.maximum(luma, 1e-9))[..., None] * radiance
        excess = (radiance - soft) * solid_angle[..., None]
        weight = excess @ _LUMA
        key = (weight[..., None] * directions).reshape(-1, 3).sum(axis=0) + [0, 1e-9, 0]
        x, y, z = np.moveaxis(directions, -1, 0)
        basis = np.stack(
            [np.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y]
        )
        moments = np.einsum("khw,hwc->kc", basis * solid_angle, soft)
        key_color = excess.reshape(-1, 3).sum(axis=0) / np.pi
        return _BANDS[:, None] * moments, key / np.linalg.norm(key), key_color

    def light(self, rotation: np.ndarray, brightness: float, neutral: float) -> Light:
        """Return the light in a camera's frame, exposed so that white skin shows `brightness`.

        rotation: (3, 3), environment = rotation @ camera.  neutral: share, 0 to 1, by which the
        camera's white balance removes the light's colour.
        """
        harmonics, direction, key_color = self._lighting
        key_direction = direction @ rotation
        ambient, toward = harmonics[0], max(-key_direction[2], 0.25)
        seen = np.maximum(ambient + key_color * toward, 1e-6)
        balance = (seen @ _LUMA / seen) ** neutral
        exposure = brightness * balance / (seen * balance @ _LUMA)
        return Light(harmonics, rotation, key_direction, key_color, exposure)

    def view(
        self, rotation: np.ndarray, half_width: float, size_px: int, exposure: np.ndarray
    ) -> np.ndarray:
        """Return the picture (s, s, 3) uint8 of a pinhole camera.

        Args:
            rotation: (3, 3), environment = rotation @ camera.
            half_width: slope of the ray through the middle of an edge.
            size_px: side of the picture.
            exposure: (3,) factors on red, green and blue.
        """
        height, width = self.radiance.shape[:2]
        line = np.linspace(-half_width, half_width, size_px, dtype=np.float32)
        rays = np.stack([*np.meshgrid(line, line), np.ones((size_px, size_px), np.float32)], -1)
        x, y, z = np.moveaxis(rays @ rotation.T.astype(np.float32), -1, 0)
        column = (np.arctan2(x, z) / (2 * np.pi) + 0.5) * width - 0.5
        row = np.arctan2(-y, np.hypot(x, z)) / np.pi * height + 0.5 * height - 0.5
        # Lamps a thousand times as bright as a wall would make interpolation a staircase.
        shown = np.minimum(self.radiance * exposure.astype(np.float32), 2)
        return encode(cv2.remap(shown, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP))


def encode(linear: np.ndarray) -> np.ndarray:
    """Return linear light as uint8 sRGB with the shoulder of the renderer's shader."""
    knee = 0.7 + 0.3 * (1 - np.exp((0.7 - linear) / 0.3))
    shown = cv2.pow(np.where(linear > 0.7, knee, np.maximum(linear, 0)), 1 / 2.2)
    return np.clip(255 * shown, 0, 255).astype(np.uint8)


def load_environments(folder: str | Path) -> list[Environment]:
    """Return the environments of a folder of .exr panoramas; InputError if there are none."""
    files = sorted(Path(folder).glob("*.exr"))
    if not files:
        raise InputError(f"{folder}: no .exr panorama in this folder")
    return [_load(file) for file in files]


def _load(file: Path) -> Environment:
    import OpenEXR

    try:
        (pixels,) = (c.pixels for c in OpenEXR.File(str(file)).channels().values())
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{file}: not a readable RGB panorama ({error})") from error
    radiance = np.clip(np.nan_to_num(pixels[..., :3].astype(np.float32)), 0, 1e4)
    # Compression leaves negative rings around lamps; black ones would be as wrong.
    ringing = (pixels[..., :3] < 0).any(axis=-1, keepdims=True)
    radiance = np.where(ringing, cv2.medianBlur(radiance, 5), radiance)
    # It also took two of the colours of some suns: lamps are never that pure.
    brightest = radiance.max(axis=-1, keepdims=True)
    return Environment(np.where(brightest > 5, np.maximum(radiance, 0.4 * brightest), radiance))


def procedural_environment(
    rng: np.random.Generator, settings: RoomSettings | None = None
) -> Environment:
    """Return a made-up room or landscape: ceiling, floor, walls with clutter, lamps or windows."""
    settings = settings or RoomSettings()
    up = np.linspace(1, -1, _HEIGHT, dtype=np.float32)[:, None]
    colors = rng.uniform(*settings.color, (3, 1)) * rng.uniform(*settings.color_tint, (3, 3))
    walls = 1 / (1 + np.exp(-(0.45 - np.abs(up)) / 0.05))
    base = walls[..., None] * colors[0]
    base = base + (1 - walls[..., None]) * np.where(up[..., None] > 0, colors[1], colors[2])
    noise = sum(
        cv2.resize(rng.normal(0, 1, (2**k, 2 ** (k + 1))).astype(np.float32), (_WIDTH, _HEIGHT)) / k
        for k in (2, 3, 5, 6)
    )
    radiance = (base * np.exp(settings.stain_log * noise[..., None])).astype(np.float32)
    for _ in range(rng.integers(*settings.things)):
        color = rng.uniform(*settings.thing_light) * rng.uniform(*settings.thing_tint, 3)
        _paint(radiance, rng, color, settings.thing_px, (0, _HEIGHT))
    for _ in range(rng.integers(*settings.lamps)):
        warmth = rng.normal(0, settings.lamp_warmth)
        lamp = np.exp(rng.uniform(*settings.lamp_log)) * np.array([1 + warmth, 1, 1 - warmth])
        _paint(radiance, rng, lamp, settings.lamp_px, settings.lamp_rows)
    return Environment(radiance)


def _paint(
    radiance: np.ndarray, rng: np.random.Generator, color: np.ndarray, extent: Counts, rows: Counts
) -> None:
    """Set one upright rectangle of the panorama."""
    width, height = rng.integers(*extent, 2)
    row, column = rng.integers(*rows), rng.integers(0, _WIDTH)
    radiance[row : row + height, column : column + width] = color


def _sphere(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return directions (h, w, 3) and solid angles (h, w) of a panorama's pixels."""
    elevation = np.pi * (0.5 - (np.arange(height) + 0.5) / height)[:, None]
    azimuth = 2 * np.pi * ((np.arange(width) + 0.5) / width - 0.5)[None]
    directions = np.stack(
        [
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation) + 0 * azimuth,
            np.cos(elevation) * np.cos(azimuth),
        ],
        axis=-1,
    )
    solid_angle = np.cos(elevation) * (np.pi / height) * (2 * np.pi / width) + 0 * azimuth
    return directions, solid_angle
