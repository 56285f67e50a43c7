"""Shows crops of an image to the network, a second time where the first look is not enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np

from cmr_ros.geometry.camera_view import CameraView
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.geometry.regions import region_from_joints
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand import Cues
from cmr_ros.model.cues import read_cues
from cmr_ros.model.inference import HandNetwork
from cmr_ros.settings import PipelineSettings
from cmr_ros.stages import stage
from cmr_ros.tracking.detection import Detection
from cmr_ros.tracking.tracks import Side, Track

#: The network knows right hands only, so it is surer of its joints when a left one is mirrored:
#: logarithm of the odds per unit of difference in mean confidence, fitted to 1000 held-out renders.
_CONFIDENCE_ODDS = 26.0
#: New hands less probable than this are not looked at again, unless the crop shows some of a hand
#: with that probability.  Their first crop is coarse: many are clear in the second one.
_LEAST_NEW, _LEAST_NEARBY = 0.2, 0.35
#: Those that are at least so probable are looked at again where their joints are, others where the
#: network takes the hand to be of which it sees some.
_CLEAR = 0.9
#: Where a crop is so many times as large or as small as the region of what it shows, a new hand is
#: looked at once more; if it still is so many times, it is none, but an arm or a finger.
_FITS, _ASTRAY = 1.2, 1.5


@dataclass(frozen=True, eq=False)
class Crop:
    """What to show to the network: where a track's hand may be, and which hand it may be."""

    view: CameraView
    track: Track
    region: Region
    side: Side

    @property
    def mirrored(self) -> bool:
        """Whether to mirror it: the network knows right hands only."""
        return self.side.handedness is Handedness.LEFT


@dataclass(frozen=True, eq=False)
class CropPrediction:
    """What the network predicts for a crop, in the crop's frame and pixels."""

    crop: Crop
    camera: CropCamera
    #: (V, 3) metres, relative to the root.
    vertices_m: np.ndarray
    cues: Cues
    #: Probability in [0, 1] that the crop shows a hand.
    presence: float
    #: Probability in [0, 1] that it is a right one; None if the network does not predict it.
    right_probability: float | None
    #: (6,) see `Prediction.regions`; None if the network does not predict it.
    seen_region: np.ndarray | None = None

    @property
    def joints_px(self) -> np.ndarray:
        """The 2D joints (21, 2) in image pixels."""
        return self.camera.to_picture(self.cues.joints_px)

    @cached_property
    def nearby(self) -> Detection | None:
        """Where the hand is of which the crop shows some, in the image, and how likely it is one.

        None if the network does not predict it.
        """
        if self.seen_region is None:
            return None
        score, x, y, side_px = self.seen_region[:4].tolist()
        up = self.seen_region[4:] / max(float(np.linalg.norm(self.seen_region[4:])), 1e-6)
        middle, top = self.camera.to_picture(np.array([x, y]) + [[0, 0], 0.5 * side_px * up])
        right, down = (top - middle).tolist()
        size_px = 2 * max(float(np.hypot(right, down)), 1.0)
        turn_rad = float(np.arctan2(right, -down))
        return Detection(Region((float(middle[0]), float(middle[1])), size_px, turn_rad), score)


def predict(network: HandNetwork, crops: Sequence[Crop]) -> list[CropPrediction]:
    """Return the network's prediction for each crop, all made at once."""
    if not crops:
        return []
    card, size_px = network.card, network.input_size
    with stage("cut crops"):
        if card.crop == "virtual":
            cameras = _virtual_cameras(crops, size_px)
        else:
            cameras = [
                CropCamera.affine(crop.view.camera, crop.region, size_px, crop.mirrored)
                for crop in crops
            ]
        images = np.stack(
            [one.cut(crop.view.picture) for one, crop in zip(cameras, crops, strict=True)]
        )
    with stage("network"):
        prediction = network(images)
    with stage("read cues"):
        cues = read_cues(prediction, size_px, card.joint_cue)
    predictions = []
    for index, crop in enumerate(crops):
        presence, right = cues[index].confidence.mean(), None
        if prediction.presence is not None:
            presence = prediction.presence[index]
        if prediction.handedness is not None:
            right = float(prediction.handedness[index])
            right = 1 - right if crop.mirrored else right
        regions = prediction.regions
        predictions.append(
            CropPrediction(
                crop=crop,
                camera=cameras[index],
                vertices_m=prediction.vertices_m[index],
                cues=cues[index],
                presence=float(presence),
                right_probability=right,
                seen_region=None if regions is None else regions[index],
            )
        )
    return predictions


