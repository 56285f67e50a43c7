"""Where a hand's crop lies in the image, by its joints, and where its palm is in the crop."""

from __future__ import annotations

import math

import cv2
import numpy as np

from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.skeleton import MIDDLE_MCP, PALM_JOINTS, WRIST

#: Where the box of the palm's joints lies in a right hand's region, and its longer side, both as
#: shares of the region's side.  MediaPipe's palm detector looks at hands that way.
PALM_CENTER, PALM_SIDE = (0.49, 0.70), 0.385
#: A palm seen at a slant is short: the box of all joints may fill this share of the region.
_WIDEST_HAND = 0.9
_SMALLEST_PX = 8.0
#: A hand's box is that much larger than the box of its joints.
_FLESH = 1.1


def region_from_joints(
    joints_px: np.ndarray, mirrored: bool = False, margin: float | None = None
) -> Region:
    """Return the region of a hand whose joints lie at picture pixels (21, 2).

    Its up is the way from the wrist to the middle finger's base; `mirrored` is for left hands.  It
    is placed by the palm, as detections are, but never cuts the fingers off.  With a margin it is
    that many times as large as the whole hand's box, and in its middle, as the published networks
    want it.
    """
    x, y = joints_px[MIDDLE_MCP] - joints_px[WRIST]
    rotation = float(np.arctan2(x, -y))
    c, s = np.cos(rotation), np.sin(rotation)
    axes = np.array([[c, s], [-s, c]])  # the region's right and down, in the picture
    turned = joints_px @ axes.T
    hand_center, hand_side = _box(turned)
    if margin is not None:
        center, size = hand_center, hand_side * _FLESH * margin
    else:
        center, palm_side = _box(turned[list(PALM_JOINTS)])
        size = max(palm_side / PALM_SIDE, hand_side / _WIDEST_HAND)
        right, down = np.array(PALM_CENTER) - 0.5
        center = center - size * np.array([-right if mirrored else right, down])
    center = center @ axes
    return Region((float(center[0]), float(center[1])), max(float(size), _SMALLEST_PX), rotation)


def _box(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the centre (2,) and the longer side of the upright box around points (N, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, (high - low).max()


def palm_overlap(a: Region, b: Region) -> float:
    """Return the share, 0 to 1, of the smaller of two regions' palms that the larger one covers."""
    palms = [_palm(region) for region in (a, b)]
    _, corners = cv2.rotatedRectangleIntersection(*palms)
    if corners is None:
        return 0.0
    smaller = min(side for _, (side, _), _ in palms)
    return cv2.contourArea(cv2.convexHull(corners)) / max(smaller**2, 1e-9)


def _palm(region: Region) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Return the palm's square as OpenCV's (center, sides, angle in degrees)."""
    side = PALM_SIDE * region.size_px
    return palm_center(region), (side, side), float(np.degrees(region.rotation_rad))


def palm_center(region: Region) -> tuple[float, float]:
    """Return the middle of a region's palm in the picture."""
    down = (PALM_CENTER[1] - 0.5) * region.size_px
    c, s = math.cos(region.rotation_rad), math.sin(region.rotation_rad)
    return region.center_px[0] - down * s, region.center_px[1] + down * c


def palm_in_picture(region: Region, width: int, height: int) -> bool:
    """Return whether the middle of the region's palm lies in a picture of that size."""
    x, y = palm_center(region)
    return -0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5
