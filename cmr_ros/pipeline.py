"""From an image and its camera to hands in camera space; read it from top to bottom."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError, RegistrationError
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.regions import palm_in_picture, region_from_joints
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand import Hand
from cmr_ros.model import weights
from cmr_ros.model.inference import load_network
from cmr_ros.prediction import Crop, CropPrediction, predict, refine
from cmr_ros.registration import HandSize, Noise, RootEstimate, register
from cmr_ros.settings import PipelineSettings
from cmr_ros.stages import stage
from cmr_ros.tracking.clock import ImageClock
from cmr_ros.tracking.detection import PalmDetector
from cmr_ros.tracking.finder import MOST_PLACES, Box, HandFinder
from cmr_ros.tracking.hand_detector import HandDetector
from cmr_ros.tracking.tracks import Observation, Side, Track, Tracker


@dataclass(frozen=True, eq=False)
class Placement:
    """A hand with its place in camera space."""

    prediction: CropPrediction
    estimate: RootEstimate
    #: (3,) metres, camera frame.
    root_m: np.ndarray
    #: (V, 3) metres, relative to the root, camera frame.
    vertices_m: np.ndarray


class HandPipeline:
    """Finds and follows hands in the images of one camera.

    `settings` may be exchanged at any time.  `refusals` gives the reasons why hands that the last
    image shows could not be placed in space.
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
        **changes,
    ):
        """Load the networks and warm them up.

        Args:
            model: model folder, by default the package's own.
            settings: by default `PipelineSettings()`.
            engine: see `inference.load_network`, as for `providers`, `threads` and `half`.
            providers: what onnxruntime runs on, the first that works.
            threads: of the networks on the CPU.
            half: whether to compute in half precision.
            changes: single fields of the settings, as in `HandPipeline(max_hands=4)`.

        Raises:
            InputError: for files that cannot be used and settings that make no sense.

        """
        self.network = load_network(
            model or weights.find(weights.HAND_NETWORK), engine, providers, threads, half
        )
        self._noise = Noise(**self.network.card.noise)
        self._finder = HandFinder(
            PalmDetector(weights.find(weights.PALM_DETECTION), threads),
            HandDetector(weights.find(weights.HAND_DETECTION), threads),
        )
        self._tracker = Tracker()
        self.settings = replace(settings or PipelineSettings(), **changes)
        self.reset()

    @property
    def settings(self) -> PipelineSettings:
        """What may be changed while the pipeline runs, as one value."""
        return self._settings

    @settings.setter
    def settings(self, settings: PipelineSettings) -> None:
        # A new hand is looked at on both sides: twice as many crops as hands.
        self.network.warm_up(range(1, 2 * settings.max_hands + 1))
        self._settings = settings

    @property
    def template(self):
        """The HandTemplate whose vertices and faces the hands have."""
        return self.network.template

    def reset(self) -> None:
        """Forget all tracks, as before an image that has nothing to do with the last one."""
        self._tracker.reset()
        self._finder.reset()
        self._clock = ImageClock()
        self._images_since_detection = 0
        self._places: deque[Box] = deque(maxlen=MOST_PLACES)
        self.refusals: list[str] = []

    def __call__(
        self,
        picture: np.ndarray,
        camera: Camera,
        stamp_s: float | None = None,
        depth_m: np.ndarray | None = None,
        places: Sequence[Box] = (),
    ) -> list[Hand]:
        """Return the hands in an image, the longest known first.

        Args:
            picture: RGB (height, width, 3) uint8.
            camera: the image's.
            stamp_s: the image's; without stamps, images are taken to come 30 times a second.
            depth_m: (height, width) z of each of its pixels in metres, 0 or NaN where unknown.
            places: where new hands may be, as another detector has found: boxes of hands or of
                persons as left, top, width and height in pixels.

        Raises:
            InputError: for images that are not what the camera delivers.

        """
        _check(picture, camera, depth_m)
        if not self._clock.advance(stamp_s):
            self._tracker.reset()
            self._finder.reset()
        self._places.extend(places)
        targets = self._tracker.targets(self._detect(picture), self._settings.max_hands)
        crops = [Crop(track, region, self._side(track)) for track, region in targets]
        predictions = predict(self.network, picture, camera, crops)
        predictions = refine(self.network, picture, camera, predictions, self._settings)
        return self._follow(camera, self._place(predictions, depth_m))

    def search(self, picture: np.ndarray, camera: Camera) -> list[Hand]:
        """Return the hands in a single image, looked at until the finder has been everywhere.

        Takes many times as long as one image of a camera, and ends all tracks.  Raises InputError
        for an image that is not the camera's.
        """
        self.reset()
        settings, self._settings = self._settings, replace(self._settings, detection_interval=1)
        try:
            with self._finder.still(picture):
                hands = self(picture, camera)
                for _ in range(1, self._finder.round):
                    hands = self(picture, camera)
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
        _check(picture, camera, None)
        crop = Crop(Tracker().start(region), region, Side(handedness))
        (prediction,) = predict(self.network, picture, camera, [crop])
        placed = self._place([prediction], None)
        present = prediction.presence >= self._settings.min_score
        return self._hand(placed[0]) if placed and present else None

    def _detect(self, picture: np.ndarray) -> list[Region]:
        """Return the regions of hands; none while the detectors may rest."""
        self._images_since_detection += 1
        seen, lost = len(self._tracker.seen), len(self._tracker.lost)
        due = self._images_since_detection >= self._settings.detection_interval
        if seen >= self._settings.max_hands or not (due or lost or not seen):
            return []
        self._images_since_detection = 0
        known = [track.palm for track in self._tracker.seen]
        places = list(self._places)
        self._places.clear()
        with stage("detect palms"):
            found = self._finder(picture, known, places, self._settings.search_everywhere)
        return [detection.region for detection in found]

    def _side(self, track: Track) -> Side:
        """Return which hand a track is: the settings may know better."""
        known = self._settings.handedness
        return track.side if known is Handedness.UNKNOWN else Side(known)

    def _place(
        self, predictions: Sequence[CropPrediction], depth_m: np.ndarray | None
    ) -> list[Placement]:
        """Register all hands together; return those that have a place in camera space."""
        self.refusals = []
        if not predictions:
            return []
        cameras = [prediction.camera for prediction in predictions]
        vertices = np.stack([prediction.vertices_m for prediction in predictions])
        with stage("register"):
            estimates = register(
                vertices,
                self.template.joints(vertices),
                [prediction.cues for prediction in predictions],
                np.stack([camera.matrix for camera in cameras]),
                self.network.input_size,
                scheme=self._settings.scheme,
                noise=self._noise,
                sizes=[self._size(prediction.crop.track) for prediction in predictions],
                edges=np.stack([camera.picture_edges() for camera in cameras]),
                depths_m=None if depth_m is None else [one.cut_depth(depth_m) for one in cameras],
            )
        placed = []
        for prediction, estimate in zip(predictions, estimates, strict=True):
            if isinstance(estimate, RegistrationError):
                self.refusals.append(str(estimate))
                continue
            to_camera = prediction.camera.to_camera
            root_m = to_camera(estimate.translation_m)
            vertices_m = to_camera(estimate.scale * prediction.vertices_m)
            if np.isfinite(root_m).all() and (root_m + vertices_m)[:, 2].min() > 0:
                placed.append(Placement(prediction, estimate, root_m, vertices_m))
            else:
                self.refusals.append("part of the hand would lie behind the camera")
        return placed

    def _size(self, track: Track) -> HandSize:
        """Return what is known of the size of a track's hand: at least that it is an adult's."""
        if not self._settings.hand_length_m:
            return track.size or HandSize()
        return HandSize.measured(self._settings.hand_length_m)

    def _follow(self, camera: Camera, placements: Sequence[Placement]) -> list[Hand]:
        """Update the hands' tracks; return those whose palm is in the image, without doubles."""
        hands: dict[Track, Hand] = {}
        for placement in placements:
            prediction, estimate = placement.prediction, placement.estimate
            palm = region_from_joints(prediction.joints_px, prediction.crop.mirrored)
            if not palm_in_picture(palm, camera.width, camera.height):
                continue
            size = None
            if "depth" in estimate.cues:  # pixels alone tell nothing new about a hand's size
                # A pose that is misjudged in one image is misjudged in the next, too.
                deviation = max(estimate.size.deviation, self._noise.scale_log_sd)
                size = replace(estimate.size, deviation=deviation)
            track = prediction.crop.track
            root_m, vertices_m = track.update(
                Observation(
                    side=prediction.crop.side,
                    joints_px=prediction.joints_px,
                    root_m=placement.root_m,
                    vertices_m=placement.vertices_m,
                    size=size,
                ),
                self._clock.now_s,
                margin=self.network.card.crop_margin,
                smoothing_hz=self._settings.smoothing_hz,
            )
            hands[track] = self._hand(replace(placement, root_m=root_m, vertices_m=vertices_m))
        self._tracker.keep(list(hands), self._clock.now_s)
        return [hands[track] for track in self._tracker.seen]

    def _hand(self, placement: Placement) -> Hand:
        prediction, estimate = placement.prediction, placement.estimate
        camera, crop = prediction.camera, prediction.crop
        vertices_m, turn = placement.vertices_m + placement.root_m, camera.rotation.T
        return Hand(
            track_id=crop.track.id,
            handedness=crop.side.handedness,
            score=prediction.presence,
            joints_m=self.template.joints(vertices_m),
            vertices_m=vertices_m,
            joint_covariances_m2=turn @ estimate.joint_covariances_m2 @ turn.T,
            pose_covariances_m2=turn @ estimate.pose_covariances_m2 @ turn.T,
            length_m=estimate.size.length_m,
            length_deviation_m=estimate.size.length_m * estimate.size.deviation,
            rms_px=estimate.rms_px * crop.region.size_px / camera.size_px,
            registration=estimate.cues,
            region=crop.region,
            joints_px=prediction.joints_px,
            joint_confidence=prediction.cues.confidence,
            silhouette=prediction.cues.silhouette,
            silhouette_camera=camera,
        )


def _check(picture: np.ndarray, camera: Camera, depth_m: np.ndarray | None) -> None:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise InputError(
            f"image: {picture.dtype} array of shape {picture.shape}; expected RGB uint8 "
            "(height, width, 3)"
        )
    for name, array in (("image", picture), ("depth image", depth_m)):
        if array is not None and array.shape[:2] != (camera.height, camera.width):
            raise InputError(
                f"{name} {'x'.join(map(str, array.shape[1::-1]))}: its camera is "
                f"{camera.width}x{camera.height}; give the matching CameraInfo"
            )
