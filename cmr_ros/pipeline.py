"""From a picture and its camera to hands in camera space; read it from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.geometry.regions import palm_in_picture
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand import Cues, Hand
from cmr_ros.model import weights
from cmr_ros.model.cues import read_cues
from cmr_ros.model.inference import load_network
from cmr_ros.registration import SCHEMES, HandSize, Noise, RootEstimate, register
from cmr_ros.tracking.detection import PalmDetector
from cmr_ros.tracking.tracks import Track, Tracker

#: A hand's length measured with a ruler is right to about a hundredth.
_MEASURED_DEVIATION = 0.01
#: The network knows right hands only, so it is surer of its joints when a left one is mirrored:
#: logarithm of the odds by the difference in mean confidence, fitted to 1000 held-out renders.
_CONFIDENCE_ODDS = 26.0


@dataclass(frozen=True)
class Glimpse:
    """What the network says of a track's crop, in the crop's frame and pixels.

    vertices_m: (V, 3) root-relative.  presence: probability in [0, 1] that the crop shows a hand.
    right: that it is a right one; None if the network does not tell, or the side is known.
    """

    track: Track
    region: Region
    camera: CropCamera
    vertices_m: np.ndarray
    cues: Cues
    presence: float
    right: float | None


class HandPipeline:
    """Finds and follows hands in the pictures of one camera.

    model: model folder, by default the package's own.  max_hands: wanted; the detector runs only
    while fewer are followed: on every picture without any hand, else on every
    `detection_interval`-th.  min_score: what scores below it is no hand.  handedness: of all hands
    if it is known; otherwise the network tells left from right.  smoothing_hz: cut-off frequency
    at rest of the one-euro filters of depth and pose; 0 switches them off.  hand_length_m: of all
    hands, from the wrist to the tip of the middle finger along the bones; 0 if it is not known,
    then depth pictures, if there are some, tell it while a hand is followed.  scheme: one of
    `registration.SCHEMES`.  engine, providers, threads, half: see `inference.load_network`.
    Raises InputError for files that cannot be used.
    """

    def __init__(
        self,
        model: Path | str | None = None,
        *,
        max_hands: int = 2,
        min_score: float = 0.5,
        detection_interval: int = 5,
        handedness: Handedness = Handedness.UNKNOWN,
        smoothing_hz: float = 0.0,
        hand_length_m: float = 0.0,
        scheme: str = SCHEMES[0],
        engine: str = "onnxruntime",
        providers: Sequence[str] = ("cuda", "cpu"),
        threads: int = 1,
        half: bool = False,
    ):
        if max_hands < 1:
            raise InputError(f"max_hands {max_hands}: at least one hand must be wanted")
        self.max_hands, self.min_score = max_hands, min_score
        self.detection_interval = detection_interval
        self.handedness, self.smoothing_hz = handedness, smoothing_hz
        self.hand_length_m, self.scheme = hand_length_m, scheme
        self.network = load_network(
            model or weights.find(weights.HAND_NETWORK),
            engine,
            providers,
            threads,
            half,
            batch_sizes=range(1, 2 * max_hands + 1),
        )
        self._noise = Noise(**self.network.card.noise)
        self._detector = PalmDetector(weights.find(weights.PALM_DETECTION), threads)
        self._tracker = Tracker()
        self.reset()

    @property
    def template(self):
        """The HandTemplate whose vertices and faces the hands have."""
        return self.network.template

    def reset(self) -> None:
        """End all tracks, as before a picture that has nothing to do with the last one."""
        self._tracker.keep([])
        self._pictures_since_detection = 0
        self._stamp_s = None

    def __call__(
        self,
        picture: np.ndarray,
        camera: Camera,
        stamp_s: float | None = None,
        depth_m: np.ndarray | None = None,
    ) -> list[Hand]:
        """Return the hands in an RGB picture (height, width, 3) uint8, the longest known first.

        stamp_s: time of the picture, needed for smoothing alone.  depth_m: (height, width), z of
        each of the picture's pixels in metres, 0 or NaN where unknown.  Raises InputError for
        pictures that are not what the camera delivers.
        """
        _check(picture, camera, depth_m)
        if stamp_s is not None and self._stamp_s is not None and stamp_s < self._stamp_s:
            self.reset()
        self._stamp_s = stamp_s

        known = self._tracker.tracks[: self.max_hands]
        found = self._detect(picture, self.max_hands - len(known))
        views = [(track, track.handedness is Handedness.LEFT) for track in known + found]
        glimpses = self._look(picture, camera, views)
        glimpses = self._look_again(picture, camera, glimpses)
        return self._follow(camera, self._place(glimpses, depth_m))

    def recover(
        self, picture: np.ndarray, camera: Camera, region: Region, handedness: Handedness
    ) -> Hand | None:
        """Return the hand in a given region of a picture, or None if there is none.

        Neither detects nor follows: the region is looked at once, and tracks stay as they are.
        """
        _check(picture, camera, None)
        track = Tracker().start(region, handedness)
        view = track, handedness is Handedness.LEFT
        placed = self._place(self._look(picture, camera, [view]), None)
        return placed[0][1] if placed else None

    def _detect(self, picture: np.ndarray, missing: int) -> list[Track]:
        """Return a new track for each of at most `missing` palms that no track holds."""
        self._pictures_since_detection += 1
        due = self._pictures_since_detection >= self.detection_interval
        if missing <= 0 or (self._tracker.tracks and not due):
            return []
        self._pictures_since_detection = 0
        regions = [detection.region for detection in self._detector(picture)]
        unknown = self._tracker.associate(regions)[:missing]
        return [self._tracker.start(region, self.handedness) for region in unknown]

    def _look(
        self, picture: np.ndarray, camera: Camera, views: Sequence[tuple[Track, bool]]
    ) -> list[Glimpse]:
        """Show the network the crops of tracks, mirrored or not, all at once."""
        if not views:
            return []
        card, size = self.network.card, self.network.input_size
        cut = CropCamera.looking_at if card.crop == "virtual" else CropCamera.affine
        crops = [cut(camera, track.region, size, mirrored=mirrored) for track, mirrored in views]
        prediction = self.network(np.stack([crop.cut(picture) for crop in crops]))
        cues = read_cues(prediction, size, card.joint_cue)
        presence = prediction.presence
        if presence is None:
            presence = [cue.confidence.mean() for cue in cues]
        right: Sequence[float | None] = [None] * len(views)
        if prediction.handedness is not None and self.handedness is Handedness.UNKNOWN:
            says = map(float, prediction.handedness)
            right = [1 - p if crop.mirrored else p for p, crop in zip(says, crops, strict=True)]
        tracks, _ = zip(*views, strict=True)
        parts = tracks, crops, prediction.vertices_m, cues, map(float, presence), right
        return [Glimpse(track, track.region, *rest) for track, *rest in zip(*parts, strict=True)]

    def _look_again(
        self, picture: np.ndarray, camera: Camera, glimpses: list[Glimpse]
    ) -> list[Glimpse]:
        """Look a second time at new hands, and at those that seem to be the other hand.

        Detections are coarser than what joints tell, and say nothing of left and right: where the
        network tells that, both sides are looked at.
        """
        clear, views = [], []
        for glimpse in glimpses:
            track, joints_px = glimpse.track, glimpse.cues.joints_px
            if glimpse.presence < self.min_score:
                continue
            if glimpse.right is not None and track.age:
                track.believe(glimpse.right)
            elif glimpse.right is not None:
                track.decide(glimpse.right)
            left = track.handedness is Handedness.LEFT
            if track.age and left == glimpse.camera.mirrored:
                clear.append(glimpse)
                continue
            track.aim(glimpse.camera.to_picture(joints_px), self.network.card.crop_margin)
            sides = (left,) if glimpse.right is None else (False, True)
            views += [(track, mirrored) for mirrored in sides]
        looks = groupby(self._look(picture, camera, views), lambda glimpse: glimpse.track.id)
        return clear + [_likelier(*sides) for _, sides in looks]

    def _place(
        self, glimpses: list[Glimpse], depth_m: np.ndarray | None
    ) -> list[tuple[Track, Hand]]:
        """Register all hands together and return those that have a place in camera space."""
        glimpses = [glimpse for glimpse in glimpses if glimpse.presence >= self.min_score]
        if not glimpses:
            return []
        crops = [glimpse.camera for glimpse in glimpses]
        vertices = np.stack([glimpse.vertices_m for glimpse in glimpses])
        estimates = register(
            vertices,
            self.template.joints(vertices),
            [glimpse.cues for glimpse in glimpses],
            np.stack([crop.matrix for crop in crops]),
            self.network.input_size,
            scheme=self.scheme,
            noise=self._noise,
            sizes=[self._size(glimpse.track) for glimpse in glimpses],
            edges=np.stack([crop.picture_edges() for crop in crops]),
            depths_m=None if depth_m is None else [crop.cut_depth(depth_m) for crop in crops],
        )
        hands = []
        for glimpse, estimate in zip(glimpses, estimates, strict=True):
            if isinstance(estimate, RootEstimate):
                hand = self._hand(glimpse, estimate)
                if np.isfinite(hand.vertices_m).all() and hand.vertices_m[:, 2].min() > 0:
                    hands.append((glimpse.track, hand))
        return hands

    def _size(self, track: Track) -> HandSize:
        """Return what is known of the size of a track's hand: at least that it is an adult's."""
        if not self.hand_length_m:
            return track.size or HandSize()
        return HandSize(self.hand_length_m, _MEASURED_DEVIATION)

    def _hand(self, glimpse: Glimpse, estimate: RootEstimate) -> Hand:
        """Take one hand from its crop's frame to the camera's."""
        track, crop = glimpse.track, glimpse.camera
        if "depth" in estimate.cues:  # pixels alone tell nothing new about the same hand's size
            track.learn_size(estimate.size, self._noise.scale_log_sd)
        root = crop.to_camera(estimate.translation_m)
        vertices = crop.to_camera(estimate.scale * glimpse.vertices_m)
        if self.smoothing_hz > 0 and self._stamp_s is not None:
            root, vertices = track.smoother(root, vertices, self._stamp_s, self.smoothing_hz)
        vertices = vertices + root
        handedness = Handedness.LEFT if crop.mirrored else Handedness.RIGHT
        return Hand(
            track_id=track.id,
            handedness=handedness if track.handedness else Handedness.UNKNOWN,
            score=glimpse.presence,
            joints_m=self.template.joints(vertices),
            vertices_m=vertices,
            root_covariance_m2=crop.rotation.T @ estimate.covariance_m2 @ crop.rotation,
            rms_px=estimate.rms_px * glimpse.region.size_px / crop.size_px,
            registration=estimate.cues,
            region=glimpse.region,
            joints_px=crop.to_picture(glimpse.cues.joints_px),
            joint_confidence=glimpse.cues.confidence,
            silhouette=glimpse.cues.silhouette,
            silhouette_camera=crop,
        )

    def _follow(self, camera: Camera, hands: list[tuple[Track, Hand]]) -> list[Hand]:
        """Aim each track at its hand; hands that leave the picture or are doubles end."""
        alive = []
        for track, hand in hands:
            # By the 2D joints: crops that follow the mesh would drift where it fits badly.
            track.aim(hand.joints_px, self.network.card.crop_margin)
            if palm_in_picture(track.palm, camera.width, camera.height):
                alive.append(track)
        self._tracker.keep(alive)
        hand_of = {track.id: hand for track, hand in hands}
        return [hand_of[track.id] for track in self._tracker.tracks]


def _likelier(plain: Glimpse, mirrored: Glimpse | None = None) -> Glimpse:
    """Return one of the looks at a hand's crop and the mirrored crop, if there was one.

    The hand's track learns which side it is.
    """
    if mirrored is None:
        return plain
    told = np.clip([plain.right, mirrored.right], 1e-6, 1 - 1e-6)
    odds = np.log(told / (1 - told)).mean()
    surer = plain.cues.confidence.mean() - mirrored.cues.confidence.mean()
    plain.track.decide(float(1 / (1 + np.exp(-odds - _CONFIDENCE_ODDS * surer))))
    return mirrored if plain.track.handedness is Handedness.LEFT else plain


def _check(picture: np.ndarray, camera: Camera, depth_m: np.ndarray | None) -> None:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise InputError(
            f"picture: {picture.dtype} array of shape {picture.shape}; expected RGB uint8 "
            "(height, width, 3)"
        )
    for name, array in (("picture", picture), ("depth picture", depth_m)):
        if array is not None and array.shape[:2] != (camera.height, camera.width):
            raise InputError(
                f"{name} {'x'.join(map(str, array.shape[1::-1]))}: its camera is "
                f"{camera.width}x{camera.height}; give the matching CameraInfo"
            )
