"""Networks by configuration: shapes, switches, and that training lowers the losses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmr_ros.errors import InputError
from cmr_ros.network.aggregation import Aggregation, hand_groups
from cmr_ros.network.build import build
from cmr_ros.network.config import PRESETS, NetworkConfig, preset
from cmr_ros.network.decoder import DecoderConfig, SpiralConv, SpiralDecoder, UpSampling
from cmr_ros.network.losses import Targets, edge_loss, map_loss, normal_loss, recovery_losses
from support.networks import sphere_template

LIGHT = DecoderConfig(latent=32, widths=(16, 16, 8, 8))


@pytest.fixture(scope="module")
def template():
    return sphere_template()


@pytest.mark.parametrize("encoder", ["resnet18", "mobile"])
@pytest.mark.parametrize("variant", ["SG", "PG", "G", "P"])
def test_shapes(template, variant, encoder):
    config = replace(preset(f"{variant.lower()}_{encoder}"), decoder=LIGHT, input_size=64)
    network = build(config, template).eval()
    with torch.inference_mode():
        recovery = network(torch.rand(2, 3, 64, 64))
    assert [mesh.shape for mesh in recovery.meshes] == [
        (2, len(vertices), 3) for vertices in template.vertices[:-1]
    ]
    cells = 32 if encoder == "resnet18" else 16
    assert recovery.heatmaps.shape == (2, 21, cells, cells)
    assert recovery.silhouette.shape == (2, 1, cells, cells)
    assert len(recovery.prior_silhouettes) == (variant == "SG")
    stages = {"SG": 3, "PG": 3, "P": 3, "G": 2}[variant] - (encoder == "mobile")
    assert len(recovery.prior_heatmaps) + len(recovery.prior_silhouettes) == stages - 1
    for maps in (recovery.heatmaps, recovery.silhouette, *recovery.prior_heatmaps):
        assert 0 <= maps.min() and maps.max() <= 1


def test_body_by_configuration_alone():
    config = replace(preset("pg_resnet18_body"), decoder=LIGHT, input_size=64)
    network = build(config, sphere_template(joint_count=17)).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 64, 64)).heatmaps.shape == (1, 17, 32, 32)
    assert config.scale_m == 3.5 and len(config.groups) == 10


@pytest.mark.parametrize("inception", [True, False])
@pytest.mark.parametrize("scales", [(False, False), (True, False), (True, True)])
def test_decoder_switches(template, inception, scales):
    """The rows of the supplement's Table 1, and those it leaves out."""
    multi_scale, self_regression = scales
    config = replace(
        LIGHT, inception=inception, multi_scale=multi_scale, self_regression=self_regression
    )
    decoder = SpiralDecoder(config, template)
    meshes = decoder(torch.randn(3, 32))
    assert len(meshes) == (4 if multi_scale else 1)
    assert meshes[0].shape == (3, 1026, 3)
    names = set(decoder.state_dict())
    assert ("de_layers.1.conv_d3.layer.weight" in names) is inception
    width_in = decoder.state_dict()[
        "de_layers.2.conv1.layer.weight" if inception else "de_layers.2.layer.weight"
    ].shape[1]
    assert width_in == (16 + 3 * self_regression) * (1 if inception else 9)


def test_self_regression_averages_with_the_coarser_mesh(template):
    decoder = SpiralDecoder(LIGHT, template)
    for head in decoder.heads:
        torch.nn.init.zeros_(head.layer.weight)
        torch.nn.init.zeros_(head.layer.bias)
    torch.nn.init.ones_(decoder.heads[0].layer.bias)
    values = [float(mesh.detach().mean()) for mesh in decoder(torch.randn(1, 32))]
    assert values == pytest.approx([1 / 8, 1 / 4, 1 / 2, 1])


def test_levels_correct_a_start_that_is_one_mesh(template):
    decoder = SpiralDecoder(replace(LIGHT, start=16), template)
    latent = torch.randn(2, 32)
    starts = decoder.start(latent)
    for head in decoder.heads:
        torch.nn.init.zeros_(head.layer.weight)
        torch.nn.init.zeros_(head.layer.bias)
    meshes = decoder(latent)
    assert all(map(torch.equal, meshes, reversed(starts)))
    row, column, value = template.down[0]
    coarser = np.zeros((2, len(template.vertices[1]), 3), np.float32)
    np.add.at(coarser, (slice(None), row), value[:, None] * meshes[0].detach().numpy()[:, column])
    assert np.allclose(meshes[1].detach().numpy(), coarser, atol=1e-6)
    torch.nn.init.ones_(decoder.heads[0].layer.bias)
    with torch.inference_mode():
        pairs = zip(decoder(latent), meshes, strict=True)
        corrected = [float((a - b).mean()) for a, b in pairs]
    assert corrected == pytest.approx([1 / 8, 1 / 4, 1 / 2, 1], abs=1e-6)


def test_attention_starts_switched_off(template):
    with_attention = SpiralDecoder(LIGHT, template)
    without = SpiralDecoder(replace(LIGHT, attention=False), template)
    without.load_state_dict(with_attention.state_dict(), strict=False)
    latent = torch.randn(2, 32)
    assert torch.equal(with_attention(latent)[0], without(latent)[0])


