"""Skin: photographed textures where they are given, made-up ones of any tone otherwise.

Both live in one atlas.  The hand's part of MakeHuman's UV layout fills its left side, the forearm,
which the photographs do not show, a strip on its right that continues the wrist's colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.pictures import read_picture
from cmr_ros.geometry.mesh import vertex_normals
from cmr_ros.synthesis.nails import nail_faces
from cmr_ros.synthesis.settings import SkinSettings
from cmr_ros.synthesis.surfaces import Material, Texture

_WIDTH, _HEIGHT, _HAND_WIDTH = 512, 400, 400
#: The hand's rectangle of MakeHuman's UV layout (v up), as the photographs are cut.
_U, _V = (0.36, 0.556), (0.010, 0.199)
#: Absorbance of melanin and of blood in linear red, green and blue, chosen so that melanin 0 to 1
#: spans skin from very light to very dark.
_PALE = np.array([0.26, 0.74, 1.05])
_MELANIN = np.array([2.0, 2.35, 2.55])
_BLOOD = np.array([0.02, 0.25, 0.18])
#: How far red, green and blue light creep into shadow, shares: red goes deepest.
_SCATTER = np.array([0.32, 0.13, 0.07])
_MADE_UP = 48
#: sRGB of nail varnish: reds, pinks, nude, white, black, blue, green.
_VARNISH = np.array([
    [165, 12, 35], [110, 10, 30], [225, 60, 110], [235, 160, 170], [205, 160, 140], [240, 238, 235],
    [20, 18, 22], [40, 60, 140], [30, 90, 80],
])  # fmt: skip


@dataclass(frozen=True, eq=False)
class RestHand:
    """A hand at rest, to know what each texel shows."""

    vertices: np.ndarray  # (V, 3) metres
    faces: np.ndarray  # (F, 3)
    uvs: np.ndarray  # (F, 3, 2) of the corners in MakeHuman's layout
    is_hand: np.ndarray  # (F,) bool, false on the forearm
    joints: np.ndarray  # (21, 3) metres


class Skin:
    """Skin materials for one hand model.

    uvs: (F, 3, 2) corners in the atlas, row 0 of a texture at v = 0.
    """

    def __init__(self, hand: RestHand, settings: SkinSettings, folder: str | Path | None = None):
        self._settings = settings
        self.uvs = _atlas_uvs(hand)
        self._features = _bake(hand, self.uvs)
        self._photos = [] if folder is None else self._load(Path(folder))
        self._made_up: dict[int, Texture] = {}
        nails = nail_faces(hand.vertices, hand.faces, hand.joints)
        self._nails = _rasterise(self.uvs, nails.astype(np.float32))

    def material(self, rng: np.random.Generator, tint: float) -> Material:
        """Return a random skin; `tint` is the standard deviation of its colour around a texture."""
        settings = self._settings
        if self._photos and rng.random() < settings.photographed:
            texture = self._photos[rng.integers(len(self._photos))]
            darker = np.exp(-settings.photographed_tone * rng.normal() * _MELANIN)
        else:
            texture, darker = self._made_up_texture(int(rng.integers(_MADE_UP))), 1.0
        if settings.varnished and rng.random() < settings.varnished:
            texture = self._varnished(texture, rng)
        return Material(
            texture,
            tint=darker
            * np.exp(
                settings.tint_each * tint * rng.normal(size=3)
                + settings.tint_all * tint * rng.normal()
            ),
            contrast=float(np.exp(settings.contrast_log * rng.normal())),
            specular=float(rng.uniform(*settings.specular)),
            roughness=float(rng.uniform(*settings.roughness)),
            scatter=_SCATTER * rng.uniform(*settings.scatter),
            bump=float(rng.uniform(*settings.bump)),
        )

    def _load(self, folder: Path) -> list[Texture]:
        files = sorted(folder.glob("*.jpg")) + sorted(folder.glob("*.png"))
        if not files:
            raise InputError(f"{folder}: no .jpg or .png skin texture in this folder")
        return [Texture(self._extend(read_picture(file))) for file in files]

    def _extend(self, photo: np.ndarray) -> np.ndarray:
        """Return the atlas of a photographed skin, its forearm in the wrist's colours."""
        atlas = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8)
        atlas[:, :_HAND_WIDTH] = cv2.resize(photo, (_HAND_WIDTH, _HEIGHT))
        palm, wrist = self._features["palm"], self._features["wrist"]
        near = (wrist > 0.5) & (np.arange(_WIDTH) < _HAND_WIDTH)
        inner = np.median(atlas[near & (palm > 0.7)], axis=0)
        outer = np.median(atlas[near & (palm < 0.3)], axis=0)
        arm = slice(_HAND_WIDTH, None)
        share = palm[:, arm, None]
        grain = _noise(np.random.default_rng(0), (3, 9, 30))[:, arm, None]
        atlas[:, arm] = np.clip(inner * share + outer * (1 - share) + 5 * grain, 0, 255)
        return atlas

    def _varnished(self, texture: Texture, rng: np.random.Generator) -> Texture:
        """Return a skin with varnish, more or less opaque, on its nails."""
        color = _VARNISH[rng.integers(len(_VARNISH))] * rng.uniform(0.8, 1.05)
        pixels, nails = texture.pixels.copy(), self._nails > 0
        opacity = rng.uniform(0.6, 1) * self._nails[nails][:, None]
        pixels[nails] = np.clip(pixels[nails] * (1 - opacity) + color * opacity, 0, 255)
        return Texture(pixels)

    def _made_up_texture(self, k: int) -> Texture:
        if k not in self._made_up:
            self._made_up[k] = Texture(self._paint(np.random.default_rng(k)))
        return self._made_up[k]

    def _paint(self, rng: np.random.Generator) -> np.ndarray:
        """Return a made-up skin: melanin spares the palm, blood gathers at tips and joints."""
        f, settings = self._features, self._settings
        tone = rng.beta(*settings.tone_beta)
        melanin = tone * (1 - rng.uniform(*settings.pale_palm) * f["palm"])
        melanin = melanin * (1 + 0.25 * f["knuckle"]) + 0.05 * f["crease"]
        melanin += 0.02 * _noise(rng, (6, 20, 60, 130))
        blood = (
            rng.normal(*settings.blood) + 0.5 * f["tip"] + 0.6 * f["crease"] + 0.4 * f["knuckle"]
        )
        blood += 0.22 * _noise(rng, (5, 12, 30, 80)) + 0.3 * f["palm"]
        nail = f["nail"]
        melanin, blood = melanin * (1 - 0.6 * nail), blood + 0.5 * nail
        absorbed = _PALE + melanin[..., None] * _MELANIN + blood[..., None] * _BLOOD
        linear = np.exp(-absorbed) * (1 + 0.12 * nail[..., None])
        return (255 * np.clip(linear, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def _atlas_uvs(hand: RestHand) -> np.ndarray:
    """Return the corners' UVs in the atlas; what is off the hand's rectangle is arm."""
    u = (hand.uvs[..., 0] - _U[0]) / (_U[1] - _U[0])
    v = (_V[1] - hand.uvs[..., 1]) / (_V[1] - _V[0])
    uvs = np.stack([u * _HAND_WIDTH / _WIDTH, v], axis=-1)
    strip = ~((u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)).all(axis=1)
    if strip.any():
        loose = hand.uvs[strip].reshape(-1, 2)
        low, span = loose.min(axis=0), np.ptp(loose, axis=0)
        inside = (hand.uvs[strip] - low) / np.maximum(span, 1e-9)
        left = (_HAND_WIDTH + 6) / _WIDTH
        uvs[strip] = inside * [0.985 - left, 0.96] + [left, 0.02]
    return uvs.astype(np.float32)


def _bake(hand: RestHand, uvs: np.ndarray) -> dict[str, np.ndarray]:
    """Return maps (h, w) in [0, 1] of the atlas that give what each texel shows."""
    joints = hand.joints
    fingers = joints[9] - joints[0]
    length = np.linalg.norm(fingers)
    palm = np.cross(joints[5] - joints[17], fingers)
    palm /= np.linalg.norm(palm)
    normals = vertex_normals(hand.vertices, hand.faces)[hand.faces].mean(axis=1) @ palm
    centers = hand.vertices[hand.faces].mean(axis=1)

    def near(points: np.ndarray, radius_m: float) -> np.ndarray:
        nearest = np.linalg.norm(centers[:, None] - points, axis=-1).min(axis=1)
        return np.exp(-((nearest / radius_m) ** 2))

    bends, tips = joints[[3, 6, 7, 10, 11, 14, 15, 18, 19]], joints[[4, 8, 12, 16, 20]]
    ends = joints[[3, 7, 11, 15, 19]]
    back, front = np.clip(-normals, 0, 1), np.clip(normals, 0, 1)
    faces = {
        "palm": 1 / (1 + np.exp(-normals / 0.15)),
        "wrist": (centers - joints[0]) @ fingers / length < 0.25 * length,
        "crease": front * near(bends, 0.11 * length),
        "knuckle": back * near(bends, 0.12 * length),
        "tip": near(tips, 0.15 * length),
        "nail": np.clip(4 * back - 2.4, 0, 1)
        * (near(0.35 * ends + 0.65 * tips, 0.1 * length) > 0.3),
    }
    return {name: _rasterise(uvs, value.astype(np.float32)) for name, value in faces.items()}


def _rasterise(uvs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return a map (h, w) that shows each face's value (F,), spread over the seams and smoothed."""
    painted = np.full((_HEIGHT, _WIDTH), -1, np.float32)
    corners = np.rint(uvs * [_WIDTH, _HEIGHT]).astype(np.int32)
    for triangle, value in zip(corners, values, strict=True):
        cv2.fillConvexPoly(painted, triangle, float(value))
    empty = painted < 0
    for _ in range(12):
        grown = cv2.dilate(painted, np.ones((3, 3)))
        painted = np.where(empty & (painted < 0), grown, painted)
    return cv2.GaussianBlur(np.maximum(painted, 0), (0, 0), 2.0)


def _noise(rng: np.random.Generator, cells: tuple[int, ...]) -> np.ndarray:
    """Return cloudy noise (h, w) with unit variance, roughly, from octaves of the given sizes."""
    octaves = [
        cv2.resize(rng.normal(0, 1, (n, n)), (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC)
        for n in cells
    ]
    return sum(octaves) / len(cells) ** 0.5
