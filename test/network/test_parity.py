"""The published networks against what the authors' own code computed."""

import numpy as np
import pytest
import torch

from cmr_ros.model.inference import load_network
from cmr_ros.network.config import preset
from cmr_ros.network.export import card_of, export
from cmr_ros.network.losses import Targets, mesh_loss, recovery_losses
from cmr_ros.network.published import load_published, published_state
from cmr_ros.network.recovery import Recovery
from support.networks import (
    needs_reference,
    reference,
    reference_shapes,
    reference_template,
    rule_made_state,
)

pytestmark = needs_reference
SMALL = ["sg_resnet18", "pg_resnet18", "g_resnet18", "pg_resnet18_body"]
LARGE = [pytest.param(name, marks=pytest.mark.slow) for name in ("sg_resnet50", "pg_resnet50")]


def images() -> np.ndarray:
    return np.random.default_rng(7).standard_normal((2, 3, 224, 224)).astype(np.float32)


@pytest.fixture(scope="module")
def loaded(request, tmp_path_factory):
    """A variant's name, and its network as it comes out of a released file."""
    name = request.param
    config = preset(name)
    path = tmp_path_factory.mktemp(name) / "checkpoint.pt"
    torch.save({"model_state_dict": rule_made_state(reference_shapes()[name])}, path)
    network = load_published(path, config, reference_template(config.joint_count)).eval()
    path.unlink()
    return name, network


def run(network) -> Recovery:
    with torch.inference_mode():
        return network(torch.from_numpy(images()))


def assert_close(values, name: str):
    expected = reference()[name]
    values = np.asarray(values)
    if "mesh" not in name:
        values = values[..., ::4, ::4]
    assert values.shape == expected.shape
    assert np.abs(values - expected).max() <= 1e-4 * np.abs(expected).max(), name


def named_maps(recovery: Recovery) -> dict[str, torch.Tensor]:
    maps = {"uv_pred": recovery.heatmaps, "mask_pred": recovery.silhouette[:, 0]}
    maps |= zip(("uv_prior", "uv_prior2"), recovery.prior_heatmaps, strict=False)
    maps |= zip(
        ("mask_prior",), (prior[:, 0] for prior in recovery.prior_silhouettes), strict=False
    )
    return maps


@pytest.mark.parametrize("loaded", SMALL + LARGE, indirect=True)
class TestPublished:
    def test_names_and_shapes(self, loaded):
        name, network = loaded
        own = {key: tuple(value.shape) for key, value in published_state(network).items()}
        assert own == reference_shapes()[name]

    def test_outputs(self, loaded):
        name, network = loaded
        recovery = run(network)
        for level, mesh in enumerate(recovery.meshes):
            assert_close(mesh, f"{name}/mesh{level}")
        maps = named_maps(recovery)
        prefix = f"{name}/"
        stored = {key.removeprefix(prefix) for key in reference() if key.startswith(prefix)}
        assert set(maps) == {key for key in stored if "mesh" not in key and "loss" not in key}
        for key, values in maps.items():
            assert_close(values, f"{name}/{key}")


@pytest.mark.parametrize("loaded", SMALL, indirect=True)
def test_losses(loaded):
    name, network = loaded
    recovery = run(network)
    rng = np.random.default_rng(11)
    meshes = [rng.standard_normal(mesh.shape).astype(np.float32) for mesh in recovery.meshes]
    heatmaps = rng.random(recovery.heatmaps.shape, dtype=np.float32)
    silhouette = rng.random(recovery.silhouette[:, 0].shape, dtype=np.float32)
    targets = Targets(
        tuple(map(torch.from_numpy, meshes)),
        torch.from_numpy(heatmaps),
        torch.from_numpy(silhouette)[:, None],
    )
    faces = torch.from_numpy(reference()["template/faces0"].astype(np.int64))
    losses = recovery_losses(recovery, targets, faces)
    published = {
        key.removeprefix(f"{name}/loss/"): float(value)
        for key, value in reference().items()
        if key.startswith(f"{name}/loss/")
    }

    def close(value, expected):
        return float(value) == pytest.approx(expected, rel=1e-5)

    assert close(sum(losses.values()), published["loss"])
    assert close(losses["normal"], published["normal_loss"])
    assert close(losses["edge"], published["edge_loss"])
    heatmap = sum(value for key, value in published.items() if key.startswith("uv"))
    assert close(losses["heatmap"], heatmap)
    mask = sum(value for key, value in published.items() if key.startswith("mask"))
    assert close(losses["silhouette"], mask)
    # What the authors log is the finest mesh's part.
    assert close(mesh_loss(recovery.meshes[:1], targets.meshes[:1]), published["l1_loss"])


@pytest.mark.slow  # test_import_checkpoint does the same with one of them
@pytest.mark.parametrize("loaded", SMALL + LARGE, indirect=True)
def test_exported(loaded, tmp_path):
    name, network = loaded
    config = preset(name)
    template = reference_template(config.joint_count)
    # The reference was computed on 224 pixels, the body's too.
    config = type(config).from_dict(config.to_dict() | {"input_size": 224})
    export(network, template, card_of(config, name, template), tmp_path)
    outputs = load_network(tmp_path, providers=("cpu",)).engine(images())
    assert_close(outputs["vertices"], f"{name}/mesh0")
    assert_close(outputs["heatmaps"], f"{name}/uv_pred")
    assert_close(outputs["silhouette"][:, 0], f"{name}/mask_pred")
