"""The trunk of MediaPipe's full hand landmark network: an encoder that was trained on real hands.

Its layers are MobileNetV2's inverted residuals with batch norms already folded into the
convolutions, padded as TensorFlow's SAME does it.  Weights: Apache-2.0, Google.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmr_ros.errors import InputError

if TYPE_CHECKING:
    import onnx


_STEM, _FIRST = 24, 16
#: The inverted residuals between the input's half and its 32nd: expanded width, kernel, stride,
#: width.  A block that keeps size and width adds its input to its output.
_BLOCKS = (
    (64, 3, 2, 24),
    (144, 3, 1, 24),
    (144, 5, 2, 40),
    (240, 5, 1, 40),
    (240, 3, 2, 80),
    (480, 3, 1, 80),
    (480, 3, 1, 80),
    (480, 5, 1, 112),
    (672, 5, 1, 112),
    (672, 5, 1, 112),
    (672, 5, 2, 192),
    (1152, 5, 1, 192),
    (1152, 5, 1, 192),
    (1152, 5, 1, 192),
)
_LAST = 1152


class TrunkFeatures(NamedTuple):
    """Feature maps (N, C, S / k, S / k) named by k, the factor of reduction, and their summary."""

    x2: Tensor  # (N, 16, 112, 112) for pictures of 224
    x4: Tensor  # (N, 24, 56, 56)
    x8: Tensor  # (N, 40, 28, 28)
    x16: Tensor  # (N, 112, 14, 14)
    x32: Tensor  # (N, 192, 7, 7)
    pooled: Tensor  # (N, 1152)


#: Channels of each of TrunkFeatures, in order.
TRUNK_CHANNELS = TrunkFeatures(16, 24, 40, 112, 192, _LAST)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: for stride 2 one pixel less before than after.

    True to TensorFlow for sizes that the stride divides.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        """Make the convolution.

        Args:
            inputs: channels in.
            outputs: channels out.
            kernel: side in cells.
            stride: in cells.
            groups: of channels that are convolved by themselves.
        """
        before, extra = divmod(kernel - stride, 2)
        super().__init__(inputs, outputs, kernel, stride, padding=before, groups=groups)
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        """Return the map (N, outputs, H / stride, W / stride) of a map (N, inputs, H, W)."""
        return super().forward(F.pad(x, (0, 1, 0, 1)) if self.extra else x)


class InvertedResidual(nn.Sequential):
    """Widen by a 1x1 convolution, filter each channel by itself, and narrow again."""

    def __init__(self, inputs: int, expanded: int, kernel: int, stride: int, outputs: int):
        """Make the layers.

        Args:
            inputs: channels in.
            expanded: channels in between.
            kernel: side of the filters in cells.
            stride: of the filters in cells.
            outputs: channels out; as many as go in, at stride 1, are added to them.
        """
        super().__init__(
            SameConv(inputs, expanded, 1),
            nn.ReLU6(),
            SameConv(expanded, expanded, kernel, stride, groups=expanded),
            nn.ReLU6(),
            SameConv(expanded, outputs, 1),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / stride, W / stride) of (N, inputs, H, W)."""
        return x + super().forward(x) if self.residual else super().forward(x)


