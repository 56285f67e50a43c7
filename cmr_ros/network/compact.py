"""Halves the size of an ONNX file: weights in half precision, arithmetic in single."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

#: Smaller tensors are not worth a node.
_MIN_ELEMENTS = 256


def compacted(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose large single-precision initializers are stored in half precision.

    They keep their names and are cast back before use, which engines do once, at load.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph, casts = model.graph, {}
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _MIN_ELEMENTS:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), tensor.name))
        casts[tensor.name] = helper.make_node(
            "Cast", [tensor.name], [f"{tensor.name}.single"], to=onnx.TensorProto.FLOAT
        )
    for node in graph.node:
        node.input[:] = [casts[i].output[0] if i in casts else i for i in node.input]
    nodes = [*casts.values(), *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    # The recorded types of these values no longer hold.
    kept = [value for value in graph.value_info if value.name not in casts]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    return model
