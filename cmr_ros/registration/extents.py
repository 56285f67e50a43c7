"""Silhouettes as 1D extents: how far they reach along the paper's 12 axes (CMR, section 3.3).

An axis has two ends, so a shape has 24 extents: its support h(n) = max n.p for outward normals n
15 degrees apart.  Extents shrink by the same amount when a silhouette is eroded, whatever its
form, and each shows by itself whether the picture's edge cut it off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_ANGLES = np.arange(24) * np.pi / 12
#: Outward normals (24, 2) of the extents.
NORMALS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=-1)
#: Fewer extents than this do not determine a root.
FEWEST_EXTENTS = 4
#: A silhouette that spans fewer map cells than this is noise.
_FEWEST_CELLS = 4
#: An extent within this many map cells of the image's edge may have been cut off there.
_EDGE_CELLS = 1.5


@dataclass(frozen=True, eq=False)
class Extents:
    """Extents of B silhouettes in crop pixels."""

    reach_px: np.ndarray  # (B, 24) support along `NORMALS`
    points_px: np.ndarray  # (B, 24, 2) where it is reached
    shown: np.ndarray  # (B, 24) False where the image's edge cut the silhouette or there is none

    @classmethod
    def none(cls, count: int) -> Extents:
        """Return the extents of hands without a silhouette."""
        shape = (count, len(NORMALS))
        return cls(np.zeros(shape), np.zeros((*shape, 2)), np.zeros(shape, bool))


def frame_lines(size_px: int) -> np.ndarray:
    """Return the crop's own four sides as lines (4, 3): a x + b y + c >= 0 inside."""
    far = size_px - 0.5
    return np.array([[1, 0, 0.5], [-1, 0, far], [0, 1, 0.5], [0, -1, far]])


def inside(points_px: np.ndarray, lines: np.ndarray, margin_px: float) -> np.ndarray:
    """Return whether points (..., N, 2) keep a margin from lines (..., L, 3)."""
    distance = points_px @ np.swapaxes(lines[..., :2], -1, -2) + lines[..., None, :, 2]
    return (distance > margin_px).all(-1)


def silhouette_extents(
    silhouettes: Sequence[np.ndarray], size_px: int, lines: np.ndarray
) -> Extents:
    """Return the extents of B silhouettes (h, w), probabilities that cover the whole crop.

    The outline is where the probability crosses one half, interpolated between cells along rows
    and columns.  lines: (B, L, 3) edges of what the picture shows; an extent reached at one of
    them is not shown.
    """
    maps = np.stack(silhouettes)
    height, width = maps.shape[1:]
    solid: np.ndarray = maps if maps.dtype == bool else maps > 0.5
    top, left, box = _box(solid)
    solid, values = solid[box], maps[box]
    x, y, rows = _crossings(values, solid)
    v, u, columns = _crossings(
        values.transpose(0, 2, 1), np.ascontiguousarray(solid.transpose(0, 2, 1))
    )
    outline = np.empty((len(solid), x.shape[1] + u.shape[1], 2))
    outline[:, : x.shape[1]] = np.stack([x, y], axis=-1)
    outline[:, x.shape[1] :] = np.stack([u, v], axis=-1)
    cell = np.array([size_px / width, size_px / height])
    outline = (outline + [left + 0.5, top + 0.5]) * cell - 0.5
    hand = np.arange(len(solid))[:, None]
    along = NORMALS @ outline.transpose(0, 2, 1)
    along += np.where(np.concatenate([rows, columns], 1), 0, -np.inf)[:, None]
    index = along.argmax(-1)
    points = outline[hand, index]
    shown = inside(points, lines, _EDGE_CELLS * cell.max())
    large = (rows.sum(1) >= 2 * _FEWEST_CELLS) & (columns.sum(1) >= 2 * _FEWEST_CELLS)
    shown &= large[:, None]
    return Extents(np.where(shown, (points * NORMALS).sum(-1), 0.0), points, shown)


def _box(solid: np.ndarray) -> tuple[int, int, tuple[slice, ...]]:
    """Return the first row and column of the box around all solid cells (B, h, w), and its index.

    It keeps one cell of margin where there is one.
    """
    rows = np.flatnonzero(solid.any((0, 2)))
    columns = np.flatnonzero(solid[:, rows[0] : rows[-1] + 1].any((0, 1))) if rows.size else rows
    if not rows.size:
        return 0, 0, np.s_[:, :1, :1]
    top, left = max(rows[0] - 1, 0), max(columns[0] - 1, 0)
    return top, left, np.s_[:, top : rows[-1] + 2, left : columns[-1] + 2]


def _crossings(values: np.ndarray, solid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where the outline crosses rows: x and y (B, 2 h) in cells, and whether it does."""
    count, height, width = solid.shape
    first = solid.argmax(-1)
    last = width - 1 - solid[..., ::-1].argmax(-1)
    x = np.stack([first, last], axis=1)
    outwards = np.array([-1, 1])[:, None]
    beyond = x + outwards
    hand, row = np.arange(count)[:, None, None], np.arange(height)
    here = values[hand, row, x].astype(float)
    outside: np.ndarray = (beyond < 0) | (beyond >= width)
    there = np.where(outside, 0.0, values[hand, row, np.clip(beyond, 0, width - 1)])
    step = (here - 0.5) / np.maximum(here - there, 1e-6)
    crossing = x + outwards * np.clip(step, 0, 1)
    y = np.broadcast_to(row, crossing.shape)
    found = np.broadcast_to(np.expand_dims(solid.any(-1), 1), crossing.shape)
    return crossing.reshape(count, -1), y.reshape(count, -1), found.reshape(count, -1)
