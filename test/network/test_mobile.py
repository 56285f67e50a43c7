"""The mobile network: what goes in and out, and that it learns."""

from dataclasses import replace

import pytest
import torch

from cmr_ros.geometry.skeleton import TIPS
from cmr_ros.network.build import build
from cmr_ros.network.config import preset, preset_name
from cmr_ros.network.losses import LossWeights
from cmr_ros.network.map_encoder import peak_features
from cmr_ros.network.mobile import TIP_REACH
from cmr_ros.training.batches import Batch
from cmr_ros.training.objective import Objective, gaussians
from support.networks import sphere_template

SIZE = 64


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def network(name="g_mobile"):
    return build(replace(preset(name), input_size=SIZE), sphere_template())


def batch(count=4):
    generator = torch.Generator().manual_seed(1)
    vertices = torch.from_numpy(sphere_template().vertices[0]) + torch.tensor([0, 0, 0.5])
    vertices = vertices + 0.02 * torch.randn(count, 1, 3, generator=generator)
    return Batch(
        vertices=vertices,
        joints=vertices[:, :21],
        joints_px=SIZE * torch.rand(count, 21, 2, generator=generator),
        mask=torch.randint(0, 2, (count, SIZE // 2, SIZE // 2), generator=generator).byte() * 255,
        weights=torch.ones(count, 21),
        images=torch.randint(0, 256, (count, SIZE, SIZE, 3), generator=generator).byte(),
    )


@pytest.mark.parametrize(
    ("name", "pose_priors", "silhouette_priors"),
    [
        ("g_mobile", 0, 0),
        ("sg_mobile", 0, 1),
        ("pg_mobile", 1, 0),
        ("p_mobile", 1, 0),
        ("g_mobile_lite", 0, 0),
    ],
)
def test_outputs_of_every_variant(name, pose_priors, silhouette_priors):
    recovery = network(name).eval()(torch.rand(2, 3, SIZE, SIZE))
    side = SIZE // 4
    assert [m.shape[1] for m in recovery.meshes] == [1026, 258, 66, 18]
    assert recovery.heatmaps.shape == (2, 21, side, side)
    assert recovery.silhouette.shape == (2, 1, side, side)
    assert [m.shape for m in recovery.prior_heatmaps] == [(2, 21, side, side)] * pose_priors
    assert [m.shape for m in recovery.prior_silhouettes] == [(2, 1, side, side)] * silhouette_priors
    for maps in (recovery.heatmaps, recovery.silhouette, recovery.presence, recovery.handedness):
        assert 0 <= maps.min() and maps.max() <= 1
    assert recovery.landmarks.shape == (2, 21, 2)


@pytest.mark.parametrize("name", ["g_mobile", "g_mobile_lite", "sg_mobile_lite", "pg_resnet50"])
def test_a_configuration_knows_its_preset(name):
    assert preset_name(replace(preset(name), input_size=SIZE)) == name


def test_aggregated_maps_reach_the_mesh():
    net = network().eval()
    features = net.trunk(torch.rand(1, 3, SIZE, SIZE))
    before = net.recover(features)
    with torch.no_grad():
        net.stages[0].head.bias += 2
    after = net.recover(features)
    assert (before.meshes[0] - after.meshes[0]).abs().max() > 1e-5


def test_the_encoder_gets_the_places_of_the_peaks():
    joints_px = torch.rand(2, 21, 2) * 40 + 12
    maps = gaussians(joints_px, SIZE, SIZE // 4, sigma_px=5.0).requires_grad_()
    peaks = peak_features(maps)
    columns, rows, heights = peaks.unflatten(1, (3, 21)).unbind(1)
    span = SIZE - 4  # from the first cell's centre to the last one's
    for found, true in ((columns, joints_px[..., 0]), (rows, joints_px[..., 1])):
        assert torch.allclose((found + 1) / 2 * span + 1.5, true, atol=0.3)
    assert heights.min() > 0.8 and heights.max() <= 1
    assert not peaks.requires_grad
    assert torch.isfinite(peak_features(torch.zeros(1, 21, 16, 16))).all()


def test_landmarks_reach_to_the_ends_of_the_fingers():
    net = network().eval()
    with torch.no_grad():
        features = net.trunk(torch.rand(3, 3, SIZE, SIZE))
        released = net.landmark_heads(features.pooled).landmarks[..., :2]
        ours = net.recover(features).landmarks * SIZE + 0.5
    bones = [points[:, TIPS] - points[:, [t - 1 for t in TIPS]] for points in (released, ours)]
    assert torch.allclose(bones[1], bones[0] * torch.tensor(TIP_REACH)[:, None], atol=1e-3)
    others = [joint for joint in range(21) if joint not in TIPS]
    assert torch.allclose(ours[:, others], released[:, others], atol=1e-3)


def test_without_landmark_heads_there_is_nothing_to_read_from_them():
    config = replace(preset("g_mobile"), input_size=SIZE, landmark_heads=False)
    net = build(config, sphere_template()).eval()
    recovery = net(torch.rand(1, 3, SIZE, SIZE))
    assert recovery.landmarks is recovery.presence is recovery.handedness is net.nudge is None


def test_a_nudge_moves_the_mesh_nearer_to_the_released_joints():
    net = network().eval()
    with torch.no_grad():
        features = net.trunk(torch.rand(2, 3, SIZE, SIZE))
        first = net.recover(features)
    before, heatmaps = first.meshes[0], first.heatmaps
    joints = before[:, :21]  # the sphere's regressor picks its first vertices
    apart = torch.linspace(-0.05, 0.05, 21)[:, None] * torch.tensor([0.0, 1, 0])
    released = 1.3 * (joints + apart) + 0.7  # however large, and wherever it is centred
    assert torch.equal(net.recover(features, released).mesh, before)  # untrained: no move

    optimizer = torch.optim.Adam(net.nudge.parameters(), 1e-2)
    for _ in range(60):
        move = net.nudge(released, before, heatmaps)
        loss = (move[:, :21] - apart).abs().mean() + move[:, 21:].abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = net.recover(features, released).mesh
    left = (after[:, :21] - before[:, :21] - apart).abs().mean()
    assert left < 0.5 * apart.abs().mean()
    own = net.recover(features).mesh  # this head's own joints are others
    assert (own - after).abs().max() > 1e-4


def test_a_nudge_learns_apart_from_the_decoder():
    net = network()
    recovery = net(torch.rand(2, 3, SIZE, SIZE))
    recovery.nudged.abs().sum().backward()
    assert net.nudge.layers[-1].bias.grad.abs().max() > 0
    others = [p for name, p in net.named_parameters() if not name.startswith("nudge")]
    assert all(p.grad is None for p in others)


@pytest.mark.parametrize("head_error", [0.0, 0.5, 1.0])
def test_training_brings_released_joints_nearer_to_the_truth(head_error):
    net, batch_ = network(), batch(64)
    objective = Objective(net, sphere_template(), LossWeights(), head_error)
    pooled = torch.rand(64, 1152)
    released = net.released_joints(pooled)
    true = batch_.joints / net.config.scale_m
    error, left = (
        (x - x.mean(dim=1, keepdim=True)).norm(dim=(1, 2))
        for x in (released - true, objective.released_joints(pooled, batch_) - true)
    )
    share = left / error
    assert head_error - 1e-4 <= share.min() and share.max() <= 1 + 1e-4
    if head_error < 1:
        assert share.max() - share.min() > 0.5 * (1 - head_error)


def test_photographs_show_what_the_released_head_does_predict():
    net, batch_ = network(), batch(8)
    batch_.weights[4:] = 0.5
    objective = Objective(net, sphere_template(), LossWeights(), head_error=0.0)
    pooled = torch.rand(8, 1152)
    found = net.released_joints(pooled)
    found = found - found.mean(dim=1, keepdim=True)
    moved = (objective.released_joints(pooled, batch_) - found).abs().amax(dim=(1, 2))
    assert moved[4:].max() == 0 < moved[:4].min()


def test_joints_that_weigh_nothing_teach_nothing():
    net, batch_ = network(), batch(4)
    objective = Objective(net, sphere_template(), LossWeights(location=0.02, joint=1.0))

    def gradient(changed):
        net.zero_grad()
        torch.manual_seed(0)
        sum(objective(changed).values()).backward()
        return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])

    batch_.weights[:, 8] = 0
    batch_.weights[3] = 0
    before = gradient(batch_)
    batch_.joints_px[:, 8] += 30
    batch_.joints_px[3] -= 30
    batch_.vertices[3] *= 2
    batch_.joints[3] *= 2
    batch_.mask[3] = 255 - batch_.mask[3]
    assert torch.equal(gradient(batch_), before)
    batch_.joints_px[0, 7] += 30
    assert not torch.equal(gradient(batch_), before)


def test_training_lowers_every_loss_and_leaves_the_released_heads_alone():
    net = network()
    heads = {name: value.clone() for name, value in net.landmark_heads.state_dict().items()}
    weights = LossWeights(location=0.02, joint=1.0)
    objective = Objective(net, sphere_template(), weights)
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], 1e-3)
    first = objective(batch())
    for _ in range(15):
        losses = objective(batch())
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    assert set(losses) == {
        "mesh", "heatmap", "silhouette", "normal", "edge", "location", "nudge", "joint"
    }  # fmt: skip
    for name in ("mesh", "heatmap", "silhouette", "location", "nudge", "joint"):
        assert losses[name] < first[name], name
    for name, value in net.landmark_heads.state_dict().items():
        assert torch.equal(value, heads[name])
