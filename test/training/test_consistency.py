"""The loss between a mesh and what its image shows: next to none for one that fits."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmr_ros.training import consistency
from cmr_ros.training.batches import Batch
from cmr_ros.training.consistency import consistency_loss
from support.registration_hands import SIZE_PX, placed, project, silhouette

HANDS = 6
RING = 8  # vertices around either end of each bone's tube


@pytest.fixture(scope="module")
def batch():
    """Hands of tubes before cameras with square pixels, and what those show."""
    rng = np.random.default_rng(4)
    hands = []
    while len(hands) < HANDS:
        vertices, joints, faces, matrix, root = placed(rng)
        matrix = np.array([[matrix[0, 0], 0, 111.5], [0, matrix[0, 0], 111.5], [0, 0, 1]])
        pixels = project(vertices + root, matrix)
        if pixels.min() < 12 or pixels.max() > SIZE_PX - 12:
            continue
        mask = silhouette(pixels, faces).reshape(112, 2, 112, 2).mean((1, 3))
        hands.append((vertices + root, joints + root, project(joints + root, matrix), 255 * mask))
    vertices, joints, joints_px, masks = (
        torch.tensor(np.array(part), dtype=torch.float32) for part in zip(*hands, strict=True)
    )
    return Batch(vertices, joints, joints_px, masks.round().byte(), torch.ones(HANDS, 21))


@pytest.fixture(scope="module")
def regressor(batch):
    """Joints are the middles of the rings where their bones end."""
    rows = torch.zeros(21, batch.vertices.shape[1])
    rows[0, :RING] = 1 / RING
    for joint in range(1, 21):
        rows[joint, (2 * joint - 1) * RING : 2 * joint * RING] = 1 / RING
    assert torch.allclose(rows @ batch.vertices, batch.joints, atol=1e-5)
    return rows


def as_thick(vertices, factor):
    """Return the hands with tubes that are so many times as thick."""
    rings = vertices.unflatten(1, (-1, RING))
    middles = rings.mean(dim=2, keepdim=True)
    return (middles + factor * (rings - middles)).flatten(1, 2)


def loss_px(vertices, regressor, batch):
    return SIZE_PX * consistency_loss(vertices, regressor, batch, SIZE_PX).item()


def test_a_mesh_that_fits_costs_next_to_nothing_wherever_it_is(batch, regressor):
    fits = loss_px(batch.vertices, regressor, batch)
    assert fits < 0.5
    farther = 1.2 * batch.vertices  # as large in the image
    assert loss_px(farther, regressor, batch) == pytest.approx(fits, abs=1e-3)


@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_fingers_of_another_thickness_are_as_thick_as_the_silhouettes_after_training(
    batch, regressor, factor
):
    log_factor = torch.tensor(np.log(factor), dtype=torch.float32, requires_grad=True)
    optimizer = torch.optim.Adam([log_factor], 0.03)
    for _ in range(60):
        optimizer.zero_grad()
        vertices = as_thick(batch.vertices, log_factor.exp())
        consistency_loss(vertices, regressor, batch, SIZE_PX).backward()
        optimizer.step()
    assert log_factor.exp().item() == pytest.approx(1, abs=0.15)


def test_joints_that_are_not_where_they_are_seen_cost(batch, regressor):
    bent = batch.vertices.clone()
    bent[..., 0] += 8 * (bent[..., 1] - bent[:, :1, 1]) ** 2
    assert loss_px(bent, regressor, batch) > 3


def test_what_covers_the_hand_makes_no_finger_shorter(batch, regressor, monkeypatch):
    mask = batch.mask.clone()
    mask[:, :, :56] = 0
    covered = replace(batch, mask=mask)
    assert loss_px(batch.vertices, regressor, covered) < 1
    monkeypatch.setattr(consistency, "_CUT_OFF", 9.0)
    assert loss_px(batch.vertices, regressor, covered) > 5, "what the silhouette lacks counts"
    monkeypatch.undo()
    empty = replace(batch, mask=torch.zeros_like(mask))
    assert loss_px(batch.vertices, regressor, empty) < 0.01


def test_crops_from_elsewhere_do_not_count(batch, regressor):
    elsewhere = replace(batch, weights=torch.zeros_like(batch.weights))
    vertices = as_thick(batch.vertices, 3).requires_grad_()
    loss = consistency_loss(vertices, regressor, elsewhere, SIZE_PX)
    loss.backward()
    assert loss.item() == 0 and not vertices.grad.any()
