"""Solids that a hand can close around: how far points are from them, and their triangles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from cmr_ros.synthesis.objects import grid

_COLUMNS = 32
#: Points of each of a block's rounded edges.
_EDGE = 4


class Thing(Protocol):
    """What a hand can close around; its long axis is z."""

    def distance_m(self, points: np.ndarray) -> np.ndarray:
        """Return the distances (...) of points (..., 3) from the surface, negative inside."""


class Solid(Thing, Protocol):
    """A solid around the origin."""

    @property
    def reach_m(self) -> float:
        """How far it reaches along x."""

    def mesh(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return vertices (V, 3), faces (F, 3) and corner UVs (F, 3, 2); metres."""


@dataclass(frozen=True, eq=False)
class Revolution:
    """What a lathe makes: can, bottle, cup, pen, ball."""

    #: (K, 2) radius and height in metres, from the axis at the bottom over the outside to the top
    profile: np.ndarray
    #: (H, 2) likewise of the inside, from the top to the axis; a hollow thing counts as full
    hollow: np.ndarray | None = None

    @property
    def reach_m(self) -> float:
        """How far it reaches along x."""
        return float(self.profile[:, 0].max())

    @cached_property
    def _edges(self) -> list[list[float]]:
        """Start and way (r, z, along r, along z) of each of the outline's edges."""
        outline = np.append(self.profile, [[0, self.profile[-1, 1]]], axis=0)
        edges = np.concatenate([outline[:-1], np.diff(outline, axis=0)], axis=1)
        # Python's numbers leave single precision as it is, twice as fast.
        return edges[edges[:, 2:].any(axis=1)].tolist()

    def distance_m(self, points: np.ndarray) -> np.ndarray:
        """Return the distances (...) of points (..., 3) from the surface, negative inside."""
        radius = np.hypot(points[..., 0], points[..., 1])
        height = points[..., 2]
        square, inside = np.full_like(radius, np.inf), np.zeros(radius.shape, bool)
        for r, z, along_r, along_z in self._edges:
            to_r, to_z = radius - r, height - z
            share = (to_r * along_r + to_z * along_z) / (along_r**2 + along_z**2)
            share = np.clip(share, 0, 1)
            square = np.minimum(
                square, (to_r - share * along_r) ** 2 + (to_z - share * along_z) ** 2
            )
            # A ray outwards from an inner point meets the outline an odd number of times.
            if along_z != 0:
                crossed = (height < z) != (height < z + along_z)
                inside ^= crossed & (radius < r + to_z / along_z * along_r)
        return np.where(inside, -1, 1) * np.sqrt(square)

    def mesh(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return vertices (V, 3), faces (F, 3) and corner UVs (F, 3, 2); metres."""
        turn = np.linspace(-np.pi, np.pi, _COLUMNS + 1)
        outline = [self.profile] if self.hollow is None else [self.profile, self.hollow]
        radius, height = np.concatenate(outline).T[:, :, None]
        rows = np.stack([radius * np.cos(turn), radius * np.sin(turn), height + 0 * turn], -1)
        return _meshed(rows)


@dataclass(frozen=True, eq=False)
class Block:
    """A box with rounded edges: parcel, phone, book."""

    half_m: np.ndarray  # (3,) half axes
    edge_m: float  # radius of the edges, at most the least half axis

    @property
    def reach_m(self) -> float:
        """How far it reaches along x."""
        return float(self.half_m[0])

    def distance_m(self, points: np.ndarray) -> np.ndarray:
        """Return the distances (...) of points (..., 3) from the surface, negative inside."""
        beyond = np.abs(points) - (self.half_m - self.edge_m).astype(points.dtype)
        outside = np.linalg.norm(np.maximum(beyond, 0), axis=-1)
        return outside + np.minimum(beyond.max(axis=-1), 0) - self.edge_m

    def mesh(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return vertices (V, 3), faces (F, 3) and corner UVs (F, 3, 2); metres."""
        quarter = np.linspace(0, np.pi / 2, _EDGE)
        up = np.concatenate([quarter - np.pi / 2, quarter])[:, None]
        around = (np.arange(4)[:, None] * np.pi / 2 + quarter).ravel()
        corner = np.repeat(np.arange(4), _EDGE) * np.pi / 2 + np.pi / 4
        around, corner = np.append(around, around[0]), np.append(corner, corner[0])
        # Each corner of the core carries an eighth of a ball; between them lie flat faces.
        x, y, z = self.half_m - self.edge_m
        ring = self.edge_m * np.cos(up)
        rows = np.stack(
            [
                np.sign(np.cos(corner)) * x + ring * np.cos(around),
                np.sign(np.sin(corner)) * y + ring * np.sin(around),
                np.repeat([-z, z], _EDGE)[:, None] + self.edge_m * np.sin(up) + 0 * around,
            ],
            axis=-1,
        )
        caps = np.zeros((2, 1, rows.shape[1], 3))
        caps[0, ..., 2], caps[1, ..., 2] = -self.half_m[2], self.half_m[2]
        return _meshed(np.concatenate([caps[0], rows, caps[1]]))


def can(radius_m: float, half_m: float, bevel_m: float = 0.0015) -> Revolution:
    """Return a cylinder of half the length `half_m`, its edges bevelled."""
    inner, low = radius_m - bevel_m, half_m - bevel_m
    return Revolution(
        np.array([[0, -half_m], [inner, -half_m], [radius_m, -low],
                  [radius_m, low], [inner, half_m], [0, half_m]])
    )  # fmt: skip


def bottle(radius_m: float, half_m: float, neck: float, shoulder: float) -> Revolution:
    """Return a bottle.

    Args:
        radius_m: of the body.
        half_m: half its length.
        neck: radius of the neck, as a share of the body's.
        shoulder: where the body ends, as a share of the length.
    """
    bevel, thin = 0.08 * radius_m, neck * radius_m
    start = (2 * shoulder - 1) * half_m
    end = min(start + 1.2 * (radius_m - thin), 0.9 * half_m)
    bend = np.linspace(0, 1, 5)
    slope = np.stack(
        [radius_m + (thin - radius_m) * (3 * bend**2 - 2 * bend**3), start + (end - start) * bend],
        axis=1,
    )
    return Revolution(
        np.concatenate(
            [
                [[0, -half_m], [radius_m - bevel, -half_m], [radius_m, bevel - half_m]],
                slope,
                [[thin, half_m], [0, half_m]],
            ]
        )
    )


def cup(radius_m: float, half_m: float, taper: float, wall_m: float = 0.003) -> Revolution:
    """Return an open cup.

    Args:
        radius_m: of the rim.
        half_m: half its height.
        taper: radius of the bottom, as a share of the rim's.
        wall_m: thickness of its wall.
    """
    bottom, bevel = taper * radius_m, 0.002
    floor = wall_m - half_m
    return Revolution(
        np.array([[0, -half_m], [bottom - bevel, -half_m], [bottom, bevel - half_m],
                  [radius_m, half_m - bevel], [radius_m - wall_m / 2, half_m]]),
        np.array([[radius_m - wall_m, half_m - bevel], [bottom - wall_m, floor], [0, floor]]),
    )  # fmt: skip


def ball(radius_m: float) -> Revolution:
    """Return a ball."""
    up = np.linspace(-np.pi / 2, np.pi / 2, 13)
    return Revolution(radius_m * np.stack([np.cos(up), np.sin(up)], axis=1))


def _meshed(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices, faces and corner UVs of a surface of rows x columns points (r, c, 3).

    UVs grow with the way along the middle row and down the first column, so prints keep in shape.
    """
    faces, _ = grid(*rows.shape[:2])
    u = _way(rows[len(rows) // 2])
    v = _way(rows[:, 0])
    uvs = np.stack(np.broadcast_arrays(u[None], v[:, None]), axis=-1).reshape(-1, 2)
    return rows.reshape(-1, 3), faces, uvs[faces].astype(np.float32)


def _way(points: np.ndarray) -> np.ndarray:
    """Return how far along a line of points (n, 3) each lies, from 0 to 1."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    return np.append(0, np.cumsum(steps)) / steps.sum()
