"""How good a network is on held-out renders, in numbers and in pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset

from cmr_ros.evaluation.metrics import distances_mm, f_score, procrustes
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand import Hand
from cmr_ros.model.heatmap import decode
from cmr_ros.model.template import HandTemplate
from cmr_ros.network.config import NetworkConfig
from cmr_ros.network.recovery import Recovery
from cmr_ros.training.batches import Batch, RenderedSamples, in_order, loader
from cmr_ros.training.objective import recover
from cmr_ros.viewing.drawing import overlay

_BATCH_SIZE = 100
#: F-scores take nearest-neighbour searches, so they are taken of this many samples only.
_F_SCORES = 200


@torch.inference_mode()
def validate(
    network: nn.Module, samples: Dataset, template: HandTemplate, workers: int = 0
) -> dict[str, float]:
    """Return means over samples: errors of mesh and joints in mm, of 2D joints in crop pixels.

    Args:
        network: to measure, on the device that its parameters are on.
        samples: items are lists of indices and give a `Batch`.
        template: of its meshes.
        workers: processes that read ahead.

    Returns:
        pa_...: aligned by Procrustes with scale; rr_...: root-relative as predicted; px: of the
        heatmaps; landmark_px: of the trunk's own landmarks, where there are some; mask_iou: of all
        samples' silhouettes at half the crop's resolution; f5, f15: F-scores of aligned meshes at
        5 and 15 mm, over the first samples.
    """
    device = next(network.parameters()).device
    network.eval()
    numbers: list[dict[str, np.ndarray]] = []
    for batch in loader(samples, in_order(len(samples), _BATCH_SIZE), workers):
        recovery = recover(network, batch.to(device))
        room = _F_SCORES - _BATCH_SIZE * len(numbers)
        numbers.append(_measure(recovery, batch, network.config, template, max(room, 0)))
    return {
        name: float(np.concatenate([part[name] for part in numbers]).mean()) for name in numbers[0]
    }


def _measure(
    recovery: Recovery, batch: Batch, config: NetworkConfig, template: HandTemplate, f_scores: int
) -> dict[str, np.ndarray]:
    vertices = recovery.mesh.float().cpu().numpy() * config.scale_m
    joints = template.joints(vertices)
    truth = batch.joints.numpy()
    true_joints = truth - truth[:, :1]
    true_vertices = batch.vertices.numpy() - truth[:, :1]
    aligned = procrustes(vertices, true_vertices)
    size = config.input_size
    heatmaps = recovery.heatmaps.float().cpu().numpy()
    inside = ((batch.joints_px >= 0) & (batch.joints_px < size)).all(dim=2).numpy()

    def pixel_error(pixels: np.ndarray) -> np.ndarray:
        return np.linalg.norm(pixels - batch.joints_px.numpy(), axis=2)[inside]

    numbers = {
        "pa_mpjpe_mm": distances_mm(procrustes(joints, true_joints), true_joints).mean(axis=1),
        "pa_mpvpe_mm": distances_mm(aligned, true_vertices).mean(axis=1),
        "rr_mpjpe_mm": distances_mm(joints, true_joints).mean(axis=1),
        "px": pixel_error(decode(heatmaps, size, config.heatmap_sigma_px)[0]),
        "mask_iou": _iou(recovery.silhouette.float().cpu(), batch.mask),
    }
    if recovery.landmarks is not None:
        numbers["landmark_px"] = pixel_error(recovery.landmarks.float().cpu().numpy() * size)
    pairs = list(zip(aligned, true_vertices, strict=True))[:f_scores]
    for threshold_mm in (5, 15):
        scores = [f_score(a, b, threshold_mm) for a, b in pairs]
        numbers[f"f{threshold_mm}"] = np.array(scores)
    return numbers


def _iou(silhouette: torch.Tensor, mask: torch.Tensor) -> np.ndarray:
    """Return the intersection over union (N,) of maps (N, 1, h, w) with masks (N, H, W) uint8."""
    found = F.interpolate(silhouette, mask.shape[-2:], mode="bilinear")[:, 0] > 0.5
    true = mask > 127
    both = (found & true).flatten(1).sum(dim=1)
    either = (found | true).flatten(1).sum(dim=1)
    return (both / either.clamp_min(1)).numpy()


@torch.inference_mode()
def pictures(
    network: nn.Module, samples: RenderedSamples, template: HandTemplate, count: int
) -> np.ndarray:
    """Return one RGB picture: per sample the crop, the mesh at the true root, and the maps.

    Args:
        network: to show, on the device that its parameters are on.
        samples: with images.
        template: of its meshes.
        count: of samples to show, from the first on.

    Returns:
        (height, width, 3) uint8.
    """
    device = next(network.parameters()).device
    network.eval()
    batch = samples[range(min(count, len(samples)))]
    recovery = recover(network, batch.to(device))
    matrices = [samples.shards[i].matrix for i in range(len(batch))]
    rows = [np.hstack(row) for row in _panels(recovery, batch, matrices, network.config, template)]
    half = -(-len(rows) // 2)
    rows += [np.zeros_like(rows[0])] * (2 * half - len(rows))
    return np.hstack([np.vstack(rows[:half]), np.vstack(rows[half:])])


def _panels(
    recovery: Recovery,
    batch: Batch,
    matrices: Sequence[np.ndarray],
    config: NetworkConfig,
    template: HandTemplate,
) -> Iterator[list[np.ndarray]]:
    size = config.input_size
    vertices = recovery.mesh.float().cpu().numpy() * config.scale_m
    heatmaps = recovery.heatmaps.float().cpu().numpy()
    silhouettes = recovery.silhouette[:, 0].float().cpu().numpy()
    joints_px, confidence, _ = decode(heatmaps, size, config.heatmap_sigma_px)
    region = Region(((size - 1) / 2,) * 2, size)
    for i, matrix in enumerate(matrices):
        root = batch.joints[i, 0].numpy()
        camera = Camera(size, size, matrix)
        hand = Hand(
            track_id=i, handedness=Handedness.RIGHT, score=1.0, rms_px=0.0,
            length_m=0.0, length_deviation_m=0.0, registration="truth",
            joints_m=template.joints(vertices[i]) + root, vertices_m=vertices[i] + root,
            joint_covariances_m2=np.zeros((21, 3, 3)), pose_covariances_m2=np.zeros((21, 3, 3)),
            region=region, joints_px=joints_px[i],
            joint_confidence=confidence[i], silhouette=silhouettes[i],
            silhouette_camera=CropCamera.looking_at(camera, region, size),
        )  # fmt: skip
        picture = batch.images[i].numpy()
        maps = _draw_maps(picture, heatmaps[i], silhouettes[i], joints_px[i])
        yield [picture, overlay(picture, [hand], template, camera), maps]


def _draw_maps(
    picture: np.ndarray, heatmaps: np.ndarray, silhouette: np.ndarray, joints_px: np.ndarray
) -> np.ndarray:
    """Return silhouette (blue), heatmaps (red) and decoded joints (dots) over a dimmed picture."""
    size = picture.shape[:2]
    layer = np.zeros((*size, 3), np.float32)
    layer[..., 2] = cv2.resize(silhouette, size) * 140
    layer[..., 0] = cv2.resize(heatmaps.max(axis=0), size) * 220
    canvas = np.clip(picture * 0.4 + layer, 0, 255).astype(np.uint8)
    for x, y in joints_px:
        cv2.circle(canvas, (round(float(x)), round(float(y))), 2, (255, 255, 0), -1, cv2.LINE_AA)
    return canvas
