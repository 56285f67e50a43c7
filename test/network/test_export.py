"""Networks written as model folders: precisions, the check against torch, the command."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from cmr_ros.cli import main
from cmr_ros.errors import InputError
from cmr_ros.model.card import ModelCard
from cmr_ros.model.inference import load_network
from cmr_ros.network.build import build
from cmr_ros.network.checkpoint import save_checkpoint
from cmr_ros.network.config import NetworkConfig, preset
from cmr_ros.network.decoder import DecoderConfig
from cmr_ros.network.export import export
from cmr_ros.network.recovery import Recovery
from support.networks import sphere_template

SIZE = 32


class Tiny(nn.Module):
    """A network in name only, quick to export."""

    def __init__(self, noise=0.0):
        super().__init__()
        torch.manual_seed(0)
        self.noise = noise
        self.maps = nn.Conv2d(3, 22, 3, 4, 1)
        self.norm = nn.BatchNorm2d(22)
        self.mesh = nn.Linear(22, 1026 * 3)
        self.unused = nn.Linear(22, 1026 * 3)

    def forward(self, images):
        maps = self.norm(self.maps(images))
        mesh = self.mesh(maps.mean(dim=(2, 3))).unflatten(1, (-1, 3))
        if self.noise:
            mesh = mesh + self.noise * torch.randn_like(mesh)
        maps = maps.sigmoid()
        return Recovery(meshes=(mesh,), heatmaps=maps[:, :21], silhouette=maps[:, 21:])


@pytest.fixture(scope="module")
def template():
    return sphere_template()


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(2).integers(0, 256, (6, SIZE, SIZE, 3), np.uint8)


def tiny_card(template) -> ModelCard:
    return ModelCard(name="tiny", variant="tiny", template_name=template.name, input_size=SIZE)


@pytest.fixture(scope="module")
def exported(template, pictures, tmp_path_factory):
    """Give the folder and the card of the tiny network in a precision; each is written once."""

    @cache
    def written(precision):
        folder = tmp_path_factory.mktemp(precision)
        return folder, export(Tiny(), template, tiny_card(template), folder, precision, pictures)

    return written


@pytest.mark.parametrize(
    ("precision", "least_mm", "most_mm"),
    [("fp32", 0, 1e-3), ("compact", 1e-4, 1), ("fp16", 1e-4, 1), ("int8", 0.01, 4)],
)
def test_precisions(exported, pictures, precision, least_mm, most_mm):
    folder, card = exported(precision)
    assert card == ModelCard.load(folder / "model.json")
    assert card.precision == precision
    deviation = card.measured["deviation"]
    assert deviation["pictures"] == 6
    assert least_mm <= deviation["vertices_mm_max"] <= most_mm
    assert deviation["vertices_mm_mean"] <= deviation["vertices_mm_max"]
    # What the card says is what run time computes.
    with torch.inference_mode():
        expected = Tiny().eval()(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1)
    apart = load_network(folder)(pictures).vertices_m - 0.2 * expected.meshes[0].numpy()
    worst_mm = 1000 * np.linalg.norm(apart, axis=2).max()
    assert worst_mm == pytest.approx(deviation["vertices_mm_max"], rel=0.05, abs=1e-4)


def test_int8_computes_the_same_on_every_processor(template, pictures, tmp_path):
    """Without VNNI two products of bytes are added in 16 bits, which saturate at 32767."""
    network = Tiny()
    for layer in (network.maps, network.mesh):
        torch.nn.init.uniform_(layer.weight, 0.5, 1)
    bright = np.where(pictures < 32, pictures, 255)
    card = export(network, template, tiny_card(template), tmp_path, "int8", bright)
    model = onnx.load(tmp_path / "model.onnx")
    tensors = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    weights = [w.astype(int) for w in tensors if w.dtype == np.int8 and w.ndim > 1]
    assert [w.shape for w in weights] == [(22, 3, 3, 3), (3078, 22)]
    assert all(2 * 255 * abs(w).max() <= 32767 for w in weights)
    # Nor does it saturate where this test runs.  Without optimisation the layers are computed in
    # floating point, which holds all sums of bytes' products.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(
        tmp_path / "model.onnx", options, providers=["CPUExecutionProvider"]
    )
    network = load_network(tmp_path, providers=("cpu",))
    (exact,) = plain.run(["vertices"], {"image": network.normalised(bright)})
    vertices = network(bright).vertices_m / card.scale_m
    np.testing.assert_allclose(vertices, exact, atol=np.ptp(exact) / 100)


def test_files_shrink_with_precision(exported):
    sizes = [
        (exported(precision)[0] / "model.onnx").stat().st_size
        for precision in ("fp32", "fp16", "int8")
    ]
    assert sizes[1] < 0.6 * sizes[0] and sizes[2] < sizes[1]


def test_nothing_that_run_time_does_not_need(exported):
    folder, _ = exported("fp32")
    assert sorted(path.name for path in folder.iterdir()) == [
        "model.json",
        "model.onnx",
        "template.npz",
    ]
    graph = onnx.load(folder / "model.onnx").graph
    names = {tensor.name for tensor in graph.initializer}
    assert "network.mesh.weight" in names and "network.unused.weight" not in names
    assert [value.name for value in graph.input] == ["image"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param
    # The exporter notes the lines of code that each node came from, with the machine's paths.
    assert b".py" not in (folder / "model.onnx").read_bytes()


def test_what_is_written_is_checked(template, tmp_path):
    with pytest.raises(InputError, match="does not compute what torch computes"):
        export(Tiny(noise=1.0), template, tiny_card(template), tmp_path)


def test_int8_needs_pictures(template, tmp_path):
    with pytest.raises(InputError, match="int8 needs crops"):
        export(Tiny(), template, tiny_card(template), tmp_path, "int8")
    with pytest.raises(InputError, match="no precision 'fp8'"):
        export(Tiny(), template, tiny_card(template), tmp_path, "fp8")


def save(path, config, template):
    torch.manual_seed(0)
    state = {
        "average": build(config, template).state_dict(),
        "config": json.dumps(config.to_dict()),
        "metrics": {"pa_mpjpe_mm": 9.87654},
    }
    save_checkpoint(path, state)


def test_command(template, tmp_path, capsys):
    decoder = DecoderConfig(latent=32, widths=(16, 16, 8, 8), self_regression=False)
    config = replace(preset("g_mobile_lite"), decoder=decoder, input_size=64)
    save(tmp_path / "last.pt", config, template)
    template.save(tmp_path / "template.npz")
    folder = tmp_path / "out"
    call = ["export", str(tmp_path / "last.pt"), "--template", str(tmp_path / "template.npz")]
    assert main([*call, "-o", str(folder), "--joint-cue", "landmarks"]) == 0
    said = capsys.readouterr().out
    assert "out: fp32, outputs vertices" in said
    assert "cmr benchmark noise" in said, "what is still to be done"
    card = load_network(folder).card
    assert (card.name, card.variant, card.joint_cue) == ("out", "g_mobile_lite", "landmarks")
    assert card.measured["held_out_renders"] == {"pa_mpjpe_mm": 9.877}
    assert NetworkConfig.from_dict(card.network) == config
    assert (card.input_size, card.mean, card.scale_m) == (64, (0, 0, 0), 0.2)
    names = {tensor.name for tensor in onnx.load(folder / "model.onnx").graph.initializer}
    assert "network.decoder.heads.3.layer.weight" in names
    assert "network.decoder.heads.0.layer.weight" not in names, "coarse heads are for training"


def test_command_with_another_template(template, tmp_path, capsys):
    config = replace(preset("g_mobile"), input_size=64)
    save(tmp_path / "last.pt", config, template)
    other = replace(
        template, vertices=(*template.vertices[:4], template.vertices[3]),
        faces=(*template.faces[:4], template.faces[3]),
    )  # fmt: skip
    other.save(tmp_path / "template.npz")
    call = ["export", str(tmp_path / "last.pt"), "--template", str(tmp_path / "template.npz")]
    assert main([*call, "-o", str(tmp_path / "out")]) == 2
    assert "trained with another template?" in capsys.readouterr().err
