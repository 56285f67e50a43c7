"""Changed batches: the truth moves with the image, and what is covered is not seen."""

import numpy as np
import pytest
import torch

from cmr_ros.training import augment
from cmr_ros.training.batches import Batch

SIZE = 128


@pytest.fixture
def batch():
    """Dark images with bright squares at the joints, seen by cameras of three focal lengths."""
    generator = torch.Generator().manual_seed(0)
    count = 6
    joints = torch.rand(count, 21, 3, generator=generator) * torch.tensor([0.1, 0.1, 0.05])
    joints = joints + torch.tensor([-0.05, -0.05, 0.6])
    matrices = torch.zeros(count, 3, 3)
    matrices[:, 0, 0] = matrices[:, 1, 1] = torch.tensor([300.0, 400, 500]).repeat(2)
    matrices[:, :2, 2], matrices[:, 2, 2] = (SIZE - 1) / 2, 1
    images = np.full((count, SIZE, SIZE, 3), 30, np.uint8)
    joints_px = projected(joints, matrices)
    for image, pixels in zip(images, joints_px.round().int().tolist(), strict=True):
        for x, y in pixels:
            image[y - 2 : y + 3, x - 2 : x + 3] = 220
    mask = 255 * (images[..., 0] > 30).reshape(count, SIZE // 2, 2, SIZE // 2, 2).mean(axis=(2, 4))
    return Batch(
        vertices=joints, joints=joints, joints_px=joints_px, matrices=matrices,
        mask=torch.from_numpy(mask.astype(np.uint8)), weights=torch.ones(count, 21),
        images=torch.from_numpy(images),
    )  # fmt: skip


def projected(points, matrices):
    pixels = points @ matrices.mT
    return pixels[..., :2] / pixels[..., 2:]


def test_the_truth_moves_with_the_image(batch, monkeypatch):
    monkeypatch.setattr(augment, "_PLAIN", 1.0)
    monkeypatch.setattr(augment, "_COVERED", 0.0)
    torch.manual_seed(1)
    changed = augment.augmented(batch)
    apart = changed.joints_px - projected(changed.joints, changed.matrices)
    assert apart.abs().max() < 0.01
    moved = (changed.joints_px - batch.joints_px).norm(dim=2)
    assert moved.mean() > 4, "the views are others"
    distances = changed.joints.norm(dim=2) - batch.joints.norm(dim=2)
    assert distances.abs().max() < 1e-5, "the camera is turned, not moved"
    seen = 0
    for image, mask, pixels in zip(changed.images, changed.mask, changed.joints_px, strict=True):
        for x, y in pixels.round().int().tolist():
            if 3 <= x < SIZE - 3 and 3 <= y < SIZE - 3:
                assert image[y, x].min() > 120 and mask[y // 2, x // 2] > 60, (x, y)
                seen += 1
    assert seen > 100


def test_what_is_covered_leaves_the_mask(batch, monkeypatch):
    monkeypatch.setattr(augment, "_COVERED", 1.0)
    images, mask = torch.zeros(6, 3, SIZE, SIZE), torch.full((6, 1, SIZE // 2, SIZE // 2), 255.0)
    images[::2] = 1
    covered, seen = augment._covered(images, mask)
    for now, before, left in zip(covered, images, seen, strict=True):
        hidden = (now != before).float().mean()
        assert 0.003 < hidden < 0.09
        assert (left == 0).float().mean() == pytest.approx(hidden.item(), abs=0.01)


def test_light_blur_and_noise_change_images_and_nothing_else(batch, monkeypatch):
    for name in ("_COVERED", "_PLAIN"):
        monkeypatch.setattr(augment, name, 0.0)
    changed = augment.augmented(batch, augment.Placing(0.0, 0.0, 0.0))
    assert (changed.images != batch.images).flatten(1).any(dim=1).all()
    for name in ("joints", "joints_px", "mask", "matrices", "weights"):
        assert torch.allclose(getattr(changed, name).float(), getattr(batch, name).float(), atol=1)


def test_the_seed_decides(batch):
    first, again, other = (torch.manual_seed(s) and augment.augmented(batch) for s in (3, 3, 4))
    assert torch.equal(first.images, again.images) and torch.equal(first.joints, again.joints)
    assert not torch.equal(first.images, other.images)


def test_half_precision_does_not_reach_the_truth(batch):
    with torch.autocast("cpu", torch.bfloat16):
        changed = augment.augmented(batch)
    assert changed.joints.dtype == changed.joints_px.dtype == torch.float32
    assert (changed.joints_px - projected(changed.joints, changed.matrices)).abs().max() < 0.01
