"""Registration: the root translation of a hand, by maximum likelihood, with its covariance.

All hands of a call are solved together.  Everything is in the crop's frame and pixels; the crop's
camera is a pinhole whose matrix has the last row 0 0 1.  Read `problem` (closed-form start), then
`fit` (joints and silhouette), then `estimate` (size and depth): that is `single`, the way of hands
in one view.  `bundle` and `views` triangulate hands in several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cmr_ros.errors import InputError, RegistrationError
from cmr_ros.hand import Cues
from cmr_ros.registration.bundle import Sight, View
from cmr_ros.registration.estimate import HandSize, Noise, RootEstimate, hand_length_m
from cmr_ros.registration.single import SCHEMES, Scheme, joint_precision, register_alone
from cmr_ros.registration.views import bent, combine

__all__ = [
    "SCHEMES",
    "HandSize",
    "Noise",
    "RootEstimate",
    "Scheme",
    "View",
    "hand_length_m",
    "register",
]


def register(
    vertices_m: np.ndarray,
    joints_m: np.ndarray,
    cues: Sequence[Cues],
    matrices: np.ndarray,
    size_px: int,
    *,
    scheme: Scheme = "joints+silhouette",
    noise: Noise | None = None,
    sizes: Sequence[HandSize | None] | None = None,
    edges: np.ndarray | None = None,
    depths_m: Sequence[np.ndarray] | None = None,
    views: Sequence[Sequence[View]] | None = None,
) -> list[RootEstimate | RegistrationError]:
    """Return each hand's root, or the reason why it cannot be determined.

    Args:
        vertices_m: (B, V, 3) root-relative.
        joints_m: (B, 21, 3) root-relative.
        cues: B of them; spread_px may be None.
        matrices: (B, 3, 3) of the crops' cameras.
        size_px: side of the crops.
        scheme: one of `SCHEMES`.
        noise: what is assumed of the meshes.
        sizes: what is known of each hand's size; None: that it is an adult's, or one of those that
            `noise` was measured on.
        edges: (B, L, 3) lines a x + b y + c >= 0 in crop pixels where the image ends
            (`geometry.crop.picture_edges`), besides the crop's own.
        depths_m: depth images cut like the crops (`CropCamera.cut_depth`): z in the crop's frame,
            0 or NaN where unknown.
        views: B times the same hand in images of further cameras, where those show it.  A view that
            cannot be used or shows something else does not count; a hand without views gets the
            answer of one.

    Raises:
        InputError: Arrays do not fit together.  What is wrong with one hand fails that hand alone.
    """
    noise = noise or Noise()
    answers = register_alone(
        vertices_m, joints_m, cues, matrices, size_px, scheme=scheme, noise=noise, sizes=sizes,
        edges=edges, depths_m=depths_m,
    )  # fmt: skip
    if views is not None and len(views) != len(cues):
        raise InputError(f"registration: views of {len(views)} hands, expected {len(cues)}")
    sights = _further_sights(views or [], size_px, scheme, noise, sizes)
    for hand, answer in enumerate(answers):
        depth_m = depths_m[hand] if depths_m is not None and scheme == SCHEMES[0] else None
        if not isinstance(answer, RootEstimate) or (hand not in sights and depth_m is None):
            continue
        view = View(
            vertices_m[hand], joints_m[hand], cues[hand], matrices[hand], np.eye(3), np.zeros(3)
        )
        sight = Sight(view, joint_precision(cues[hand]), answer)
        if hand in sights:
            answer = combine([sight, *sights[hand]], noise, size_px)
        if depth_m is not None and "depth" in answer.cues and not answer.is_stereo:
            answer = bent(replace(sight, estimate=answer), noise, size_px, depth_m)
        answers[hand] = answer
    return answers


def _further_sights(
    views: Sequence[Sequence[View]],
    size_px: int,
    scheme: Scheme,
    noise: Noise,
    sizes: Sequence[HandSize | None] | None,
) -> dict[int, list[Sight]]:
    """Return by number of the hand its further views that can be registered alone."""
    pairs = [(hand, view) for hand, further in enumerate(views) for view in further]
    if not pairs:
        return {}
    flat = [view for _, view in pairs]
    others = register_alone(
        np.stack([view.vertices_m for view in flat]),
        np.stack([view.joints_m for view in flat]),
        [view.cues for view in flat],
        np.stack([view.matrix for view in flat]),
        size_px,
        scheme=scheme,
        noise=noise,
        sizes=None if sizes is None else [sizes[hand] for hand, _ in pairs],
        edges=np.stack([view.edges for view in flat]),
        depths_m=None,
    )
    sights: dict[int, list[Sight]] = {}
    for (hand, view), answer in zip(pairs, others, strict=True):
        if isinstance(answer, RootEstimate):
            sight = Sight(view, joint_precision(view.cues), answer)
            sights.setdefault(hand, []).append(sight)
    return sights
