"""Further registration cases of the same sort, so that nothing is tuned to those of a file."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from cmr_ros.benchmark.cases import KINDS, SIZE_PX, Cases
from cmr_ros.registration import HandSize, hand_length_m

_ADULT = HandSize()


def simulate_cases(like: Cases, count: int, seed: int) -> Cases:
    """Return new cases of the same sort: the hands of `like` in new views, with new errors.

    Hand sizes follow adults (186 mm +- 6.5 %), the mesh's size is wrong by up to 4 % and bent
    smoothly by 2 mm; cues are disturbed according to their kind.
    """
    rng = np.random.default_rng(seed)
    kinds = np.arange(count) % len(KINDS)
    cases = [_simulate(like, kind, rng) for kind in kinds]
    vertices, seen, confidence, silhouettes, matrices, roots = map(
        np.stack, zip(*cases, strict=True)
    )
    return replace(
        like,
        vertices_m=vertices,
        joints_m=like.joint_regressor @ vertices,
        seen_px=seen,
        confidence=confidence,
        silhouettes=silhouettes,
        matrices=matrices,
        roots_m=roots,
        kinds=kinds,
        published_m=None,
    )


def _simulate(like: Cases, kind: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return one case as a tuple in the order `simulate_cases` stacks them."""
    while True:
        truth = like.vertices_m[rng.integers(len(like))] @ random_rotation(rng).T
        length = hand_length_m(like.joint_regressor @ truth)
        truth = truth * _ADULT.length_m * np.exp(_ADULT.deviation * rng.standard_normal()) / length
        focal = rng.uniform(350, 650)
        matrix = np.array([[focal, 0, 0], [0, focal * rng.uniform(0.97, 1.03), 0], [0, 0, 1]])
        matrix[:2, 2] = 111.5 + rng.normal(0, 8, 2)
        depth = rng.uniform(0.34, 0.94)
        center = np.linalg.inv(matrix) @ [*(111.5 + rng.normal(0, 15, 2)), 1] * depth
        root = center - truth.mean(0)
        pixels = project(truth + root, matrix)
        if pixels.min() > 3 and pixels.max() < SIZE_PX - 4 and np.ptp(pixels, axis=0).max() > 70:
            break
    silhouette = draw_silhouette(pixels, like.faces)
    if kind == 5:
        silhouette = cv2.erode(silhouette, np.ones((3, 3)), iterations=int(rng.integers(1, 5)))
    sigma_px = (1, 2, 4, 2, 2, 2)[kind]
    seen = project(like.joint_regressor @ truth + root, matrix)
    seen = seen + rng.normal(0, sigma_px, seen.shape)
    confidence = rng.uniform(0.5, 1, len(seen))
    wrong = rng.permutation(len(seen))[: (0, 0, 0, 4, 8, 0)[kind]]
    angle = rng.uniform(0, 2 * np.pi, len(wrong))
    seen[wrong] += rng.uniform(25, 80, (len(wrong), 1)) * np.stack(
        [np.cos(angle), np.sin(angle)], 1
    )
    confidence[wrong] *= 0.15 * rng.random(len(wrong)) if kind == 4 else 0.7
    vertices = truth * rng.uniform(0.96, 1.04) + bend(truth, rng)
    vertices = vertices - like.joint_regressor[0] @ vertices
    return vertices, seen, confidence, silhouette.astype(bool), matrix, root


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Return a random rotation (3, 3): any roll, tilted by some 20 degrees."""
    tilt, _ = cv2.Rodrigues(np.array([*rng.normal(0, 0.35, 2), 0]))
    roll, _ = cv2.Rodrigues(np.array([0, 0, rng.uniform(-np.pi, np.pi)]))
    return roll @ tilt


def bend(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a smooth displacement (V, 3) of 2 mm: a wave as long as the hand."""
    waves = rng.normal(0, 1, (3, 3))
    waves *= 2 * np.pi / rng.uniform(0.12, 0.3, (3, 1)) / np.linalg.norm(waves, axis=1)[:, None]
    return 0.002 * np.sin(points @ waves.T + rng.uniform(0, 2 * np.pi, 3))


def project(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return pixels (N, 2) of points (N, 3)."""
    pixels = points @ matrix.T
    return pixels[..., :2] / pixels[..., 2:]


def draw_silhouette(pixels: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the filled mesh (224, 224) as 0 and 1; pixels (V, 2).

    Drawn four times finer and averaged: drawing polygons makes their outline fat.
    """
    finer = 4
    fine = np.zeros((SIZE_PX * finer, SIZE_PX * finer), np.uint8)
    corners = np.round((pixels * finer + (finer - 1) / 2)[faces] * 16).astype(np.int32)
    for triangle in corners:
        cv2.fillConvexPoly(fine, triangle, 1, shift=4)
    return np.uint8(cv2.resize(fine * 255, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA) > 127)


def draw_depth(points_m: np.ndarray, matrix: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the depths (224, 224) of a mesh (V, 3) before a camera, 0 beside it."""
    depth_m = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    corners = np.round(project(points_m, matrix)[faces] * 16).astype(np.int32)
    distances_m = points_m[faces, 2].mean(1)
    for face in np.argsort(-distances_m):  # the nearest are drawn last
        cv2.fillConvexPoly(depth_m, corners[face], float(distances_m[face]), shift=4)
    return depth_m
