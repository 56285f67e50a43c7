"""Watches, bracelets and rings, fitted to the arm or finger that wears them."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from cmr_ros.synthesis.backgrounds import Clutter, palette_of_things
from cmr_ros.synthesis.objects import grid
from cmr_ros.synthesis.placed_hand import PlacedHand
from cmr_ros.synthesis.solids import Block, Solid, can
from cmr_ros.synthesis.surfaces import ARM, HAND, Material, Mesh, Texture
from cmr_ros.synthesis.thing_settings import JewellerySettings

_PLAIN = Texture(np.full((4, 4, 3), 255, np.uint8))
#: Linear colours: gold, silver, rose gold, steel, copper, black steel.
_METALS = np.array([
    [0.9, 0.6, 0.22], [0.8, 0.8, 0.78], [0.8, 0.5, 0.4], [0.45, 0.46, 0.48], [0.7, 0.35, 0.2],
    [0.04, 0.04, 0.045],
])  # fmt: skip
_ANGLES = 48
#: Outlines of bands, along the limb and outwards, by half the width and the thickness.
_FLAT = np.array([[-1, 0], [-1, 0.7], [-0.85, 1], [0.85, 1], [1, 0.7], [1, 0], [-1, 0]])
_ROUND = np.array([[np.sin(t), 0.5 + 0.5 * np.cos(t)] for t in np.linspace(np.pi, -np.pi, 9)])
_DIALS, _DIAL_PX = 16, 64


def wristband(
    hand: PlacedHand, settings: JewellerySettings, rng: np.random.Generator, clutter: Clutter
) -> list[Mesh]:
    """Return a watch or a bracelet around the wrist.

    Args:
        hand: who wears it.
        settings: what wristbands look like.
        rng: source of randomness.
        clutter: has the colours.
    """
    axis = hand.elbow_side
    at = hand.joints[0] + rng.uniform(*settings.wrist_at_m) * axis
    is_watch = rng.random() < settings.watch
    width_m = rng.uniform(*(settings.strap_width_m if is_watch else settings.bracelet_width_m))
    thick_m = rng.uniform(*(settings.strap_m if is_watch else settings.bracelet_m))
    outline = _FLAT if is_watch or rng.random() < settings.flat else _ROUND
    if rng.random() < settings.metal:
        material = _metal(rng)
    else:
        color = palette_of_things(clutter.style, rng, 1)[0] / 255
        material = Material(_PLAIN, np.maximum(color, 0.03) ** 2.2, roughness=0.6)
    girth = _Girth(hand, [0], at, axis, width_m)
    band = girth.band(outline * [width_m / 2, thick_m], settings.gap_m, material, ARM)
    if not is_watch:
        return [band]
    across, palm = hand.joints[5] - hand.joints[17], hand.joints[9] - hand.joints[0]
    back = np.cross(palm, across)
    return [band, *_watch(girth, back, thick_m + settings.gap_m, settings, rng)]


def finger_ring(hand: PlacedHand, settings: JewellerySettings, rng: np.random.Generator) -> Mesh:
    """Return a metal ring on a finger's first phalanx.

    Args:
        hand: who wears it.
        settings: what rings look like.
        rng: source of randomness.
    """
    base = int(rng.choice(settings.ring_fingers))
    start, end = hand.joints[base], hand.joints[base + 1]
    at = start + rng.uniform(*settings.ring_at) * (end - start)
    width_m, thick_m = rng.uniform(*settings.ring_width_m), rng.uniform(*settings.ring_m)
    outline = _FLAT if rng.random() < settings.flat else _ROUND
    axis = (end - start) / np.linalg.norm(end - start)
    girth = _Girth(hand, [base, base + 1], at, axis, width_m)
    return girth.band(outline * [width_m / 2, thick_m], 0.0, _metal(rng), HAND)


class _Girth:
    """The outline of a limb where a band goes around it."""

    def __init__(
        self, hand: PlacedHand, bones: list[int], at: np.ndarray, axis: np.ndarray, width_m: float
    ):
        """Measure.

        Args:
            hand: whose limb.
            bones: whose skin the limb has.
            at: (3,) inside the limb.
            axis: (3,) unit vector along it.
            width_m: of the band; the limb's widest outline under it counts.
        """
        side = np.cross(np.eye(3)[np.argmin(np.abs(axis))], axis)
        side /= np.linalg.norm(side)
        self.frame = np.stack([side, np.cross(axis, side), axis], axis=1)
        local = (hand.mesh.vertices - at) @ self.frame
        faces = hand.mesh.faces[np.isin(hand.bones[hand.mesh.faces], bones).any(axis=1)]
        edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        cuts = [_cut(local, edges, height) for height in (-width_m / 2, 0, width_m / 2)]
        middle = cuts[1].mean(axis=0)
        self.center = at + self.frame[:, :2] @ middle
        self.angles = np.linspace(-np.pi, np.pi, _ANGLES + 1)
        self.radius_m = np.max([_radii(cut - middle, self.angles) for cut in cuts], axis=0)

    def band(self, outline: np.ndarray, gap_m: float, material: Material, part: int) -> Mesh:
        """Return a band; outline (K, 2) metres along the limb and outwards, closed."""
        radius = self.radius_m + gap_m + outline[:, 1:]
        rows = np.stack(
            [
                radius * np.cos(self.angles),
                radius * np.sin(self.angles),
                outline[:, :1] + 0 * self.angles,
            ],
            axis=-1,
        )
        faces, uvs = grid(*rows.shape[:2])
        return Mesh(rows.reshape(-1, 3) @ self.frame.T + self.center, faces, uvs, material, part)


def _cut(points: np.ndarray, edges: np.ndarray, height: float) -> np.ndarray:
    """Return where edges (E, 2) of points (V, 3) pass z = height: (N, 2)."""
    first, second = points[edges[:, 0]], points[edges[:, 1]]
    passing = (first[:, 2] < height) != (second[:, 2] < height)
    first, second = first[passing], second[passing]
    share = (height - first[:, 2:]) / (second[:, 2:] - first[:, 2:])
    return (first + share * (second - first))[:, :2]


def _radii(points: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Return how far the convex hull of points (N, 2) around the origin reaches at angles (A,)."""
    if len(points) < 3:
        return np.zeros(len(angles))
    hull = cv2.convexHull(points.astype(np.float32))[:, 0]
    share = np.linspace(0, 1, 8, endpoint=False)[:, None]
    dense = (hull[:, None] * (1 - share) + np.roll(hull, -1, axis=0)[:, None] * share).reshape(
        -1, 2
    )
    return np.interp(
        angles,
        np.arctan2(dense[:, 1], dense[:, 0]),
        np.linalg.norm(dense, axis=1),
        period=2 * np.pi,
    )


