"""Recordings that are hard to follow: hands that cross, touch, are hidden or are many.

All hands rest at first, so that they are found before they move.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cmr_ros.hand_model.model import HandModel
from cmr_ros.hand_model.poses import sample_pose
from cmr_ros.synthesis.hand_paths import HandPath, Shot
from cmr_ros.synthesis.person import solid

#: Hands rest that long before and after they move.
_REST_S = 0.6
_BOX = (0.15, 0.15)
_BOARD_COLOR = (0.2, 0.14, 0.08)


def _crossing(model: HandModel, rng: np.random.Generator, alike: bool = False) -> Shot:
    """A hand passes before another one; `alike`: both are right or both are left hands."""
    moving_s, near_m = rng.uniform(0.6, 1.2), rng.uniform(0.4, 0.5)
    far_m = near_m + rng.uniform(0.12, 0.22)
    heading, left = rng.choice([-1, 1]), bool(rng.integers(2))
    times = (0.0, _REST_S, _REST_S + moving_s, 2 * _REST_S + moving_s)
    paths = []
    for depth_m, way, is_left in ((near_m, heading, left), (far_m, -heading, left is alike)):
        side_m = way * rng.uniform(0.22, 0.28) * depth_m
        height_m = rng.uniform(0.08, 0.13) * depth_m / near_m
        start, end = [-side_m, height_m, depth_m], [side_m, height_m, depth_m]
        paths.append(_path(model, rng, times, [start, start, end, end], is_left))
    return Shot(times[-1], paths)


def _crossing_alike(model: HandModel, rng: np.random.Generator) -> Shot:
    return _crossing(model, rng, alike=True)


def _touching(model: HandModel, rng: np.random.Generator) -> Shot:
    """Both hands meet side by side and part again."""
    moving_s, depth_m = rng.uniform(0.4, 0.8), rng.uniform(0.5, 0.6)
    together_s = rng.uniform(0.2, 0.6)
    meet = _REST_S + moving_s
    times = (0.0, _REST_S, meet, meet + together_s, meet + together_s + moving_s)
    times = (*times, times[-1] + _REST_S)
    paths = []
    for left, way in ((False, -1), (True, 1)):
        away, near = (
            [way * x, rng.uniform(0.08, 0.12), depth_m + rng.uniform(-0.02, 0.02)]
            for x in (0.15, rng.uniform(0.035, 0.055))
        )
        wrists = [away, away, near, near, away, away]
        paths.append(_path(model, rng, times, wrists, left))
    return Shot(times[-1], paths)


def _hidden(model: HandModel, rng: np.random.Generator) -> Shot:
    """A hand passes behind a board, straight on or turning there."""
    depth_m, board_m, half_m = rng.uniform(0.6, 0.7), 0.4, rng.uniform(0.06, 0.075)
    way, moving_s = rng.choice([-1, 1]), rng.uniform(0.5, 0.9)
    times = (0.0, _REST_S, _REST_S + moving_s, 2 * _REST_S + moving_s)
    start = [-way * 0.2, 0.1, depth_m]
    straight, down = [way * 0.2, 0.1, depth_m], [0.0, 0.29, depth_m]
    middle_s = _REST_S + moving_s / 2
    turning = (0.0, _REST_S, middle_s, middle_s + 0.35, middle_s + 0.35 + _REST_S)
    behind = [0.0, 0.09, depth_m]
    keys = [
        ([start, start, straight, straight], times),
        ([start, start, behind, down, down], turning),
        ([start, start, behind, start, start], turning),
    ]
    wrists, times = keys[rng.integers(len(keys))]
    path = _path(model, rng, times, wrists, bool(rng.integers(2)))
    half = np.array([half_m, half_m, 0.004])
    board = solid(half, _BOX, np.eye(3), np.array([0, -0.005, board_m]), _BOARD_COLOR)
    return Shot(times[-1], [path], things=(board,))


def _group(model: HandModel, rng: np.random.Generator, count: int) -> Shot:
    """Left and right hands of several people change places."""
    times = (0.0, _REST_S, *(_REST_S + 0.7 * np.arange(1, 4)))
    times = (*times, times[-1] + _REST_S)
    depths_m = 0.55 + 0.1 * count + rng.permutation(count) * 0.12 - 0.06 * count
    places = [rng.permutation(count) for _ in range(4)]
    paths = []
    for hand in range(count):
        wrists = []
        for order in places:
            x = (order[hand] - (count - 1) / 2) * 0.78 / count + rng.normal(0, 0.01)
            y = 0.12 + 0.06 * rng.uniform(-1, 1)
            wrists.append(np.array([x, y, 1.0]) * depths_m[hand])
        wrists = [wrists[0], *wrists, wrists[-1]]
        paths.append(_path(model, rng, times, wrists, bool(hand % 2)))
    return Shot(times[-1], paths)


def _four(model: HandModel, rng: np.random.Generator) -> Shot:
    return _group(model, rng, 4)


def _six(model: HandModel, rng: np.random.Generator) -> Shot:
    return _group(model, rng, 6)


#: By their names.
ENCOUNTERS: dict[str, Callable[[HandModel, np.random.Generator], Shot]] = {
    "crossing": _crossing,
    "crossing-alike": _crossing_alike,
    "touching": _touching,
    "hidden": _hidden,
    "four": _four,
    "six": _six,
}


def _path(model: HandModel, rng: np.random.Generator, times, wrists, left: bool) -> HandPath:
    """Return the way of a hand that shows its palm, more or less, and moves its fingers a bit."""
    opened = np.tile(np.eye(3), (21, 1, 1))
    poses = [opened, sample_pose(model, rng)]
    base = rng.uniform([-0.4, -0.4, -0.2], [0.4, 0.4, 0.2])
    turns = base + rng.normal(0, 0.12, (len(wrists), 3))
    chosen = [poses[int(rng.random() < 0.3)] for _ in wrists]
    return HandPath(tuple(times), np.array(wrists, float), turns, chosen, left)
