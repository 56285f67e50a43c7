"""Where hands are: registers what the network predicts in the crops of one or several views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from cmr_ros.errors import RegistrationError
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.camera_view import CameraView
from cmr_ros.geometry.crop import CropCamera, picture_edges
from cmr_ros.geometry.regions import palm_in_picture, region_from_joints
from cmr_ros.geometry.stereo_matching import MatchedDepth, match_depth
from cmr_ros.hand import Hand
from cmr_ros.model.inference import HandNetwork
from cmr_ros.model.template import HandTemplate
from cmr_ros.prediction import CropPrediction
from cmr_ros.registration import HandSize, Noise, RootEstimate, View, register
from cmr_ros.registration.single import joint_precision
from cmr_ros.stages import stage
from cmr_ros.tracking.tracks import Observation, Track

#: Views that agree more than this show one hand.
_SURELY = 0.05


@dataclass(frozen=True, eq=False)
class Placement:
    """A hand with its place in the first camera's space."""

    #: One for each view that seems to show the hand; the first of them places it.
    predictions: Sequence[CropPrediction]
    estimate: RootEstimate
    #: (3,) metres, first camera's frame.
    root_m: np.ndarray
    #: (V, 3) metres, relative to the root, first camera's frame.
    vertices_m: np.ndarray

    @property
    def shown(self) -> Sequence[CropPrediction]:
        """Those that do show the hand."""
        return self.predictions if self.estimate.is_stereo else self.predictions[:1]

    @property
    def is_apart(self) -> bool:
        """Whether another view shows a hand there, but not this one."""
        return self.estimate.agreement is not None and not self.estimate.is_stereo

    @property
    def track(self) -> Track:
        """Whose place it is."""
        return self.predictions[0].crop.track

    def joints_px(
        self, views: Sequence[CameraView], template: HandTemplate
    ) -> dict[int, np.ndarray]:
        """Return the joints (21, 2), by number of the view, in each view whose image has the palm.

        They are where the view shows them, or else where the mesh would be seen.  Empty where no
        view that shows the hand has its palm.
        """
        joints_m = template.joints(self.vertices_m + self.root_m)
        shown = {one.crop.view: one.joints_px for one in self.shown}
        joints_px = {}
        for number, view in enumerate(views):
            points = view.from_first(joints_m)
            if view in shown:
                joints = shown[view]
            elif view.camera.sees(points).all():
                joints = view.camera.project(points)
            else:
                continue
            palm = region_from_joints(joints, self.predictions[0].crop.mirrored)
            if palm_in_picture(palm, view.camera.width, view.camera.height):
                joints_px[number] = joints
        return joints_px if any(views[number] in shown for number in joints_px) else {}

    def rms_px(self, joints_m: np.ndarray) -> float:
        """Return how far joints (21, 3) are from those seen in the image that places the hand.

        It is the root mean square in that image's pixels, weighted as registration does.
        """
        first = self.predictions[0]
        here_m = first.camera.from_camera(first.crop.view.from_first(joints_m))
        weights = joint_precision(first.cues)
        off_px = (first.camera.project(here_m) - first.cues.joints_px)[weights > 0]
        square_px2 = (off_px**2).sum(1) @ weights[weights > 0] / max(weights.sum(), 1e-12)
        return float(np.sqrt(square_px2)) * first.crop.region.size_px / first.camera.size_px

    def observation(self, joints_px: Mapping[int, np.ndarray], noise: Noise) -> Observation:
        """Return what tracks need to know of the hand.

        Args:
            joints_px: as `joints_px` returns them.
            noise: what is assumed of the network's meshes.
        """
        first, size = self.predictions[0], None
        if {"depth", "stereo"} & set(self.estimate.cues.split("+")):
            # Pixels of one view tell nothing new about a hand's size; and a pose that is misjudged
            # in one image is misjudged in the next, too.
            deviation = max(self.estimate.size.deviation, noise.scale_log_sd)
            size = replace(self.estimate.size, deviation=deviation)
        return Observation(
            side=first.crop.side,
            joints_px=joints_px,
            root_m=self.root_m,
            vertices_m=self.vertices_m,
            size=size,
            right_probability=first.right_probability,
            depth_certainty=self.estimate.depth_certainty,
        )

    def hand(self, template: HandTemplate, camera: Camera, track_id: int) -> Hand:
        """Return the hand as users get it.

        Args:
            template: the mesh's.
            camera: the first one; a hand that it does not see has its joints' and its region's
                places in its image all the same, and no silhouette.
            track_id: whose it is.

        """
        first, vertices_m = self.predictions[0], self.vertices_m + self.root_m
        joints_m = template.joints(vertices_m)
        crop, view, shown = first.crop, first.crop.view, first.camera
        turn, estimate = (shown.rotation @ view.rotation).T, self.estimate
        region, joints_px, silhouette = crop.region, first.joints_px, first.cues.silhouette
        if not view.is_first:
            if not camera.sees(joints_m).all():  # its lens shows them nowhere, or a ghost
                camera = Camera(camera.width, camera.height, camera.matrix)
            joints_px = camera.project(joints_m)
            region = region_from_joints(joints_px, crop.mirrored)
            shown = CropCamera.looking_at(camera, region, shown.size_px, crop.mirrored)
            silhouette = np.zeros_like(silhouette)
        return Hand(
            track_id=track_id,
            handedness=crop.side.handedness,
            score=first.presence,
            joints_m=joints_m,
            vertices_m=vertices_m,
            joint_covariances_m2=turn @ estimate.joint_covariances_m2 @ turn.T,
            pose_covariances_m2=turn @ estimate.pose_covariances_m2 @ turn.T,
            length_m=estimate.size.length_m,
            length_deviation_m=estimate.size.length_m * estimate.size.deviation,
            rms_px=self.rms_px(joints_m),
            registration=estimate.cues,
            region=region,
            joints_px=joints_px,
            joint_confidence=first.cues.confidence,
            silhouette=silhouette,
            silhouette_camera=shown,
        )


