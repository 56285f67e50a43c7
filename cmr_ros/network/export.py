"""Writes a network as a model folder, checked against torch after writing."""

from __future__ import annotations

import logging
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from cmr_ros.errors import InputError
from cmr_ros.files.output import write_bytes
from cmr_ros.model.card import UNMEASURED, ModelCard
from cmr_ros.model.choices import PRECISIONS, Precision
from cmr_ros.model.inference import HandNetwork, load_network
from cmr_ros.model.template import HandTemplate
from cmr_ros.network.compact import compacted
from cmr_ros.network.config import NetworkConfig
from cmr_ros.network.engine import TorchEngine
from cmr_ros.network.runtime import RuntimeNetwork

_OPSET = 18
#: How far fp32 outputs may be from torch's, relative to their largest value.
_TOLERANCE = 1e-4


def card_of(
    config: NetworkConfig, variant: str, template: HandTemplate, name: str | None = None, **entries
) -> ModelCard:
    """Return the card of a network.

    Args:
        config: of the network.
        variant: name of its preset.
        template: the network was made for.
        name: of the model, by default the variant.
        **entries: of the card that do not follow from the configuration.
    """
    return ModelCard(
        name=name or variant,
        variant=variant,
        template_name=template.name,
        input_size=config.input_size,
        mean=config.mean,
        std=config.std,
        scale_m=config.scale_m,
        heatmap_sigma_px=config.heatmap_sigma_px,
        network=config.to_dict(),
        **entries,
    )


def export(
    network: nn.Module,
    template: HandTemplate,
    card: ModelCard,
    folder: Path | str,
    precision: Precision = "fp32",
    pictures: np.ndarray | None = None,
) -> ModelCard:
    """Write a model folder and return its card, with the deviation from torch among `measured`.

    Args:
        network: what to export.
        template: of its meshes.
        card: of the model; outputs, precision and the deviation are filled in.
        folder: made where it is missing.
        precision: of the weights in the file.
        pictures: (N, S, S, 3) uint8 RGB crops to measure the deviation on, noise if there are none;
            int8 chooses its ranges by them and needs some.

    Returns:
        The card as it was written.

    Raises:
        InputError: The precision is unknown, int8 has no crops, the crops do not fit the network,
            or what was written does not compute what torch computes.
    """
    if precision not in PRECISIONS:
        raise InputError(f"no precision {precision!r}; choose from {', '.join(PRECISIONS)}")
    if precision == "int8" and pictures is None:
        raise InputError("int8 needs crops like those it will see, to choose its ranges by")
    if pictures is None:
        size = card.input_size
        pictures = np.random.default_rng(0).integers(0, 256, (4, size, size, 3), np.uint8)
    runtime = RuntimeNetwork(network.cpu())
    reference = HandNetwork(TorchEngine(runtime, "torch"), template, card)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model, outputs = _graph(runtime, card.input_size)
    card = replace(card, outputs=outputs, precision=precision)
    path = folder / "model.onnx"
    if precision == "int8":
        _quantize(model, path, reference.normalised(pictures))
    else:
        change = {"fp16": _halved, "compact": compacted}.get(precision)
        write_bytes(path, (change(model) if change else model).SerializeToString())
    template.save(folder / "template.npz")
    card.save(folder / "model.json")
    written = load_network(folder, providers=("cpu",), batch_sizes=(1, 2))
    deviation = _deviation(written, reference, pictures)
    if precision == "fp32" and deviation["relative"] > _TOLERANCE:
        raise InputError(f"{path} does not compute what torch computes: {deviation}")
    card = replace(card, measured=card.measured | {"deviation": deviation})
    card.save(folder / "model.json")
    return card


def describe(card: ModelCard) -> str:
    """Return in words how far an exported network is from torch, and what it still lacks."""
    deviation = card.measured["deviation"]
    text = (
        f"{card.name}: {card.precision}, outputs {', '.join(card.outputs)}; from torch in fp32 on "
        f"{deviation['pictures']} images: vertices {deviation['vertices_mm_mean']:.4f} mm on "
        f"average, {deviation['vertices_mm_max']:.4f} mm at most; heatmaps "
        f"{deviation['heatmaps_max']:.1e}, silhouette {deviation['silhouette_max']:.1e} at most"
    )
    return text if card.noise else f"{text}\n{UNMEASURED}"


