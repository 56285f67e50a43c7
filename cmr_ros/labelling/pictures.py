"""Training samples of photographs: a label's hand in crops as a detector might place them.

The label was made from clean looks; what the student sees is degraded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.geometry.regions import region_from_joints
from cmr_ros.labelling.fit import FittedHand
from cmr_ros.labelling.looks import Consensus, between, carry
from cmr_ros.synthesis.augment import photograph
from cmr_ros.synthesis.sample import Sample
from cmr_ros.synthesis.settings import PhotographSettings, PictureSettings

#: The silhouette is believed this far from the fitted mesh: what is farther is forearm.
_BESIDE_PX = 7
#: How often, and how large (by the crop's side), something covers part of the hand; how often the
#: hand is dyed as a glove would be, and how often the picture is grey.
_COVERED, _COVER = 0.25, (0.08, 0.28)
_GLOVE, _GREY = 0.1, 0.1
#: Natural logarithm of the side of crops from anywhere, by the photograph's shorter side.
_ELSEWHERE_LOG = (-1.9, -0.2)
#: Stronger than what renders get: down to 24 pixels a crop, darker, blurred more often.
HARD = PictureSettings(
    motion_blur=0.3,
    defocus=0.25,
    low_resolution=0.5,
    noise=0.6,
    photograph=replace(
        PhotographSettings(),
        smallest=24 / 224,
        exposure_log=0.35,
        white_balance_log=0.1,
        noise=0.03,
    ),
)


@dataclass(frozen=True, eq=False)
class Label:
    """What is taken for true of a hand in a photograph."""

    seen: Consensus
    hand: FittedHand
    weights: np.ndarray  # (21,) in [0, 1]


def sample_of(
    label: Label,
    picture: np.ndarray,
    faces: np.ndarray,
    rng: np.random.Generator,
    clean: bool,
) -> Sample:
    """Return a training sample of a labelled hand.

    Args:
        label: of the hand.
        picture: RGB (height, width, 3) uint8, the photograph.
        faces: (F, 3) of the template.
        rng: source of randomness: of the crop's place, and of what spoils it.
        clean: whether to leave the picture as it is.
    """
    first, size_px = label.seen.camera, label.seen.camera.size_px
    camera = _jittered(label, rng)
    turn = camera.rotation @ first.rotation.T
    vertices, joints = (p @ turn.T for p in (label.hand.vertices_m, label.hand.joints_m))
    flat = np.zeros((size_px, size_px), np.uint8)
    for corners in np.rint(8 * camera.project(vertices)[faces]).astype(np.int32):
        cv2.fillConvexPoly(flat, corners, 1, shift=3)
    near = cv2.dilate(flat, np.ones((2 * _BESIDE_PX + 1,) * 2, np.uint8)) > 0
    silhouette = cv2.warpPerspective(
        label.seen.silhouette, between(camera, first), (size_px, size_px)
    )
    crop = camera.cut(picture)
    if not clean:
        crop = _spoilt(crop, flat > 0, joints @ camera.matrix.T, rng)
    pixels = camera.project(joints)
    inside = ((pixels > 0) & (pixels < size_px - 1)).all(axis=1)
    return Sample(
        picture=crop,
        vertices=vertices.astype(np.float32),
        joints=joints.astype(np.float32),
        matrix=camera.matrix,
        mask=(silhouette > 0.5) & near,
        visible=inside & (label.weights > 0.5),
        weights=label.weights,
        joints_px=carry(label.seen.joints_px, first, camera),
    )


def anywhere(width: int, height: int, rng: np.random.Generator) -> Region:
    """Return a region anywhere in a photograph of so many pixels."""
    return Region(
        center_px=(rng.uniform(0, width), rng.uniform(0, height)),
        size_px=min(width, height) * float(np.exp(rng.uniform(*_ELSEWHERE_LOG))),
        rotation_rad=float(rng.normal(0, 0.7)),
    )


def _jittered(label: Label, rng: np.random.Generator) -> CropCamera:
    """Return the camera of a crop around the hand, placed as the renders' crops are."""
    first, how = label.seen.camera, PictureSettings()
    joints_px = first.to_picture(first.project(label.hand.joints_m))
    region = region_from_joints(joints_px, first.mirrored)
    loose = 2.0 if rng.random() < how.loose else 1.0
    shift = loose * how.center_jitter * region.size_px * rng.normal(size=2)
    region = replace(
        region,
        center_px=tuple(np.asarray(region.center_px) + shift),
        size_px=region.size_px * float(np.exp(loose * how.scale_jitter * rng.normal())),
        rotation_rad=region.rotation_rad + loose * np.radians(how.roll_jitter_deg) * rng.normal(),
    )
    return CropCamera.looking_at(first.source, region, first.size_px, first.mirrored)


def _spoilt(
    crop: np.ndarray, hand: np.ndarray, joints: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return a crop (S, S, 3) as a worse camera in a worse place would show it.

    hand: (S, S) bool, where the mesh is.  joints: (21, 3) homogeneous pixels.
    """
    crop = crop.copy()
    if rng.random() < _GLOVE:
        color = rng.uniform(20, 255, 3)
        light = crop[hand].mean(axis=1, keepdims=True) / 160
        share = rng.uniform(0.6, 1)
        crop[hand] = np.clip((1 - share) * crop[hand] + share * light * color, 0, 255)
    if rng.random() < _COVERED:
        _cover(crop, joints, rng)
    if rng.random() < _GREY:
        crop[:] = crop.mean(axis=2, keepdims=True)
    return photograph(crop, HARD, rng)


def _cover(crop: np.ndarray, joints: np.ndarray, rng: np.random.Generator) -> None:
    """Paste a turned piece of the crop itself, or an even colour, over some joint, in place."""
    size_px = len(crop)
    joint = joints[rng.integers(len(joints))]
    center = joint[:2] / joint[2] + rng.normal(0, 0.05 * size_px, 2)
    axes = size_px * rng.uniform(*_COVER, 2) / 2
    mask = np.zeros(crop.shape[:2], np.uint8)
    box = (tuple(map(float, center)), tuple(map(float, 2 * axes)), float(rng.uniform(0, 180)))
    if rng.random() < 0.5:
        cv2.ellipse(mask, box, 1, -1)
    else:
        cv2.fillConvexPoly(mask, np.rint(cv2.boxPoints(box)).astype(np.int32), 1)
    other = np.roll(crop[::-1], tuple(rng.integers(0, size_px, 2)), axis=(0, 1))
    if rng.random() < 0.6:
        other = np.full_like(crop, rng.integers(0, 256, 3))
    crop[mask > 0] = other[mask > 0]
