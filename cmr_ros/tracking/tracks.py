"""One hand followed from image to image: which one it is, and where to look for it next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.regions import palm_center, region_from_joints
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.registration import HandSize
from cmr_ros.tracking.motion import Motion, Sight
from cmr_ros.tracking.smoothing import Smoother

#: Standard deviations of where a palm is seen, in sides of its crop, and of the logarithm of a
#: hand's distance from one image to the next.
_PALM_NOISE, _DEPTH_NOISE = 0.03, 0.03
#: Length in metres of a crop's side where the hand is.
_SIDE_M = 0.3
#: A track whose crop differs from a detection's by more than this factor has gone astray.
_ASTRAY = 1.5
#: Uncertainty of a hand's size (see HandSize.deviation) that no number of images removes.
_SIZE_DEVIATION = 0.015
#: The share of new evidence in the belief about a track's handedness, and how far the belief must
#: be from a coin toss before the track changes sides: six images that clearly disagree with a side
#: that was certain.
_SIDE_GAIN, _SIDE_MARGIN = 0.2, 0.2


@dataclass(frozen=True)
class Side:
    """Which hand a track is believed to be."""

    handedness: Handedness = Handedness.UNKNOWN
    #: In [0, 1].
    right_probability: float = 0.5

    @classmethod
    def likelier(cls, right_probability: float) -> Side:
        """Return the side that a single probability speaks for."""
        return cls(
            Handedness.RIGHT if right_probability > 0.5 else Handedness.LEFT, right_probability
        )

    def updated(self, right_probability: float) -> Side:
        """Return the belief after one more image, which changes sides with hysteresis."""
        if self.handedness is Handedness.UNKNOWN:
            return Side.likelier(right_probability)
        belief = self.right_probability + _SIDE_GAIN * (right_probability - self.right_probability)
        if abs(belief - 0.5) > _SIDE_MARGIN:
            return Side.likelier(belief)
        return Side(self.handedness, belief)


@dataclass(frozen=True, eq=False)
class Observation:
    """What the images of one moment show of a tracked hand."""

    #: On which side, these images included.
    side: Side
    #: (21, 2) image pixels by number of the view: where it is seen, or is to be expected.
    joints_px: Mapping[int, np.ndarray]
    #: (3,) metres, camera frame.
    root_m: np.ndarray
    #: (V, 3) metres, relative to the root, camera frame.
    vertices_m: np.ndarray
    #: What is now known of its size; None if these images add nothing.
    size: HandSize | None = None
    #: Probability in [0, 1] that it is a right one, by these images alone; None if not predicted.
    right_probability: float | None = None
    #: In (0, 1]: the root's least standard deviation in any direction over that of its distance.
    depth_certainty: float = 1.0

    @cached_property
    def palms(self) -> dict[int, Region]:
        """Its crops in each view, placed by the palm."""
        left = self.side.handedness is Handedness.LEFT
        return {view: region_from_joints(px, left) for view, px in self.joints_px.items()}

    @cached_property
    def sights(self) -> dict[int | None, Sight]:
        """Where the palm is in each view, (2,) pixels; by None, log(depth of the middle), (1,)."""
        depth_m = self.root_m[2:] + self.vertices_m[:, 2].mean()
        depth = Sight(np.log(depth_m), _DEPTH_NOISE, _SIDE_M / depth_m[0])
        palms = self.palms.items()
        return {None: depth} | {
            view: Sight(np.array(palm_center(palm)), _PALM_NOISE * palm.size_px, palm.size_px)
            for view, palm in palms
        }


@dataclass(eq=False)
class Track:
    """One hand followed over time; it changes in `update` alone."""

    id: int
    #: Its next crop in each view that shows it.
    regions: dict[int, Region]
    #: Where those crops would be if placed by the palm, as detections are.
    palms: dict[int, Region]
    side: Side = Side()
    #: What depth images and second views so far tell of the hand's size.
    size: HandSize | None = None
    #: When it was last seen; None until the network has confirmed its detection.
    seen_s: float | None = None
    #: How what is seen of it moves, see `Observation.sights`.
    motions: dict[int | None, Motion] = field(default_factory=dict)
    smoother: Smoother = field(default_factory=Smoother)

    @property
    def is_new(self) -> bool:
        """Whether no image has confirmed it yet."""
        return self.seen_s is None

    def expected(self, now_s: float) -> dict[int, Region]:
        """Return where to look for the hand at a time in each view."""
        return {view: self._moved(region, view, now_s) for view, region in self.regions.items()}

    def depth_m(self, now_s: float) -> float | None:
        """Return the depth at which the middle of the hand is expected; None for a new track."""
        depth = self.motions.get(None)
        return None if depth is None else float(np.exp(depth.expected(now_s).mean[0, 0]))

    def _moved(self, region: Region, view: int, now_s: float) -> Region:
        if view not in self.motions:
            return region
        way = self.motions[view].expected(now_s).mean[0] - palm_center(self.palms[view])
        x, y = np.add(region.center_px, way)
        return replace(region, center_px=(float(x), float(y)))

    def misfit(self, seen: Observation, now_s: float) -> tuple[float, float]:
        """Return the squared Mahalanobis distance of what is seen, and -2 log(likelihood)."""
        parts = [
            self.motions[key].misfit(sight, now_s)
            for key, sight in seen.sights.items()
            if key in self.motions
        ]
        off, spread = np.sum(parts, axis=0)
        if seen.right_probability is not None:
            p, q = seen.right_probability, self.side.right_probability
            off -= 2 * np.log(max(p * q + (1 - p) * (1 - q), 0.01))
        return float(off), float(off + spread)

    def has_gone_astray(self, detected: Region, view: int) -> bool:
        """Return whether a detection of its palm in a view differs too much in size."""
        return not 1 / _ASTRAY < self.palms[view].size_px / detected.size_px < _ASTRAY

    def update(
        self, seen: Observation, now_s: float, *, margin: float | None, smoothing_hz: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take in what images of one moment show of the hand.

        Args:
            seen: the hand in the images.
            now_s: their time, on a clock that never runs backwards.
            margin: side of the crop over that of the hand's box; None: placed by the palm.
            smoothing_hz: see `PipelineSettings`.

        Returns:
            Its root (3,) and root-relative vertices (V, 3) in metres, smoothed.

        """
        if seen.side.handedness is not self.side.handedness:
            self.smoother = Smoother()  # a mesh must not turn into its mirror image by degrees
        self.side = seen.side
        # By the 2D joints: crops that follow the mesh would drift where it fits badly.
        self.palms = self.regions = seen.palms
        if margin is not None:
            left = self.side.handedness is Handedness.LEFT
            self.regions = {
                view: region_from_joints(joints, left, margin)
                for view, joints in seen.joints_px.items()
            }
        self.motions = {
            key: self.motions[key].updated(sight, now_s)
            if key in self.motions
            else Motion.start(sight, now_s)
            for key, sight in seen.sights.items()
        }
        if seen.size is not None:
            deviation = max(seen.size.deviation, _SIZE_DEVIATION)
            self.size = HandSize(seen.size.length_m, deviation, is_measured=True)
        self.seen_s = now_s
        if smoothing_hz <= 0:
            return seen.root_m, seen.vertices_m
        return self.smoother(
            seen.root_m, seen.vertices_m, now_s, smoothing_hz, seen.depth_certainty
        )
