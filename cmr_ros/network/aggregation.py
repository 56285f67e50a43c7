"""Semantic aggregation: sums of pose maps over joints that belong together (paper, section 3.2)."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import nn

from cmr_ros.errors import InputError
from cmr_ros.geometry.skeleton import TIPS

#: Joints whose maps are added up, one tuple a group.
Groups = tuple[tuple[int, ...], ...]

_FINGERS = tuple(tuple(range(first, first + 4)) for first in range(1, 21, 4))
_HAND_GROUPS: dict[str, Groups] = {
    "tips": tuple(combinations(TIPS, 2)),
    "sums": (tuple(range(21)),),
    "parts": _FINGERS,
    "levels": tuple(zip(*_FINGERS, strict=True)),
}
#: The pairs of the published body network (17 joints of Human3.6M): head, hands and feet.
BODY_GROUPS: Groups = (
    (3, 6), (3, 13), (3, 16), (3, 10), (6, 13), (6, 16), (6, 10), (13, 16), (13, 10), (16, 10),
)  # fmt: skip


def hand_groups(*names: str) -> Groups:
    """Return groups of the 21 hand joints by name, one after the other.

    tips: the ten pairs of finger tips.  sums: all joints.  parts: the five fingers.  levels: the
    joints at the same place of each finger.  Raises InputError for another name.
    """
    unknown = sorted(set(names) - set(_HAND_GROUPS))
    if unknown:
        raise InputError(f"no aggregation group {unknown[0]!r}; choose from {list(_HAND_GROUPS)}")
    return tuple(group for name in names for group in _HAND_GROUPS[name])


class Aggregation(nn.Module):
    """Append one map per group to the pose maps: (N, J, h, w) -> (N, J + G, h, w)."""

    def __init__(self, joint_count: int, groups: Groups):
        super().__init__()
        members = torch.zeros(len(groups), joint_count)
        for row, group in enumerate(groups):
            members[row, list(group)] = 1
        kernel = torch.cat([torch.eye(joint_count), members])[..., None, None]
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the pose maps followed by the sum of each group's maps."""
        return nn.functional.conv2d(maps, self.kernel)

    def merged(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the weight (out, J, h, w) that does to pose maps what another does to all maps.

        weight: (out, J + G, h, w) of a convolution of what `forward` returns.
        """
        return torch.einsum("ogyx,gj->ojyx", weight, self.kernel[..., 0, 0])
