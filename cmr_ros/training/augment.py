"""Changes batches at random where the network is trained: other views, light, blur, occluders.

A crop belongs to a camera of its own, so turning that camera and changing its focal length gives
images and truth that stay exactly right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from cmr_ros.training.batches import Batch

#: Shares of the samples of a batch: covered, of low resolution, blurred, grey, with noise; and
#: those whose colours stay.
_COVERED, _COARSE, _BLURRED, _GREY, _NOISY, _PLAIN = 0.2, 0.25, 0.2, 0.1, 0.5, 0.3
#: Half axes of what covers, by the crop's side; the smallest crop in pixels.
_COVER, _SMALLEST = (0.04, 0.14), 24
#: Standard deviations of logarithms: exposure, each colour, contrast; mean strength of the noise.
_EXPOSURE_LOG, _COLOR_LOG, _CONTRAST_LOG, _NOISE = 0.25, 0.06, 0.15, 0.02
_BLUR_PX, _MOTION_PX = (0.5, 2.5), 12


@dataclass(frozen=True)
class Placing:
    """Standard deviations of how crops are placed."""

    roll_rad: float = 0.2
    shift: float = 0.03  # by the crop's side
    zoom_log: float = 0.07  # of the focal length


#: As badly as some detections are.
BADLY = Placing(roll_rad=0.9, shift=0.15, zoom_log=0.35)


def augmented(batch: Batch, placing: Placing = Placing()) -> Batch:
    """Return a batch of images as other cameras, in other places and light, would show them.

    What is covered leaves the mask; all else of the truth moves with the camera.
    """
    # Half precision would move the truth by a pixel.
    with torch.autocast(batch.images.device.type, enabled=False):
        return _augmented(batch, placing)


def _augmented(batch: Batch, placing: Placing) -> Batch:
    images, mask = batch.images.permute(0, 3, 1, 2).float() / 255, batch.mask[:, None].float()
    turn, matrices = _cameras(batch, placing)
    moves = matrices @ turn @ torch.linalg.inv(batch.matrices)
    size = images.shape[-1]
    images = _warped(images, moves, size)
    mask = _warped(mask, moves, size)
    images, mask = _covered(images, mask)
    images = _photographed(images)
    return replace(
        batch,
        images=(255 * images.clamp(0, 1)).byte().permute(0, 2, 3, 1),
        mask=mask[:, 0].round().byte(),
        vertices=batch.vertices @ turn.mT,
        joints=batch.joints @ turn.mT,
        joints_px=_moved(batch.joints_px, moves),
        matrices=matrices,
        taught_px=None if batch.taught_px is None else _moved(batch.taught_px, moves),
        taught=None if batch.taught is None else batch.taught @ turn.mT,
    )


def _cameras(batch: Batch, placing: Placing) -> tuple[Tensor, Tensor]:
    """Return rotations (N, 3, 3) from the crops' cameras to others, and these cameras' matrices."""
    count, size = len(batch), batch.images.shape[1]
    across, down, roll, zoom = torch.randn(4, count, device=batch.images.device)
    focal = batch.matrices[:, 0, 0]
    turn = torch.zeros(count, 3, 3, device=focal.device)
    turn[:, 0, 1], turn[:, 1, 0] = -placing.roll_rad * roll, placing.roll_rad * roll
    for axis, shift in ((0, across), (1, down)):
        angle = placing.shift * size * shift / focal
        turn[:, axis, 2], turn[:, 2, axis] = angle, -angle
    matrices = batch.matrices.clone()
    matrices[:, :2, :2] *= torch.exp(placing.zoom_log * zoom)[:, None, None]
    return torch.linalg.matrix_exp(turn), matrices


def _moved(pixels: Tensor, moves: Tensor) -> Tensor:
    """Return pixels (N, K, 2) under homographies (N, 3, 3)."""
    moved = F.pad(pixels, (0, 1), value=1.0) @ moves.mT
    return moved[..., :2] / moved[..., 2:]


def _warped(maps: Tensor, moves: Tensor, size: int) -> Tensor:
    """Return maps (N, C, s, s) under homographies of a crop of a size; black comes in."""
    cells = maps.shape[-1]
    centers = (torch.arange(cells, device=maps.device) + 0.5) * (size / cells) - 0.5
    grid = torch.cartesian_prod(centers, centers).flip(1).expand(len(maps), -1, -1)
    source = _moved(grid, torch.linalg.inv(moves))
    places = ((source + 0.5) * (2 / size) - 1).view(len(maps), cells, cells, 2)
    return F.grid_sample(maps, places, align_corners=False)


def _covered(images: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Lay a turned ellipse of another sample's image over some; it leaves the mask, too."""
    count, device = len(images), images.device

    def ellipses(cells: int) -> Tensor:
        line = (torch.arange(cells, device=device) + 0.5) / cells
        y, x = line[:, None] - center[1], line - center[0]
        along, aside = x * cosine + y * sine, y * cosine - x * sine
        return ((along / axes[0]) ** 2 + (aside / axes[1]) ** 2 < 1) & covered

    covered = _some(_COVERED, images)
    center = torch.rand(2, count, 1, 1, 1, device=device) * 0.7 + 0.15
    axes = _COVER[0] + (_COVER[1] - _COVER[0]) * torch.rand(2, count, 1, 1, 1, device=device)
    angle = torch.pi * torch.rand(count, 1, 1, 1, device=device)
    cosine, sine = angle.cos(), angle.sin()
    images = torch.where(ellipses(images.shape[-1]), images.roll(1, 0).flip(3), images)
    return images, mask.masked_fill(ellipses(mask.shape[-1]), 0)


