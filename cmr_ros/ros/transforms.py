"""The joints' frames as transforms: what /tf gets of each image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from cmr_ros.geometry.frames import joint_rotations, quaternions
from cmr_ros.geometry.skeleton import JOINT_NAMES
from cmr_ros.hand import Hand, frame_names
from cmr_ros.ros.stencil import POSE, Stencil, open_header, open_transform


class HandTransforms:
    """Builds the transforms of each image's hands, serialised, as `Publisher.publish` takes it.

    Axes as in `cmr_ros.geometry.frames`.  Names do not grow with time: of several left hands the
    one followed longest is `hand_left`, the next `hand_left_2`.
    """

    def __init__(self) -> None:
        self._stencil = lru_cache(maxsize=4)(_make_stencil)

    def __call__(self, hands: Sequence[Hand], header: Header, frame_prefix: str = "") -> bytes:
        """Return a TFMessage: 21 transforms a hand, from the picture's frame to its joints'."""
        names = tuple(f"{frame_prefix}{name}" for name in frame_names(hands))
        poses = [pose for hand in hands for pose in _poses(hand)]
        return self._stencil(header.frame_id, names).filled(header.stamp, poses)


def _make_stencil(frame_id: str, names: Sequence[str]) -> Stencil:
    header, opened = open_header(frame_id), open_transform()
    transforms = [
        TransformStamped(header=header, child_frame_id=f"{name}/{joint}", transform=opened)
        for name in names
        for joint in JOINT_NAMES
    ]
    return Stencil(TFMessage(transforms=transforms), [(POSE, 1)] * len(transforms))


def _poses(hand: Hand) -> np.ndarray:
    """Return position and orientation x y z w of the joints' frames (21, 7)."""
    turns = quaternions(joint_rotations(hand.joints_m, hand.handedness))
    return np.hstack([hand.joints_m, turns])