def _watch(
    girth: _Girth,
    back: np.ndarray,
    above_m: float,
    settings: JewellerySettings,
    rng: np.random.Generator,
) -> list[Mesh]:
    """Return the case and the dial of a watch on the side of the limb that `back` (3,) points to.

    above_m: the strap's outside, from the skin.
    """
    up = back - girth.frame[:, 2] * (back @ girth.frame[:, 2])
    up /= np.linalg.norm(up)
    x, y = girth.frame[:, :2].T @ up
    out_m = np.interp(np.arctan2(y, x), girth.angles, girth.radius_m) + above_m
    radius_m, half_m = rng.uniform(*settings.case_radius_m), rng.uniform(*settings.case_half_m)
    axes = np.stack([np.cross(girth.frame[:, 2], up), girth.frame[:, 2], up], axis=1)
    is_round = rng.random() < settings.round_case
    case: Solid
    if is_round:
        case, corners = can(radius_m, half_m), np.linspace(0, 2 * np.pi, 33)
        rim = np.stack([np.cos(corners), np.sin(corners)], axis=1)
    else:
        case = Block(np.array([0.85 * radius_m, radius_m, half_m]), min(0.004, half_m))
        rim = np.array([[-0.72, -0.87], [0.72, -0.87], [0.72, 0.87], [-0.72, 0.87], [-0.72, -0.87]])
    vertices, faces, uvs = case.mesh()
    at = girth.center + up * out_m
    meshes = [Mesh(vertices @ axes.T + at, faces, uvs, _metal(rng), ARM)]
    rim = 0.85 * rim if is_round else rim
    flat = np.concatenate([[[0, 0]], rim])
    lifted = np.c_[radius_m * flat, np.full(len(flat), half_m + 0.0003)]
    steps = np.arange(1, len(rim))
    fan = np.stack([np.zeros_like(steps), steps, steps + 1], axis=1)
    glass = Material(_dial(int(rng.integers(_DIALS))), specular=0.06, roughness=0.25)
    dial_uvs = (0.5 + 0.5 * flat / np.abs(flat).max()).astype(np.float32)
    return [*meshes, Mesh(lifted @ axes.T + at, fan, dial_uvs[fan], glass, ARM)]


@cache
def _dial(k: int) -> Texture:
    """Return one of the dials: marks and hands, or a dark screen."""
    rng = np.random.default_rng(k)
    ground, ink = (rng.uniform(180, 250), 20) if rng.random() < 0.5 else (rng.uniform(5, 60), 230)
    picture = np.full((_DIAL_PX, _DIAL_PX, 3), ground * rng.uniform(0.85, 1, 3), np.uint8)
    middle = _DIAL_PX // 2
    if k % 4:
        turns = [*np.arange(0, 2 * np.pi, np.pi / 6), *rng.uniform(0, 2 * np.pi, 2)]
        spans = [*[(0.78, 0.92)] * 12, (0, 0.45), (0, 0.7)]
        for turn, (start, end) in zip(turns, spans, strict=True):
            ray = middle * np.array([np.sin(turn), -np.cos(turn)])
            ends = ((middle + reach * ray).astype(int).tolist() for reach in (start, end))
            cv2.line(picture, *ends, (ink, ink, ink), 2, cv2.LINE_AA)
    else:
        hour, minute = rng.integers(24), rng.integers(60)
        color = tuple(rng.uniform(120, 255, 3))
        cv2.putText(
            picture,
            f"{hour}:{minute:02d}",
            (4, middle + 6),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.6,
            color,
            2,
        )
    return Texture(picture)


def _metal(rng: np.random.Generator) -> Material:
    """Return a random metal, polished to brushed."""
    tint = _METALS[rng.integers(len(_METALS))] * rng.uniform(0.4, 0.8)
    return Material(
        _PLAIN,
        tint,
        specular=float(rng.uniform(0.15, 0.4)),
        roughness=float(rng.uniform(0.25, 0.5)),
    )
