"""Reads joints out of heatmaps, finer than their cells."""

from __future__ import annotations

import numpy as np

#: Half the side of the window around a peak that is averaged, as a share of the map's: three
#: standard deviations of the peaks that networks are trained on.
_REACH = 3 * 3.5 / 224


def decode(heatmaps: np.ndarray, size_px: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return joints_px (..., 2), confidence (...,) and spread_px (...,) of heatmaps (..., h, w).

    The maps hold values in [0, 1] and cover a crop of size_px; pixel centres lie at integers.
    joints_px is the mean around each map's peak, weighted by the squared map: squares keep the
    background, and with it the window's place, out of the mean.  confidence is the peak's height;
    spread_px the peak's width as a standard deviation, cells included.
    """
    maps = heatmaps.reshape(-1, *heatmaps.shape[-2:])
    height, width = maps.shape[1:]
    index = np.arange(len(maps))
    row, column = np.divmod(maps.reshape(len(maps), -1).argmax(axis=1), width)
    confidence = maps[index, row, column]

    cells = max(round(_REACH * width), 2)
    reach = np.arange(-cells, cells + 1)
    rows, columns = row[:, None] + reach, column[:, None] + reach
    window = maps[
        index[:, None, None],
        rows.clip(0, height - 1)[:, :, None],
        columns.clip(0, width - 1)[:, None, :],
    ].astype(np.float64)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[
        :, None, :
    ]
    weight = np.where(inside, window**2, 0)
    # A map without any peak is of no use; it must not divide by zero either.
    weight /= np.maximum(weight.sum(axis=(1, 2), keepdims=True), 1e-12)

    mean_y = (weight.sum(axis=2) * rows).sum(axis=1)
    mean_x = (weight.sum(axis=1) * columns).sum(axis=1)
    variance_y = (weight.sum(axis=2) * (rows - mean_y[:, None]) ** 2).sum(axis=1)
    variance_x = (weight.sum(axis=1) * (columns - mean_x[:, None]) ** 2).sum(axis=1)

    cell = size_px / np.array([width, height])
    joints = (np.stack([mean_x, mean_y], axis=-1) + 0.5) * cell - 0.5
    # The square of a Gaussian is narrower by sqrt 2; a cell by itself is 1 / sqrt 12 wide.
    spread = cell.mean() * np.sqrt(variance_x + variance_y + 1 / 12)
    shape = heatmaps.shape[:-2]
    return joints.reshape(*shape, 2), confidence.reshape(shape), spread.reshape(shape)
