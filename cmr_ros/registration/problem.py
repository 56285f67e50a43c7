"""What a registration starts from, and its closed-form start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmr_ros.registration.extents import NORMALS, Extents

#: Points nearer than this are projected as if they were here, so that no step divides by zero.
MIN_DEPTH_M = 0.05
#: How often the start is solved: by plain least squares, then with weights that make it L1.
_START_ROUNDS = 2
#: Errors below this weigh the same in the start.
_SMALL_ERROR_PX = 0.5
_NORMALS = NORMALS.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Problem:
    """B hands with usable cues, in their crops' frames and pixels."""

    vertices_m: np.ndarray  # (B, V, 3) root-relative
    joints_m: np.ndarray  # (B, J, 3) root-relative
    matrices: np.ndarray  # (B, 3, 3) of the crops' cameras, last row 0 0 1
    joints_px: np.ndarray  # (B, J, 2) as seen, finite
    precision: np.ndarray  # (B, J) relative inverse variance, 0 for joints not to use
    extents: Extents  # of the silhouettes
    lines: np.ndarray  # (B, L, 3) edges of the image, a x + b y + c >= 0 inside


def project(points_m: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Return pixels (B, N, 2) of points (B, N, 3)."""
    flat = points_m @ matrices[:, :2].transpose(0, 2, 1)
    return flat / np.maximum(points_m[..., 2:], MIN_DEPTH_M)


def supports(problem: Problem, roots_m: np.ndarray, bends: np.ndarray | None = None) -> np.ndarray:
    """Return the root-relative vertices (B, 24, 3) that reach farthest along each normal.

    roots_m: (B, 3) where the mesh is.  bends: (B, 2, 3) field that is added to x and y.
    """
    matrices = problem.matrices[:, :2]
    offset = matrices @ roots_m[..., None]
    if bends is not None:
        matrices = matrices.copy()
        matrices += matrices[..., :2] @ bends
    vertices = problem.vertices_m.astype(np.float32).transpose(0, 2, 1)  # what is exact is not here
    pixels = matrices.astype(np.float32) @ vertices + offset.astype(np.float32)
    pixels /= np.maximum(
        vertices[:, 2:] + roots_m[:, 2, None, None].astype(np.float32), MIN_DEPTH_M
    )
    indices = (_NORMALS @ pixels).argmax(-1)
    return problem.vertices_m[np.arange(len(pixels))[:, None], indices]


def linear_roots(problem: Problem, weight: np.ndarray) -> np.ndarray:
    """Return roots (B, 3) from joints weighted by (B, J), by linear least squares.

    The residual is algebraic: pixels times depth.
    """
    # Seen u and point X agree when (M - u e3) X = 0: linear in the root.
    rows = np.repeat(problem.matrices[:, None, :2], problem.joints_px.shape[1], axis=1)
    rows[..., 2] -= problem.joints_px
    target = -(rows @ problem.joints_m[..., None])
    root = np.sqrt(weight)[..., None, None]
    flat, right = (rows * root).reshape(len(rows), -1, 3), (target * root).reshape(len(rows), -1, 1)
    system = flat.transpose(0, 2, 1) @ flat
    # A trace of the identity keeps joints that all coincide solvable; the hand fails later.
    system += 1e-12 * np.trace(system, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    return np.linalg.solve(system, flat.transpose(0, 2, 1) @ right)[..., 0]


def closed_form_roots(problem: Problem) -> np.ndarray:
    """Return roots (B, 3) from joints alone: linear, repeated with weights that make it L1."""
    weight = problem.precision
    for _ in range(_START_ROUNDS):
        roots = linear_roots(problem, weight)
        points = problem.joints_m + roots[:, None]
        error = np.linalg.norm(project(points, problem.matrices) - problem.joints_px, axis=-1)
        depth = np.maximum(points[..., 2], MIN_DEPTH_M)
        weight = problem.precision / np.maximum(error, _SMALL_ERROR_PX) / depth**2
    return roots
