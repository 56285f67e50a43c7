"""Names of what the node publishes, `~` being the node itself."""

from __future__ import annotations

HANDS = "~/hands"
TOPOLOGY = "~/topology"
MARKERS = "~/markers"
MASK = "~/mask"
DEBUG_IMAGE = "~/debug_image"
#: All of them.
PUBLISHED = (HANDS, TOPOLOGY, MARKERS, MASK, DEBUG_IMAGE)