def _virtual_cameras(crops: Sequence[Crop], size_px: int) -> list[CropCamera]:
    """Return the cameras that look at the crops' regions, those of one view computed together."""
    cameras: dict[Crop, CropCamera] = {}
    for view in {crop.view for crop in crops}:
        own = [crop for crop in crops if crop.view is view]
        regions, mirrored = [crop.region for crop in own], [crop.mirrored for crop in own]
        made = CropCamera.all_looking_at(view.camera, regions, size_px, mirrored)
        cameras |= zip(own, made, strict=True)
    return [cameras[crop] for crop in crops]


def refine(
    network: HandNetwork, predictions: Sequence[CropPrediction], settings: PipelineSettings
) -> list[list[CropPrediction]]:
    """Look again at new hands, and at those that seem to be the other hand.

    Detections are coarser than what the network tells, and say nothing of left and right: where the
    network is to predict that, both sides are looked at.

    Args:
        network: a model folder's.
        predictions: of a first look, in the order of the views.
        settings: min_score and handedness where it is known.

    Returns:
        For each hand the predictions that show it.  A second look takes the place of the first one
        in the first view that shows the hand, and for a new hand that is still in doubt a third
        one; further views count if they show the same side.

    """
    least_new = settings.min_new_score(network.card.new_hand_score)
    hands: dict[Track, list[CropPrediction]] = {}
    for prediction in predictions:
        track = prediction.crop.track
        least = min(settings.min_score, _LEAST_NEW) if track.is_new else settings.min_score
        if prediction.presence >= least or (track.is_new and _is_near(prediction)):
            hands.setdefault(track, []).append(prediction)
    again: dict[Track, list[Crop]] = {}
    for track, (first, *_) in hands.items():
        side = first.crop.side
        undecided = settings.handedness is Handedness.UNKNOWN
        undecided = undecided and first.right_probability is not None
        if undecided:
            side = side.updated(first.right_probability)
        crop = replace(first.crop, side=side)
        if not track.is_new and crop.mirrored == first.camera.mirrored:
            hands[track][0] = replace(first, crop=crop)
            continue
        sides = [Side(Handedness.RIGHT), Side(Handedness.LEFT)] if undecided else [side]
        again[track] = [
            replace(crop, region=_next_region(first, crop, network), side=side) for side in sides
        ]
    _look_again(network, hands, again)
    doubtful = {}
    for track, crops in again.items():
        second = hands[track][0]
        is_clear = second.presence >= least_new and _misfit(second) <= _FITS
        if track.is_new and second.nearby is not None and _is_near(second) and not is_clear:
            doubtful[track] = [replace(crop, region=second.nearby.region) for crop in crops]
    _look_again(network, hands, doubtful)
    return [
        [first, *(one for one in further if one.camera.mirrored == first.camera.mirrored)]
        for track, (first, *further) in hands.items()
        if first.presence >= (least_new if track.is_new else settings.min_score)
        and not (track.is_new and _misfit(first) > _ASTRAY)
    ]


def _is_near(prediction: CropPrediction) -> bool:
    """Return whether a badly placed crop seems to show some of a hand."""
    return prediction.nearby is not None and prediction.nearby.score >= _LEAST_NEARBY


def _misfit(prediction: CropPrediction) -> float:
    """Return by what factor a crop is larger or smaller than the region of what it shows."""
    if prediction.nearby is None:
        return 1.0
    times = prediction.nearby.region.size_px / prediction.crop.region.size_px
    return max(times, 1 / times)


def _next_region(first: CropPrediction, crop: Crop, network: HandNetwork) -> Region:
    """Return where to look again after a first look."""
    if first.nearby is not None and crop.track.is_new and first.presence < _CLEAR:
        return first.nearby.region
    return region_from_joints(first.joints_px, crop.mirrored, network.card.crop_margin)


def _look_again(
    network: HandNetwork,
    hands: dict[Track, list[CropPrediction]],
    again: dict[Track, list[Crop]],
) -> None:
    """Put what crops of tracks show, one for each side, in the place of their first prediction."""
    found = iter(predict(network, [crop for crops in again.values() for crop in crops]))
    for track, crops in again.items():
        hands[track][0] = likelier(*islice(found, len(crops)))


def likelier(plain: CropPrediction, mirrored: CropPrediction | None = None) -> CropPrediction:
    """Return the likelier of the predictions for a hand's crop and the mirrored crop, if any."""
    if mirrored is None:
        return plain
    predicted = np.clip([plain.right_probability, mirrored.right_probability], 1e-6, 1 - 1e-6)
    odds = np.log(predicted / (1 - predicted)).mean()
    surer = plain.cues.confidence.mean() - mirrored.cues.confidence.mean()
    side = Side.likelier(float(1 / (1 + np.exp(-odds - _CONFIDENCE_ODDS * surer))))
    chosen = mirrored if side.handedness is Handedness.LEFT else plain
    return replace(chosen, crop=replace(chosen.crop, side=side))