def _photographed(images: Tensor) -> Tensor:
    """Vary light and colours, and spoil some of the images with blur, noise and few pixels."""
    count, size = len(images), images.shape[-1]

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, 1, 1, device=images.device)

    gain = torch.exp(_EXPOSURE_LOG * normal(1) + _COLOR_LOG * normal(3))
    changed = 0.5 + torch.exp(_CONTRAST_LOG * normal(1)) * (images * gain - 0.5)
    changed = torch.where(_some(_GREY, images), changed.mean(dim=1, keepdim=True), changed)
    # The amount of blur is one for a batch, so that all can be filtered at once.
    blurred = _some(_BLURRED, images).flatten()
    changed[blurred] = _blurred(changed[blurred])
    small = int(size * (_SMALLEST / size) ** torch.rand(()).item())
    strength = _NOISE * torch.empty(count, 1, 1, 1, device=images.device).exponential_()
    strength = strength * _some(_NOISY, images)
    coarse = F.interpolate(changed, small, mode="area")
    coarse = (coarse + strength * torch.randn_like(coarse)).clamp(0, 1)
    coarse = F.interpolate(coarse, size, mode="bilinear")
    fine = changed + strength * torch.randn_like(changed)
    changed = torch.where(_some(_COARSE, images), coarse, fine)
    return torch.where(_some(_PLAIN, images), images, changed)


def _blurred(images: Tensor) -> Tensor:
    """Return images out of focus, or moved along a line."""
    if torch.rand(()) < 0.5:
        sigma = _BLUR_PX[0] + (_BLUR_PX[1] - _BLUR_PX[0]) * torch.rand(()).item()
        line = torch.arange(-7, 8, device=images.device)
        line = torch.exp(-((line / sigma) ** 2) / 2)
        kernel = line[:, None] * line
    else:
        half = _MOTION_PX // 2
        angle = torch.pi * torch.rand(()).item()
        direction = torch.tensor([torch.sin(torch.tensor(angle)), torch.cos(torch.tensor(angle))])
        places = (half * torch.linspace(-1, 1, 2 * half + 1)[:, None] * direction).round().int()
        kernel = torch.zeros(2 * half + 1, 2 * half + 1, device=images.device)
        kernel[places[:, 0] + half, places[:, 1] + half] = 1.0
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, -1, -1)
    return F.conv2d(images, kernel, padding=kernel.shape[-1] // 2, groups=images.shape[1])


def _some(share: float, images: Tensor) -> Tensor:
    """Return a random choice (N, 1, 1, 1) of about a share of the samples."""
    return torch.rand(len(images), 1, 1, 1, device=images.device) < share
