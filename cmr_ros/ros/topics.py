"""Names of what the node publishes, `~` being the node itself."""

from __future__ import annotations

HANDS = "~/hands"
TOPOLOGY = "~/topology"
MARKERS = "~/markers"
MASK = "~/mask"
DEBUG_IMAGE = "~/debug_image"
GRASPS = "~/grasps"
POINTS = "~/points"
COLLISION = "~/collision"
JOINT_MARKERS = "~/joint_markers"
#: All of them.
PUBLISHED = (
    HANDS, TOPOLOGY, MARKERS, MASK, DEBUG_IMAGE, GRASPS, POINTS, COLLISION, JOINT_MARKERS,
)  # fmt: skip
