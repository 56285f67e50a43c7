"""The joints of a hand: their names, which one hangs on which, and which hand it is."""

from __future__ import annotations

import enum

FINGER_NAMES = ("thumb", "index", "middle", "ring", "little")
JOINT_NAMES = (
    "wrist",
    "thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip",
    "index_mcp", "index_pip", "index_dip", "index_tip",
    "middle_mcp", "middle_pip", "middle_dip", "middle_tip",
    "ring_mcp", "ring_pip", "ring_dip", "ring_tip",
    "little_mcp", "little_pip", "little_dip", "little_tip",
)  # fmt: skip
#: Parent of each joint; -1 for the wrist, the root.
JOINT_PARENTS = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
#: Parent and joint of each bone.
BONES = tuple((parent, joint) for joint, parent in enumerate(JOINT_PARENTS) if parent >= 0)
WRIST, INDEX_MCP, MIDDLE_MCP, LITTLE_MCP = 0, 5, 9, 17
#: Joints of the five finger tips, thumb to little finger.
TIPS = (4, 8, 12, 16, 20)
#: Joints of the palm: they hardly move against each other, so crops are placed by them.
PALM_JOINTS = (0, 1, 2, 5, 9, 13, 17)


class Handedness(enum.IntEnum):
    """Which hand; the values are those of `HandMesh.handedness`."""

    UNKNOWN = 0
    LEFT = 1
    RIGHT = 2