def _graph(runtime: RuntimeNetwork, size: int) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """Return the graph of a network, its batch dynamic, and the names of its outputs.

    Parameters keep their names and values: engines fold them at load, and torch finds them again.
    """
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass
    from onnxscript import optimizer

    image = torch.zeros(2, 3, size, size)
    names = tuple(runtime(image[:1]))
    with warnings.catch_warnings(), _Silenced("torch.onnx"):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            runtime,
            (image,),
            input_names=["image"],
            output_names=list(names),
            dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
            opset_version=_OPSET,
            dynamo=True,
            optimize=False,
            external_data=False,
            verbose=False,
        )
        optimizer.fold_constants(program.model, should_fold=_has_no_parameter)
        optimizer.remove_unused_nodes(program.model)
        # Lines of code that each node came from, and with them the paths of this machine.
        ClearMetadataAndDocStringPass()(program.model)
    return program.model_proto, names


def _has_no_parameter(node) -> bool:
    """Return whether a node of onnx_ir's graph may be folded: it takes no parameter."""
    return not any(value is not None and value.is_initializer() for value in node.inputs)


class _Silenced:
    """Hold back a logger's warnings: the exporter's concern packages nobody here uses."""

    def __init__(self, name: str):
        self.logger = logging.getLogger(name)

    def __enter__(self) -> None:
        self.level = self.logger.level
        self.logger.setLevel(logging.ERROR)

    def __exit__(self, *_) -> None:
        self.logger.setLevel(self.level)


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph in half precision; inputs and outputs stay single."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return convert_float_to_float16(model, keep_io_types=True)


def _quantize(model: onnx.ModelProto, path: Path, images: np.ndarray) -> None:
    """Write the graph with 8-bit convolutions and products, ranges chosen by pictures.

    Weights keep to 7 bits.  Processors without VNNI add two products of an unsigned and a signed
    byte in 16 bits that saturate: of 8-bit weights they would compute something else.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Pictures(CalibrationDataReader):
        def __init__(self):
            self.rest = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.rest, None)
            return None if image is None else {"image": image[None]}

    with tempfile.TemporaryDirectory() as scratch, _Silenced(""):
        whole, folded, quantized = (
            Path(scratch) / f"{name}.onnx" for name in ("whole", "folded", "quantized")
        )
        onnx.save(model, whole)
        quant_pre_process(whole, folded, skip_symbolic_shape=True)
        quantize_static(
            folded,
            quantized,
            Pictures(),
            op_types_to_quantize=["Conv", "MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        write_bytes(path, quantized.read_bytes())


def _deviation(written: HandNetwork, reference: HandNetwork, pictures: np.ndarray) -> dict:
    """Return how far a written network is from torch in fp32 on pictures."""
    batches = [pictures[i : i + 2] for i in range(0, len(pictures), 2)]
    pairs = [(written(batch), reference(batch)) for batch in batches]
    apart_mm = np.concatenate(
        [np.linalg.norm(a.vertices_m - b.vertices_m, axis=2) * 1000 for a, b in pairs]
    )
    return {
        "pictures": len(pictures),
        "vertices_mm_mean": float(apart_mm.mean()),
        "vertices_mm_max": float(apart_mm.max()),
        "heatmaps_max": max(float(np.abs(a.heatmaps - b.heatmaps).max()) for a, b in pairs),
        "silhouette_max": max(float(np.abs(a.silhouettes - b.silhouettes).max()) for a, b in pairs),
        "relative": max(
            _relative(getattr(a, name), getattr(b, name))
            for a, b in pairs
            for name in ("vertices_m", "heatmaps", "silhouettes")
        ),
    }


def _relative(values: np.ndarray, reference: np.ndarray) -> float:
    """Return the largest difference, relative to the largest reference value."""
    return float(np.abs(values - reference).max() / np.abs(reference).max())