class MobileTrunk(nn.Module):
    """Pictures (N, 3, S, S), RGB in [0, 1], S a multiple of 32 -> TrunkFeatures.

    The released weights (`load_mediapipe`) know crops of 224 pixels as `detection` cuts them.
    """

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            SameConv(3, _STEM, 3, stride=2),
            nn.ReLU6(),
            SameConv(_STEM, _STEM, 3, groups=_STEM),
            nn.ReLU6(),
            SameConv(_STEM, _FIRST, 1),
        )
        self.stages = nn.ModuleList()
        width = _FIRST
        for expanded, kernel, stride, outputs in _BLOCKS:
            if stride == 2:
                self.stages.append(nn.Sequential())
            self.stages[-1].append(InvertedResidual(width, expanded, kernel, stride, outputs))
            width = outputs
        self.head = nn.Sequential(
            SameConv(width, _LAST, 1),
            nn.ReLU6(),
            SameConv(_LAST, _LAST, 3, groups=_LAST),
            nn.ReLU6(),
        )

    def forward(self, image: Tensor) -> TrunkFeatures:
        """Return all feature maps of pictures (N, 3, S, S)."""
        maps = [self.stem(image)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return TrunkFeatures(*maps, pooled=self.head(maps[-1]).mean(dim=(2, 3)))


class Landmarks(NamedTuple):
    """What MediaPipe's heads predict for each crop."""

    landmarks: Tensor  # (N, 21, 3) x, y in crop pixels of 224; z is relative to the wrist
    presence: Tensor  # (N, 1) probability of a hand
    handedness: Tensor  # (N, 1) probability of a right hand
    world: Tensor  # (N, 21, 3) metres, centred on the hand, in the frame of the turned crop


class LandmarkHeads(nn.Module):
    """MediaPipe's linear heads on the pooled features (N, 1152)."""

    def __init__(self):
        super().__init__()
        self.landmarks = nn.Linear(_LAST, 63)
        self.presence = nn.Linear(_LAST, 1)
        self.handedness = nn.Linear(_LAST, 1)
        self.world = nn.Linear(_LAST, 63)

    def forward(self, pooled: Tensor) -> Landmarks:
        """Return landmarks, presence, handedness and world joints of features (N, 1152)."""
        return Landmarks(
            self.landmarks(pooled).unflatten(1, (21, 3)),
            self.presence(pooled).sigmoid(),
            self.handedness(pooled).sigmoid(),
            self.world(pooled).unflatten(1, (21, 3)),
        )


def load_mediapipe(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the state dicts of MobileTrunk and LandmarkHeads from `landmark_full.onnx`.

    `cmr import-mediapipe` writes that file.  Raises InputError if it is anything else.
    """
    graph = _read_graph(path)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    producer = {name: node for node in graph.node for name in node.output}

    # The graph is a chain, so its convolutions come in the order of the trunk's own.
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    linear = []
    for head in Landmarks._fields:
        node = producer.get(head)
        if node is not None and node.op_type == "Sigmoid":
            node = producer.get(node.input[0])
        linear.append(node)
    if None in linear:
        raise _not_landmark_full(path)
    return (
        _state_dict(MobileTrunk(), convolutions, weights, path),
        _state_dict(LandmarkHeads(), linear, weights, path),
    )


def _read_graph(path: Path | str) -> onnx.GraphProto:
    import onnx

    try:
        # The weights are inside the file; references to other files are not followed.
        return onnx.load(str(path), load_external_data=False).graph
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; `cmr import-mediapipe` makes landmark_full.onnx"
        ) from None
    except Exception as error:  # protobuf's DecodeError has no public home
        raise InputError(f"{path}: not an ONNX file ({error})") from None


def _state_dict(
    module: nn.Module,
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, onnx.TensorProto],
    path: Path | str,
) -> dict[str, Tensor]:
    """Return the module's state with the weight and bias of each layer taken from its node."""
    from onnx import numpy_helper

    layers = [(name, m) for name, m in module.named_modules() if hasattr(m, "weight")]
    if len(layers) != len(nodes):
        raise _not_landmark_full(path)
    state = {}
    for (name, layer), node in zip(layers, nodes, strict=True):
        if len(node.input) != 3 or not all(key in weights for key in node.input[1:]):
            raise _not_landmark_full(path)
        weight, bias = (
            torch.from_numpy(numpy_helper.to_array(weights[key]).copy()) for key in node.input[1:]
        )
        if node.op_type == "Gemm":
            weight = weight.T.contiguous()
        if weight.shape != layer.weight.shape or bias.shape != layer.bias.shape:
            raise _not_landmark_full(path)
        state |= {f"{name}.weight": weight, f"{name}.bias": bias}
    return state


def _not_landmark_full(path: Path | str) -> InputError:
    return InputError(
        f"{path}: not MediaPipe's full landmark network; `cmr import-mediapipe` makes it"
    )