def place(
    network: HandNetwork,
    noise: Noise,
    hands: Sequence[Sequence[CropPrediction]],
    sizes: Sequence[HandSize],
    *,
    scheme: str,
    depth_m: np.ndarray | None = None,
) -> tuple[list[Placement], list[str]]:
    """Register all hands together.

    Args:
        network: what predicted.
        noise: what is assumed of its meshes.
        hands: for each hand what the network predicts in each view that shows it.
        sizes: what is known of each hand's size.
        scheme: one of `registration.SCHEMES`.
        depth_m: (height, width) z of each pixel of the first camera's image.

    Returns:
        Those that have a place in space, and the reasons why others have none.

    """
    if not hands:
        return [], []
    firsts = [predictions[0] for predictions in hands]
    vertices = np.stack([first.vertices_m for first in firsts])
    with stage("register"):
        estimates = register(
            vertices,
            network.template.joints(vertices),
            [first.cues for first in firsts],
            np.stack([first.camera.matrix for first in firsts]),
            network.input_size,
            scheme=scheme,
            noise=noise,
            sizes=sizes,
            edges=picture_edges([first.camera for first in firsts]),
            depths_m=None if depth_m is None else [_cut_depth(one, depth_m) for one in firsts],
            views=[
                [
                    replace(_view(network, first, other), matched=_matched(first, other))
                    for other in further
                ]
                for first, *further in hands
            ],
        )
    placed, refusals = [], []
    for predictions, estimate in zip(hands, estimates, strict=True):
        if isinstance(estimate, RegistrationError):
            refusals.append(str(estimate))
            continue
        first = predictions[0]
        view, to_camera = first.crop.view, first.camera.to_camera
        mesh_m = first.vertices_m if estimate.vertices_m is None else estimate.vertices_m
        root_m = view.to_first(to_camera(estimate.translation_m))
        vertices_m = to_camera(estimate.scale * mesh_m) @ view.rotation
        if np.isfinite(root_m).all() and (root_m + vertices_m)[:, 2].min() > 0:
            placed.append(Placement(predictions, estimate, root_m, vertices_m))
        else:
            refusals.append("part of the hand would lie behind the camera")
    return placed, refusals


