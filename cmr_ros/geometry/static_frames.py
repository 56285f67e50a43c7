"""Frames that stand still to each other, as /tf_static tells of them."""

from __future__ import annotations

import numpy as np

#: Frames more than this many transforms apart are not looked for.
_MOST_STEPS = 64


class StaticFrames:
    """Remembers transforms between frames and chains them."""

    def __init__(self) -> None:
        #: child's name -> parent's name, R (3, 3) and t (3,): R X + t is in the parent's frame
        self._parents: dict[str, tuple[str, np.ndarray, np.ndarray]] = {}

    def add(self, parent: str, child: str, translation_m: np.ndarray, turn: np.ndarray) -> None:
        """Take note of a child frame's pose in its parent's; a newer one replaces an older one.

        Args:
            parent: name of a frame.
            child: name of another one.
            translation_m: (3,) of the child's origin.
            turn: (4,) unit quaternion x, y, z, w; one that is none is passed over.
        """
        norm = np.linalg.norm(turn)
        if not (np.isfinite(translation_m).all() and np.isfinite(norm) and norm > 1e-6):
            return
        self._parents[child.lstrip("/")] = parent.lstrip("/"), _rotation(turn / norm), translation_m

    def transform(self, target: str, source: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Return R (3, 3) and t (3,) that take points of a source frame to a target frame.

        None where the two are not connected.
        """
        target, source = target.lstrip("/"), source.lstrip("/")
        to_root = {name: self._ancestors(name) for name in (target, source)}
        common = [name for name in to_root[source] if name in to_root[target]]
        if not common:
            return None
        up_rotation, up_m = to_root[source][common[0]]
        down_rotation, down_m = to_root[target][common[0]]
        return down_rotation.T @ up_rotation, down_rotation.T @ (up_m - down_m)

    def _ancestors(self, name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the transforms of a frame to itself, its parent and so on, the nearest first."""
        rotation, translation_m = np.eye(3), np.zeros(3)
        found = {name: (rotation, translation_m)}
        while name in self._parents and len(found) < _MOST_STEPS:
            name, turn, shift_m = self._parents[name]
            rotation, translation_m = turn @ rotation, turn @ translation_m + shift_m
            if name in found:  # frames that are their own ancestors
                break
            found[name] = rotation, translation_m
        return found


def _rotation(quaternion: np.ndarray) -> np.ndarray:
    """Return the rotation (3, 3) of a unit quaternion x, y, z, w."""
    x, y, z, w = quaternion
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross
