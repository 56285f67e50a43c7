"""Goes on with the training of an exported hand detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from onnx import numpy_helper
from torch import Tensor, nn

from cmr_ros.errors import InputError
from cmr_ros.network.detector import HandDetector
from cmr_ros.network.onnx_file import read_graph


def exported_convolutions(path: Path, network: HandDetector) -> list[tuple[Tensor, Tensor]]:
    """Return weights and biases of an exported detector's convolutions, in the network's order.

    Raises InputError for a file that is no hand detector, or one of another size.
    """
    graph = read_graph(path, "expected hand_detection.onnx")
    arrays = {one.name: torch.tensor(numpy_helper.to_array(one)) for one in graph.initializer}
    stored = [
        tuple(arrays[name] for name in node.input[1:] if name in arrays)
        for node in graph.node
        if node.op_type == "Conv"
    ]
    expected = [(one.weight.shape, one.weight.shape[:1]) for one in _all(network, nn.Conv2d)]
    if [tuple(array.shape for array in arrays) for arrays in stored] != expected:
        raise InputError(f"{path}: not a hand detector of this size; `cmr train-detector` makes it")
    return stored


@torch.no_grad()
def start_from(
    exported: Sequence[tuple[Tensor, Tensor]], network: HandDetector, pictures: Tensor
) -> None:
    """Make a network answer as an exported one does, in place.

    Batch norms have become parts of the exported convolutions.  They are put back with the
    statistics of some pictures, so that training, which uses a batch's own, starts from nearly the
    same answers.

    Args:
        exported: see `exported_convolutions`.
        network: to change.
        pictures: (N, 3, H, W) of the kind to train on.
    """
    norms = _all(network, nn.BatchNorm2d)
    # The last convolution has no norm.
    followers = [*norms, _all(network, nn.Conv2d)[-1]]
    for convolution, follower, (weight, bias) in zip(
        _all(network, nn.Conv2d), followers, exported, strict=True
    ):
        convolution.weight.copy_(weight)
        follower.bias.copy_(bias)

    def measure(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)

    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    network.eval()(pictures)
    network.train()
    for hook in hooks:
        hook.remove()


def _all(network: nn.Module, kind: type) -> list:
    """Return a network's layers of a kind, in the order in which they are used."""
    return [module for module in network.modules() if isinstance(module, kind)]