@pytest.mark.parametrize("training", [True, False])
def test_spiral_convolution_is_gather_then_product(training):
    layer = SpiralConv(4, 5, 3).train(training)
    features, spiral = torch.randn(2, 7, 4), torch.randint(0, 7, (7, 3))
    expected = layer.layer(features[:, spiral].flatten(2))
    assert torch.allclose(layer(features, spiral), expected, atol=1e-6)


def test_up_sampling_is_the_sparse_product(template):
    row, column, value = template.up[0]
    matrix = np.zeros((len(template.vertices[0]), len(template.vertices[1])), np.float32)
    np.add.at(matrix, (row, column), value)
    features = torch.randn(2, matrix.shape[1], 5)
    shuffled = np.random.default_rng(0).permutation(len(row))
    up = UpSampling(tuple(part[shuffled] for part in template.up[0]), len(matrix))
    assert torch.allclose(up(features), torch.from_numpy(matrix) @ features, atol=1e-6)


def test_groups_are_sums():
    maps = torch.rand(1, 21, 4, 4)
    groups = hand_groups("tips", "parts", "levels", "sums")
    assert len(groups) == 10 + 5 + 4 + 1
    out = Aggregation(21, groups)(maps)
    assert torch.allclose(out[:, :21], maps)
    assert torch.allclose(out[:, 21], maps[:, 4] + maps[:, 8])
    assert torch.allclose(out[:, 31], maps[:, 1:5].sum(dim=1))
    assert torch.allclose(out[:, 36], maps[:, [1, 5, 9, 13, 17]].sum(dim=1))
    assert torch.allclose(out[:, -1], maps.sum(dim=1), atol=1e-5)


def test_merged_weights_convolve_groups_without_making_their_maps():
    aggregation, maps = Aggregation(21, hand_groups("tips", "parts")), torch.rand(2, 21, 5, 5)
    weight = torch.randn(3, 36, 3, 3)
    expected = torch.conv2d(aggregation(maps), weight)
    found = torch.conv2d(maps, aggregation.merged(weight))
    assert torch.allclose(found, expected, atol=1e-4)


def test_a_decoder_of_few_neighbours_takes_the_nearest(template):
    decoder = SpiralDecoder(replace(LIGHT, neighbours=4), template)
    nearest = torch.from_numpy(template.spirals[0][:, :4].astype(np.int64))
    assert torch.equal(decoder.spiral3, nearest)
    assert all(head.layer.in_features % 4 == 0 for head in decoder.heads)
    assert decoder(torch.randn(1, 32))[0].shape == (1, len(template.vertices[0]), 3)


def test_losses_vanish_on_the_truth_and_have_known_values(template):
    faces = torch.from_numpy(template.faces[0].astype(np.int64))
    mesh = torch.from_numpy(template.vertices[0])[None]
    assert edge_loss(mesh, mesh, faces) == 0
    assert normal_loss(mesh, mesh, faces) == pytest.approx(0, abs=1e-5)
    edges = (mesh[:, faces] - mesh[:, faces].roll(1, 2)).norm(dim=3)
    assert edge_loss(2 * mesh, mesh, faces) == pytest.approx(float(edges.mean()), rel=1e-5)
    half = torch.full((1, 1, 4, 4), 0.5)
    assert map_loss(half, torch.ones_like(half)) == pytest.approx(np.log(2))


@pytest.mark.parametrize("name", ["sg_resnet18", "sg_mobile"])
def test_training_lowers_the_losses(template, name):
    torch.manual_seed(0)
    config = replace(preset(name), decoder=LIGHT, input_size=64)
    network = build(config, template)
    images = torch.rand(2, 3, 64, 64)
    cells = network.eval()(images).heatmaps.shape[-1]
    targets = Targets(
        tuple(torch.from_numpy(v).expand(2, -1, -1) for v in template.vertices[:-1]),
        torch.zeros(2, 21, cells, cells),
        torch.ones(2, 1, cells, cells),
    )
    faces = torch.from_numpy(template.faces[0].astype(np.int64))
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    totals = []
    for _ in range(6):
        loss = sum(recovery_losses(network(images), targets, faces).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        totals.append(float(loss.detach()))
    assert totals[-1] < 0.9 * totals[0]


@pytest.mark.parametrize("name", PRESETS)
def test_configuration_survives_json(name):
    import json

    values = json.loads(json.dumps(preset(name).to_dict()))
    assert NetworkConfig.from_dict(values) == preset(name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: preset("sg_vgg"), "no network 'sg_vgg'; choose from"),
        (lambda: NetworkConfig(variant="X"), "no variant 'X'"),
        (lambda: NetworkConfig(input_size=225), "multiple of 32"),
        (lambda: NetworkConfig(joint_count=17), "beyond the 17 joints"),
        (lambda: hand_groups("toes"), "no aggregation group 'toes'"),
        (lambda: DecoderConfig(multi_scale=False), "needs multi-scale"),
        (lambda: NetworkConfig.from_dict({"depth": 3}), "unknown entry 'depth'"),
        (lambda: NetworkConfig.from_dict({"decoder": 3}), "not a network configuration"),
        (lambda: NetworkConfig.from_dict({"joint_count": "x"}), "not a network configuration"),
        (lambda: SpiralDecoder(DecoderConfig(widths=(8,)), sphere_template()), "one width"),
    ],
)
def test_wrong_configurations(make, message):
    with pytest.raises(InputError, match=message):
        make()
