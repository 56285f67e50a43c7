"""One hand seen by the network several times: turned, scaled, shifted and mirrored.

What the looks agree on is likely; how far they are apart says how far to trust it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.model.heatmap import decode
from cmr_ros.model.inference import HandNetwork, Prediction

#: Turn in degrees, factor of the side, and shift by the side (right, down) of each look.
_LOOKS = (
    (0, 1.0, 0.0, 0.0),
    (-14, 1.0, 0.03, 0.0),
    (14, 1.0, -0.03, 0.0),
    (-7, 1.14, 0.0, 0.03),
    (7, 0.9, 0.0, 0.02),
)
#: These show the hand mirrored as well.  The network knows right hands, so only what the released
#: landmark head finds there counts, which knows both.
_MIRRORED = 2


@dataclass(frozen=True, eq=False)
class Consensus:
    """What several looks at a hand agree on, in the frame and pixels of the first one's crop."""

    camera: CropCamera
    joints_px: np.ndarray  # (J, 2) mean of heatmaps and landmarks
    spread_px: np.ndarray  # (J,) standard deviation over looks, and between maps and landmarks
    confidence: np.ndarray  # (J,) mean height of the heatmaps' peaks
    joints_m: np.ndarray  # (J, 3) relative to the root
    joint_spread_m: np.ndarray  # (J,) of `joints_m` over the looks
    silhouette: np.ndarray  # (S, S) in [0, 1], mean
    agreement: float  # mean intersection over union of the looks' silhouettes with the mean
    presence: float  # lowest probability of a hand among the looks; 1 where none is predicted


def look_several_times(
    network: HandNetwork, picture: np.ndarray, camera: Camera, region: Region, mirrored: bool
) -> Consensus:
    """Return what the looks at a region of an image agree on.

    Args:
        network: whose crops are virtual cameras'.
        picture: RGB (height, width, 3) uint8.
        camera: the image's.
        region: of the hand.
        mirrored: whether it is a left hand.
    """
    size_px = network.input_size
    regions = [_moved(region, *look) for look in _LOOKS]
    cameras = [CropCamera.looking_at(camera, one, size_px, mirrored) for one in regions]
    others = [
        CropCamera.looking_at(camera, one, size_px, not mirrored) for one in regions[:_MIRRORED]
    ]
    prediction = network(np.stack([one.cut(picture) for one in (*cameras, *others)]))
    return _agreed(prediction, cameras, others, network)


def _moved(region: Region, turn_deg: float, scale: float, right: float, down: float) -> Region:
    c, s = np.cos(region.rotation_rad), np.sin(region.rotation_rad)
    shift = region.size_px * np.array([right, down]) @ np.array([[c, s], [-s, c]])
    return replace(
        region,
        center_px=tuple(np.asarray(region.center_px) + shift),
        size_px=region.size_px * scale,
        rotation_rad=region.rotation_rad + np.radians(turn_deg),
    )


def _agreed(
    prediction: Prediction,
    cameras: list[CropCamera],
    others: list[CropCamera],
    network: HandNetwork,
) -> Consensus:
    first, count, size_px = cameras[0], len(cameras), network.input_size
    found, height, _ = decode(prediction.heatmaps[:count], size_px, prediction.heatmap_sigma_px)
    maps = np.stack([carry(*pair, first) for pair in zip(found, cameras, strict=True)])
    share = height[..., None] + 1e-3
    joints_px = by_maps = (share * maps).sum(axis=0) / share.sum(axis=0)
    spread = np.sqrt((share[..., 0] * _square(maps - by_maps)).sum(axis=0) / share[..., 0].sum(0))
    if prediction.landmarks_px is not None:
        pairs = zip(prediction.landmarks_px, (*cameras, *others), strict=True)
        landmarks = np.stack([carry(*pair, first) for pair in pairs])
        by_head = landmarks.mean(axis=0)
        joints_px = (by_maps + by_head) / 2
        apart = np.sqrt(_square(by_maps - by_head)) / 2
        over_looks = np.sqrt(_square(landmarks - by_head).mean(axis=0))
        spread = np.sqrt((spread**2 + over_looks**2) / 2 + apart**2)
    turns = [one.rotation @ first.rotation.T for one in cameras]  # look from first
    meshes = np.stack([m @ t for m, t in zip(prediction.vertices_m, turns, strict=False)])
    joints = network.template.joints(meshes)
    silhouettes = np.stack(
        [
            _warped(one, camera, first)
            for one, camera in zip(prediction.silhouettes, cameras, strict=False)
        ]
    )
    mean = silhouettes.mean(axis=0)
    presence = prediction.presence
    return Consensus(
        camera=first,
        joints_px=joints_px,
        spread_px=spread,
        confidence=height.mean(axis=0),
        joints_m=joints.mean(axis=0),
        joint_spread_m=np.sqrt(_square(joints - joints.mean(axis=0)).mean(axis=0)),
        silhouette=mean,
        agreement=float(np.mean([_overlap(one > 0.5, mean > 0.5) for one in silhouettes])),
        presence=1.0 if presence is None else float(presence[:count].min()),
    )


def between(target: CropCamera, source: CropCamera) -> np.ndarray:
    """Return the homography (3, 3) from a crop's pixels to another's of the same image."""
    return target.matrix @ target.rotation @ source.rotation.T @ np.linalg.inv(source.matrix)


def carry(pixels: np.ndarray, source: CropCamera, target: CropCamera) -> np.ndarray:
    """Return pixels (J, 2) of one crop as another's."""
    moved = np.c_[pixels, np.ones(len(pixels))] @ between(target, source).T
    return moved[:, :2] / moved[:, 2:]


def _warped(silhouette: np.ndarray, source: CropCamera, target: CropCamera) -> np.ndarray:
    """Return a crop's silhouette (h, w) in another crop's pixels (S, S)."""
    side = (source.size_px, source.size_px)
    full = cv2.resize(np.ascontiguousarray(silhouette), side, interpolation=cv2.INTER_LINEAR)
    return cv2.warpPerspective(full, between(target, source), side, borderValue=0)


def _square(difference: np.ndarray) -> np.ndarray:
    return (difference**2).sum(axis=-1)


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))
