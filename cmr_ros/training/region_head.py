"""Teaches a mobile network's region head where the hand is in a badly placed crop."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cmr_ros.geometry.regions import region_from_joints
from cmr_ros.network.crop_head import RegionHead
from cmr_ros.synthesis.sample import CERTAINTY
from cmr_ros.training.batches import Batch
from cmr_ros.training.descent import descend

#: What is taught of a hand: so many of its joints lie in the crop, its region is at most so many
#: times as large or as small as the crop, and its middle within so much of the larger one's side.
_LEAST_INSIDE, _TIMES, _AWAY = 0.3, 3.2, 0.75
#: Weights of the losses and where they turn from squares to distances: of middle, logarithm of the
#: side and direction.
_WEIGHTS, _NEAR = (4.0, 2.0, 1.0), (0.05, 0.1, 0.2)
#: Middles of hands smaller than this, by the crop's side, count as those of hands so large.
_SMALLEST = 0.3
_SHOWN = 64  # crops that are judged at once
#: A region is good enough to look at again: its middle is off by so much of its side, its side by
#: such a factor, its direction by so many degrees at most.
_GOOD = (0.2, 1.4, 45.0)


def truth(batch: Batch, mirrored: Tensor) -> Tensor:
    """Return what `RegionHead` is to say of a batch (N, 6), sides as logarithms.

    The first value is 1 or 0 where it is known whether the crop shows some of a hand, else NaN.

    Args:
        batch: the samples.
        mirrored: (N,) bool, whose images are shown mirrored.
    """
    size = batch.images.shape[1]
    pixels = batch.joints_px.numpy()
    inside = ((pixels > 0) & (pixels < size)).all(axis=2).mean(axis=1)
    rows = np.zeros((len(batch), 6), np.float32)
    for row, joints_px, share, shows, presence in zip(
        rows, pixels, inside, batch.shows, batch.presence, strict=True
    ):
        if not shows:
            row[0] = 0 if presence < 0.5 else np.nan
            continue
        region = region_from_joints(joints_px)
        x, y = (np.array(region.center_px) + 0.5) / size
        side, turn = region.size_px / size, region.rotation_rad
        away = math.hypot(x - 0.5, y - 0.5)
        is_near = share > _LEAST_INSIDE and away < _AWAY * max(side, 1)
        row[0] = 1 if is_near and 1 / _TIMES < side < _TIMES else np.nan
        row[1:] = x, y, math.log(side), math.sin(turn), -math.cos(turn)
    found = torch.from_numpy(rows)
    found[mirrored, 1] = 1 - found[mirrored, 1]
    found[mirrored, 4] *= -1
    return found


def fit(head: RegionHead, maps: Tensor, regions: Tensor, epochs: int) -> None:
    """Train a head.

    Args:
        head: to train.
        maps: (K, N, C, h, w) of K views of each crop, one of which is drawn each time.
        regions: (K, N, 6) of these, see `truth`.
        epochs: times to see all crops.
    """
    views, count = regions.shape[:2]

    def loss_of(rows: Tensor) -> Tensor:
        view = torch.randint(views, (len(rows),))
        return _loss(head.guess(maps[view, rows].float()), regions[view, rows])

    descend(head, count, epochs, loss_of, "fit regions")


def _loss(guess: Tensor, true: Tensor) -> Tensor:
    """Return how far guesses (N, 6) are from `truth`, a mean over what is known."""
    known = ~true[:, 0].isnan()
    is_hand = true[:, 0] == 1
    sure = is_hand[known].float() * (2 * CERTAINTY - 1) + (1 - CERTAINTY)
    loss = F.binary_cross_entropy_with_logits(guess[known, 0], sure)
    if not is_hand.any():
        return loss
    guess, true = guess[is_hand], true[is_hand]
    scale = true[:, 3:4].exp().clamp(min=_SMALLEST)
    pairs = (
        (guess[:, 1:3] / scale, true[:, 1:3] / scale),
        (guess[:, 3:4], true[:, 3:4]),
        (guess[:, 4:], true[:, 4:]),
    )
    for weight, near, (told, right) in zip(_WEIGHTS, _NEAR, pairs, strict=True):
        loss = loss + weight * F.smooth_l1_loss(told, right, reduction="sum", beta=near) / len(true)
    return loss


@torch.no_grad()
def describe(head: RegionHead, maps: Tensor, regions: Tensor) -> str:
    """Return in words for how many of N crops with a hand, badly placed, the region is good.

    Args:
        head: to judge.
        maps: (K, N, C, h, w), see `fit`; the last view counts.
        regions: (K, N, 6) of these.
    """
    is_hand = regions[-1, :, 0] == 1
    true = regions[-1, is_hand]
    if not len(true):
        return "no crops held out that show a hand"
    told = torch.cat([head.guess(part.float()) for part in maps[-1, is_hand].split(_SHOWN)])
    crop = torch.tensor([0, 0.5, 0.5, 0, 0, -1]).expand_as(true)
    good = [_are_good(one, true).float().mean() for one in (crop, told)]
    return (
        f"{len(true)} of them, badly placed, show a hand: {good[0]:.3f} are near enough to its "
        f"region as they are, {good[1]:.3f} if the head has its say"
    )


def _are_good(told: Tensor, true: Tensor) -> Tensor:
    off = (told[:, 1:3] - true[:, 1:3]).norm(dim=1) / true[:, 3].exp()
    times = (told[:, 3] - true[:, 3]).abs().exp()
    cosine = F.cosine_similarity(told[:, 4:], true[:, 4:])
    most_off, most_times, most_deg = _GOOD
    return (off < most_off) & (times < most_times) & (cosine > math.cos(math.radians(most_deg)))