def find_apart(
    network: HandNetwork, noise: Noise, views: Sequence[CameraView], placements: Sequence[Placement]
) -> tuple[list[Placement], str]:
    """Find hands whose views do not fit together.

    Args:
        network: what predicted.
        noise: what is assumed of its meshes.
        views: the moment's.
        placements: of the hands in them.

    Returns:
        Those that another view alone shows while the first one alone shows another of the same
        side, although either should be seen in both; and why views do not fit, "" where they do.

    """
    if len(views) == 1:
        return [], ""
    pairs = [one.predictions[:2] for one in placements if one.is_apart]
    doubles = []
    lone = [p for p in placements if len(p.joints_px(views, network.template)) > len(p.predictions)]
    for second in lone:
        look = second.predictions[0]
        for first in lone:
            other = first.predictions[0]
            alike = other.crop.mirrored == look.crop.mirrored
            if alike and other.crop.view is views[0] and look.crop.view is not views[0]:
                pairs.append((other, look))
                doubles.append(second)
    return doubles, _why_apart(network, noise, *pairs[0]) if pairs else ""


def _why_apart(
    network: HandNetwork, noise: Noise, first: CropPrediction, second: CropPrediction
) -> str:
    """Return why two views of what seems to be one hand do not fit, as far as can be said."""
    view = _view(network, first, second)
    answer = register(
        first.vertices_m[None],
        network.template.joints(first.vertices_m[None]),
        [first.cues],
        first.camera.matrix[None],
        network.input_size,
        noise=noise,
        views=[[replace(view, translation_m=-view.translation_m)]],
    )[0]
    if isinstance(answer, RootEstimate) and (answer.agreement or 0) > _SURELY:
        return "they would with left and right exchanged, or the baseline's sign"
    return "check the calibration of both cameras and that their images are taken at one time"


def _cut_depth(first: CropPrediction, depth_m: np.ndarray) -> np.ndarray:
    """Return the depths in a crop; none where the crop is of another camera's image."""
    camera = first.camera
    if not first.crop.view.is_first:
        return np.zeros((camera.size_px, camera.size_px))
    return camera.cut_depth(depth_m)


def _view(network: HandNetwork, first: CropPrediction, other: CropPrediction) -> View:
    """Return a further view of a hand as registration wants it."""
    turn, shift_m = other.crop.view.transform_from(first.crop.view)
    return View(
        vertices_m=other.vertices_m,
        joints_m=network.template.joints(other.vertices_m[None])[0],
        cues=other.cues,
        matrix=other.camera.matrix,
        rotation=other.camera.rotation @ turn @ first.camera.rotation.T,
        translation_m=other.camera.rotation @ shift_m,
        edges=picture_edges([other.camera])[0],
    )


def _matched(first: CropPrediction, other: CropPrediction) -> MatchedDepth | None:
    """Return the depths by matching both images around the joints that are seen in them."""
    turn, shift_m = other.crop.view.transform_from(first.crop.view)
    poses = np.eye(3, 4), np.column_stack([turn, shift_m])
    slopes = [
        (rays[:, :2] / rays[:, 2:]).T
        for rays in (one.crop.view.camera.rays(one.joints_px) for one in (first, other))
    ]
    *joints_m, scale = cv2.triangulatePoints(*poses, *slopes)
    middle_m = np.median(joints_m / scale, axis=1)
    if not np.isfinite(middle_m).all():
        return None
    return match_depth(first.camera, first.crop.view, other.crop.view, middle_m)
