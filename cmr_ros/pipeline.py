"""From an image and its camera to hands in camera space; read it from top to bottom."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from cmr_ros.errors import EngineError
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.camera_view import CameraView, check_size, seen_alike
from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand import Hand
from cmr_ros.model import weights
from cmr_ros.model.inference import load_network
from cmr_ros.placement import Placement, find_apart, place
from cmr_ros.prediction import Crop, CropPrediction, predict, refine
from cmr_ros.registration import Noise
from cmr_ros.settings import PipelineSettings
from cmr_ros.stages import stage
from cmr_ros.tracking.clock import ImageClock
from cmr_ros.tracking.detection import PalmDetector
from cmr_ros.tracking.finder import MOST_PLACES, Box, HandFinder
from cmr_ros.tracking.hand_detector import HandDetector
from cmr_ros.tracking.lookout import Lookout
from cmr_ros.tracking.tracker import Tracker
from cmr_ros.tracking.tracks import Side, Track

#: Regions, and the number of the view that they are in.
_Found = tuple[list[Region], int]


class HandPipeline:
    """Finds and follows hands in the images of one camera, or of two.

    `settings` may be exchanged at any time.  Of the last image, `refusals` gives the reasons why
    hands could not be placed in space, and `apart` why the two views of a hand do not fit together,
    "" where they do.
    """

    def __init__(
        self,
        model: Path | str | None = None,
        *,
        settings: PipelineSettings | None = None,
        engine: str = "onnxruntime",
        providers: Sequence[str] = ("cuda", "cpu"),
        threads: int = 1,
        half: bool = False,
        looks_beside: bool = False,
        **changes,
    ):
        """Load the networks and warm them up.

        Args:
            model: name or folder of a network, see `weights.hand_network`.
            settings: by default `PipelineSettings()`.
            engine: see `inference.load_network`, as for `providers`, `threads` and `half`.
            providers: what onnxruntime runs on, the first that works.
            threads: of the networks on the CPU.
            half: whether to compute in half precision.
            looks_beside: whether to look for further hands in a thread of its own, so that images
                in which hands are followed need not wait; what is found then depends on the time.
            changes: single fields of the settings, as in `HandPipeline(max_hands=4)`.

        Raises:
            InputError: for files that cannot be used and settings that make no sense.

        """
        folder = weights.hand_network(model)
        self.network = load_network(folder, engine, providers, threads, half)
        #: What is assumed of the network's meshes.
        self.noise = Noise(**self.network.card.noise)
        palms = PalmDetector(weights.find(weights.PALM_DETECTION), threads)
        proposals = HandDetector(weights.find(weights.HAND_DETECTION), threads)
        #: One for each view, since they take turns in where they look.
        self._finders = [HandFinder(palms, proposals) for _ in range(2)]
        self._lookout: Lookout[_Found] | None = Lookout("detect palms") if looks_beside else None
        self._tracker = Tracker()
        self.settings = replace(settings or PipelineSettings(), **changes)
        self.reset()

    @property
    def settings(self) -> PipelineSettings:
        """What may be changed while the pipeline runs, as one value."""
        return self._settings

    @settings.setter
    def settings(self, settings: PipelineSettings) -> None:
        # A new hand is looked at on both sides, a known one in both views: twice as many crops.
        self.network.warm_up(range(1, 2 * settings.max_hands + 1))
        self._settings = settings

    @property
    def template(self):
        """The HandTemplate whose vertices and faces the hands have."""
        return self.network.template

    def try_network(self) -> None:
        """Run the network on an empty crop; raises EngineError if it does not run any more."""
        size = self.network.input_size
        try:
            self.network(np.zeros((1, size, size, 3), np.uint8))
        except Exception as error:
            raise EngineError(str(error)) from error

    def reset(self) -> None:
        """Forget all tracks, as before an image that has nothing to do with the last one."""
        self._forget()
        self._clock = ImageClock()
        self._images_since_detection = self._detections = 0
        self._places: deque[Box] = deque(maxlen=MOST_PLACES)
        self.refusals: list[str] = []
        self.apart = ""

    def _forget(self) -> None:
        self._tracker.reset()
        if self._lookout:
            self._lookout.drop()
        for finder in self._finders:
            finder.reset()

    def __call__(
        self,
        picture: np.ndarray,
        camera: Camera,
        stamp_s: float | None = None,
        depth_m: np.ndarray | None = None,
        places: Sequence[Box] = (),
        second: CameraView | None = None,
    ) -> list[Hand]:
        """Return the hands in an image, the longest known first.

        Args:
            picture: RGB (height, width, 3) uint8.
            camera: the image's.
            stamp_s: the image's; without stamps, images are taken to come 30 times a second.
            depth_m: (height, width) z of each of its pixels in metres, 0 or NaN where unknown.
            places: where new hands may be, as another detector has found: boxes of hands or of
                persons as left, top, width and height in pixels.
            second: what a second camera shows at the same time.  Hands in both views are
                triangulated, those that it shows alone are found, too; all are given in the first
                camera's frame.

        Raises:
            InputError: for images that are not what the cameras deliver.

        """
        views = [CameraView(picture, camera), *([second] if second else [])]
        if depth_m is not None:
            check_size("depth image", depth_m, camera)
        if not self._clock.advance(stamp_s):
            self._forget()
        self._places.extend(places)
        detections, number = self._detect(views)
        targets = self._tracker.targets(
            detections, self._settings.max_hands, self._clock.now_s, number
        )
        crops = [
            Crop(view, track, region, self._side(track))
            for track, regions in targets
            for view, region in self._looks(views, track, regions)
        ]
        hands = refine(self.network, predict(self.network, crops), self._settings)
        return self._follow(views, self._place(hands, depth_m))

    def search(
        self, picture: np.ndarray, camera: Camera, second: CameraView | None = None
    ) -> list[Hand]:
        """Return the hands in a single image, looked at until the finder has been everywhere.

        Takes many times as long as one image of a camera, and ends all tracks.  Arguments and
        errors are those of a call.
        """
        self.reset()
        settings, self._settings = self._settings, replace(self._settings, detection_interval=1)
        try:
            with self._finders[0].still(picture) as looks:
                for _ in range(looks * (2 if second else 1)):
                    hands = self(picture, camera, second=second)
        finally:
            self._settings = settings
        return hands

    def recover(
        self, picture: np.ndarray, camera: Camera, region: Region, handedness: Handedness
    ) -> Hand | None:
        """Return the hand in a given region of an image, or None if there is none.

        Neither detects nor follows: the region is looked at once, and tracks stay as they are.

        Args:
            picture: RGB (height, width, 3) uint8.
            camera: the image's.
            region: of the image.
            handedness: which hand to look for.

        """
        view = CameraView(picture, camera)
        crop = Crop(view, Tracker().start(region), region, Side(handedness))
        (prediction,) = predict(self.network, [crop])
        placed = self._place([[prediction]], None)
        present = prediction.presence >= self._settings.min_score
        return placed[0].hand(self.template, camera, 0) if placed and present else None

    def _detect(self, views: Sequence[CameraView]) -> _Found:
        """Return the regions of hands in one of the views, in turn, and its number.

        None while the detectors may rest, or are at work beside.
        """
        self._images_since_detection += 1
        if self._lookout and self._lookout.is_looking:
            return self._lookout.take() or ([], 0)
        seen, lost = len(self._tracker.seen), len(self._tracker.lost)
        due = self._images_since_detection >= self._settings.detection_interval
        if seen >= self._settings.max_hands or not (due or lost or not seen):
            return [], 0
        self._images_since_detection = 0
        number = self._detections % len(views)
        self._detections += 1
        known = [track.palms[number] for track in self._tracker.seen if number in track.palms]
        places = [] if number else list(self._places)
        if not number:
            self._places.clear()
        look = partial(
            self._look, number, views[number].picture, known, places,
            self._settings.search_everywhere,
        )  # fmt: skip
        if self._lookout and seen:
            self._lookout.start(look)
            return [], 0
        with stage("detect palms"):
            return look()

    def _look(self, number: int, *where) -> _Found:
        return [detection.region for detection in self._finders[number](*where)], number

    def _looks(
        self, views: Sequence[CameraView], track: Track, regions: dict[int, Region]
    ) -> list[tuple[CameraView, Region]]:
        """Return where to look for a hand in each view that is to show it."""
        looks = [(view, regions[n]) for n, view in enumerate(views) if n in regions]
        depth_m = track.depth_m(self._clock.now_s)
        if len(looks) == 1 or depth_m is None:
            return looks
        (first, region), (other, own) = looks
        return [(first, region), (other, seen_alike(region, depth_m, first, other) or own)]

    def _side(self, track: Track) -> Side:
        """Return which hand a track is: the settings may know better."""
        known = self._settings.handedness
        return track.side if known is Handedness.UNKNOWN else Side(known)

    def _place(
        self, hands: Sequence[Sequence[CropPrediction]], depth_m: np.ndarray | None
    ) -> list[Placement]:
        """Register all hands together; return those that have a place in camera space."""
        placed, self.refusals = place(
            self.network,
            self.noise,
            hands,
            [self._settings.hand_size(first.crop.track.size) for first, *_ in hands],
            scheme=self._settings.scheme,
            depth_m=depth_m,
        )
        return placed

    def _follow(self, views: Sequence[CameraView], placements: Sequence[Placement]) -> list[Hand]:
        """Update the hands' tracks; return those whose palm is in an image, without doubles."""
        camera, now_s = views[0].camera, self._clock.now_s
        doubles, self.apart = find_apart(self.network, self.noise, views, placements)
        seen = [
            (placement, placement.observation(joints_px, self.noise))
            for placement in placements
            if placement not in doubles and (joints_px := placement.joints_px(views, self.template))
        ]
        owners = self._tracker.assign([(one.track, shown) for one, shown in seen], now_s)
        hands: dict[Track, Hand] = {}
        for track, (placement, shown) in zip(owners, seen, strict=True):
            if track is None:
                continue
            root_m, vertices_m = track.update(
                shown,
                now_s,
                margin=self.network.card.crop_margin,
                smoothing_hz=self._settings.smoothing_hz,
            )
            placement = replace(placement, root_m=root_m, vertices_m=vertices_m)
            hands[track] = placement.hand(self.template, camera, track.id)
        self._tracker.keep(list(hands), now_s)
        return [hands[track] for track in self._tracker.seen]
