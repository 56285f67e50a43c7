"""MediaPipe's palm detector and hand landmark networks as ONNX files (Apache-2.0, Google).

The original TensorFlow Lite files travel inside the wheel `mediapipe==0.10.21`; newer wheels carry
none.  Conversion needs tensorflow and tf2onnx, which nothing else here uses.
"""

from __future__ import annotations

import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from cmr_ros.errors import InputError
from cmr_ros.files.output import write_bytes

if TYPE_CHECKING:
    import onnx

#: Opset of the written files: the newest one that tf2onnx knows.
_OPSET = 15


@dataclass(frozen=True)
class _Source:
    """One of the networks in the wheel."""

    path: str  # inside the wheel
    outputs: tuple[str, ...]  # what they mean, in their order


_LANDMARK_OUTPUTS = ("landmarks", "presence", "handedness", "world")
#: Name of the ONNX file -> its source.
NETWORKS = {
    "palm_detection": _Source(
        "mediapipe/modules/palm_detection/palm_detection_lite.tflite", ("boxes", "scores")
    ),
    "landmark_full": _Source(
        "mediapipe/modules/hand_landmark/hand_landmark_full.tflite", _LANDMARK_OUTPUTS
    ),
    "landmark_lite": _Source(
        "mediapipe/modules/hand_landmark/hand_landmark_lite.tflite", _LANDMARK_OUTPUTS
    ),
}


def import_networks(source: Path, folder: Path) -> list[Path]:
    """Write each of NETWORKS from a wheel, or the folder it was unpacked to, as folder/NAME.onnx.

    The networks take `image` (N, S, S, 3), RGB in [0, 1], the palm detector of any size S that 32
    divides.  Raises InputError when the source lacks
    a network or the converters are not installed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        originals = {
            name: _locate(source, network.path, Path(scratch)) for name, network in NETWORKS.items()
        }
        converter = _converter()
        written = []
        for name, original in originals.items():
            model, _ = converter.from_tflite(str(original), opset=_OPSET)
            split_prelu(model.graph)
            tidy(model.graph, NETWORKS[name].outputs)
            path = folder / f"{name}.onnx"
            write_bytes(path, model.SerializeToString())
            written.append(path)
    return written


def _converter() -> ModuleType:
    try:
        import tensorflow  # noqa: F401  (tf2onnx imports it late and hides that it is missing)
        import tf2onnx.convert
    except ModuleNotFoundError as error:
        raise InputError(
            f"the Python package {error.name!r} is missing; `pip install '.[convert]'` in this "
            "package's folder, in an environment of its own, brings it"
        ) from None
    return tf2onnx.convert


def _locate(source: Path, path: str, scratch: Path) -> Path:
    """Return the path of a file of the wheel, unpacked if need be."""
    missing = InputError(
        f"{source}: no {path} inside; give the wheel of mediapipe 0.10.21 "
        "(pip download --no-deps mediapipe==0.10.21) or the folder it was unpacked to"
    )
    if source.is_dir():
        if not (source / path).is_file():
            raise missing
        return source / path
    if not zipfile.is_zipfile(source):
        raise missing
    with zipfile.ZipFile(source) as wheel:
        if path not in wheel.namelist():
            raise missing
        return Path(wheel.extract(path, scratch))


def tidy(graph: onnx.GraphProto, outputs: tuple[str, ...]) -> None:
    """Give inputs and outputs speaking names, and the batch any size, in place.

    All else is numbered in the order of its use, so that every conversion gives the same file.
    """
    names = {graph.input[0].name: "image"}
    names |= {value.name: name for value, name in zip(graph.output, outputs, strict=True)}
    for node in graph.node:
        for name in (*node.input, *node.output):
            names.setdefault(name, f"t{len(names)}" if name else "")
        node.name = ""
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = names[value.name]
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    # The heads of the palm detector flatten their maps by shapes that spell out a batch of one.
    shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    order = list(names.values())
    constants = [constant for constant in graph.initializer if constant.name in names]
    del graph.initializer[:], graph.value_info[:]
    for constant in constants:
        constant.name = names[constant.name]
        if constant.name in shapes:
            _free_batch(constant)
    graph.initializer.extend(sorted(constants, key=lambda constant: order.index(constant.name)))


def split_prelu(graph: onnx.GraphProto) -> None:
    """Replace each PRelu by convolutions, in place: x + (1 - slope) relu(-x).

    onnxruntime computes PRelu outside the blocked layout of its convolutions, and the changes of
    layout around it, together with itself, cost half of the palm detector's time.
    """
    import numpy as np
    from onnx import helper, numpy_helper

    constants = {constant.name: constant for constant in graph.initializer}

    def scale(source: str, factors: np.ndarray, result: str) -> onnx.NodeProto:
        weights = numpy_helper.from_array(factors.reshape(-1, 1, 1, 1), f"{result}_weights")
        graph.initializer.append(weights)
        return helper.make_node("Conv", [source, weights.name], [result], group=factors.size)

    nodes = []
    for node in graph.node:
        if node.op_type != "PRelu":
            nodes.append(node)
            continue
        (source, slope), (result,) = node.input, node.output
        missing = 1 - numpy_helper.to_array(constants[slope]).ravel()
        negative, below, added = (f"{result}_{part}" for part in ("negative", "below", "added"))
        nodes += [
            scale(source, np.full_like(missing, -1), negative),
            helper.make_node("Relu", [negative], [below]),
            scale(below, missing, added),
            helper.make_node("Add", [source, added], [result]),
        ]
    used = {name for node in nodes for name in node.input}
    kept = [constant for constant in graph.initializer if constant.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)


def _free_size(graph: onnx.GraphProto) -> None:
    """Let the palm detector take pictures of any size that 32 divides, in place."""
    _, height, width, _ = graph.input[0].type.tensor_type.shape.dim
    height.dim_param, width.dim_param = "H", "W"
    for value in graph.output:
        value.type.tensor_type.shape.dim[1].dim_param = "anchors"


def _free_batch(constant: onnx.TensorProto) -> None:
    """Let a shape that spells out a batch of one take any batch."""
    from onnx import numpy_helper

    shape = numpy_helper.to_array(constant).copy()
    if shape[0] == 1:
        shape[0] = 0  # ONNX: as the input has it
        constant.CopyFrom(numpy_helper.from_array(shape, constant.name))
