"""Reads joints out of heatmaps, finer than their cells."""

from __future__ import annotations

import numpy as np

#: Standard deviation of the peaks that the published networks were trained on, in crop pixels.
PUBLISHED_SIGMA_PX = 3.5
#: Half the side of the window around a peak that is averaged, in standard deviations of the peaks
#: that a network is trained on: beyond it a squared Gaussian is below half a percent.
_REACH_SIGMAS = 2.33


def decode(
    heatmaps: np.ndarray, size_px: int, sigma_px: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return joints_px (..., 2), confidence (...,) and spread_px (...,) of heatmaps (..., h, w).

    The maps hold values in [0, 1] and cover a crop of size_px; pixel centres lie at integers.
    sigma_px is the standard deviation of the peaks that the network was trained on.
    joints_px is the mean around each map's peak, weighted by the squared map: squares keep the
    background, and with it the window's place, out of the mean.  spread_px is the peak's width as
    a standard deviation, cells included; confidence its height, also where it lies between cells.
    """
    maps = heatmaps.reshape(-1, *heatmaps.shape[-2:])
    height, width = maps.shape[1:]
    row, column = np.divmod(maps.reshape(len(maps), -1).argmax(axis=1), width)
    reach = max(int(np.ceil(_REACH_SIGMAS * sigma_px * width / size_px)), 2)
    rows, columns, weight = _windows(maps, row, column, reach)
    # A map without any peak is of no use; it must not divide by zero either.
    weight /= np.maximum(weight.sum(axis=(1, 2), keepdims=True), 1e-12)
    x, variance_x = _moments(weight.sum(axis=1), columns)
    y, variance_y = _moments(weight.sum(axis=2), rows)
    # The square of a Gaussian is narrower by sqrt 2; a cell by itself is 1 / sqrt 12 wide.
    variance = variance_x + variance_y + 1 / 12

    cell = size_px / np.array([width, height])
    joints = (np.stack([x, y], axis=-1) + 0.5) * cell - 0.5
    # A peak between cells is at most half a cell from the highest one, each way.
    off_peak = np.minimum((x - column) ** 2 + (y - row) ** 2, 0.5)
    height_at_peak = maps[np.arange(len(maps)), row, column]
    confidence = np.minimum(height_at_peak * np.exp(off_peak / (2 * variance)), 1)
    spread = cell.mean() * np.sqrt(variance)
    shape = heatmaps.shape[:-2]
    return joints.reshape(*shape, 2), confidence.reshape(shape), spread.reshape(shape)


def _windows(
    maps: np.ndarray, row: np.ndarray, column: np.ndarray, reach: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows (N, k), columns (N, k) and squares (N, k, k) up to `reach` cells from a cell."""
    height, width = maps.shape[1:]
    steps = np.arange(-reach, reach + 1)
    rows, columns = row[:, None] + steps, column[:, None] + steps
    window = maps[
        np.arange(len(maps))[:, None, None],
        rows.clip(0, height - 1)[:, :, None],
        columns.clip(0, width - 1)[:, None, :],
    ].astype(np.float64)
    row_inside, column_inside = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    inside = row_inside[:, :, None] & column_inside[:, None, :]
    return rows, columns, np.where(inside, window**2, 0)


def _moments(weight: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (N,) and variance (N,) of positions (N, k) with weights (N, k)."""
    mean = (weight * positions).sum(axis=1)
    return mean, (weight * (positions - mean[:, None]) ** 2).sum(axis=1)
