"""The trunk of MediaPipe's hand landmark networks: an encoder that was trained on real hands.

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


#: Channels of a trunk, from the input's half to its 32nd; at the 16th there are two numbers.
TrunkWidths = tuple[int, int, int, int, int, int]
#: Of MediaPipe's full network and of its lite one.
FULL_WIDTHS: TrunkWidths = (16, 24, 40, 80, 112, 192)
LITE_WIDTHS: TrunkWidths = (16, 16, 24, 48, 64, 112)
_STEM = 24
#: The inverted residuals that lead to each width but the first: kernel and stride.
_BLOCKS = (
    ((3, 2), (3, 1)),
    ((5, 2), (5, 1)),
    ((3, 2), (3, 1), (3, 1)),
    ((5, 1), (5, 1), (5, 1)),
    ((5, 2), (5, 1), (5, 1), (5, 1)),
)
#: So many of these stages lead to the maps at a 16th.
X16_STAGES = 3
#: How many times wider blocks are inside: the first one, and all others.
_FIRST_EXPANSION, _EXPANSION = 4, 6


class TrunkFeatures(NamedTuple):
    """Feature maps (N, C, S / k, S / k) named by k, the factor of reduction, and their summary."""

    x2: Tensor  # (N, 16, 112, 112) for pictures of 224 and the full network's widths
    x4: Tensor  # (N, 24, 56, 56)
    x8: Tensor  # (N, 40, 28, 28)
    x16: Tensor  # (N, 112, 14, 14)
    x32: Tensor  # (N, 192, 7, 7)
    pooled: Tensor  # (N, 1152)


class TrunkChannels(NamedTuple):
    """Channels of each of TrunkFeatures, in order."""

    x2: int
    x4: int
    x8: int
    x16: int
    x32: int
    pooled: int

    @classmethod
    def of(cls, widths: TrunkWidths) -> TrunkChannels:
        """Return the channels of a trunk's features."""
        x2, x4, x8, _, x16, x32 = widths
        return cls(x2, x4, x8, x16, x32, _EXPANSION * x32)


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
    """Widen by a 1x1 convolution, filter each channel by itself, and narrow again.

    Where as many channels go in as come out, the input is added, for stride 2 the largest of each
    2x2 cells of it.
    """

    def __init__(self, inputs: int, expanded: int, kernel: int, stride: int, outputs: int):
        """Make the layers.

        Args:
            inputs: channels in.
            expanded: channels in between.
            kernel: side of the filters in cells.
            stride: of the filters in cells.
            outputs: channels out.
        """
        super().__init__(
            SameConv(inputs, expanded, 1),
            nn.ReLU6(),
            SameConv(expanded, expanded, kernel, stride, groups=expanded),
            nn.ReLU6(),
            SameConv(expanded, outputs, 1),
        )
        self.stride, self.residual = stride, inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / stride, W / stride) of (N, inputs, H, W)."""
        y = super().forward(x)
        if not self.residual:
            return y
        return y + (x if self.stride == 1 else F.max_pool2d(x, self.stride))


class MobileTrunk(nn.Module):
    """Pictures (N, 3, S, S), RGB in [0, 1], S a multiple of 32 -> TrunkFeatures.

    The released weights (`load_mediapipe`) know crops of 224 pixels as `detection` cuts them.
    """

    def __init__(self, widths: TrunkWidths = FULL_WIDTHS):
        super().__init__()
        width, *later = widths
        self.stem = nn.Sequential(
            SameConv(3, _STEM, 3, stride=2),
            nn.ReLU6(),
            SameConv(_STEM, _STEM, 3, groups=_STEM),
            nn.ReLU6(),
            SameConv(_STEM, width, 1),
        )
        self.stages = nn.ModuleList()
        expansion = _FIRST_EXPANSION
        for outputs, blocks in zip(later, _BLOCKS, strict=True):
            for kernel, stride in blocks:
                if stride == 2:
                    self.stages.append(nn.Sequential())
                expanded = expansion * width
                self.stages[-1].append(InvertedResidual(width, expanded, kernel, stride, outputs))
                width, expansion = outputs, _EXPANSION
        last = _EXPANSION * width
        self.head = nn.Sequential(
            SameConv(width, last, 1),
            nn.ReLU6(),
            SameConv(last, last, 3, groups=last),
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
    """MediaPipe's linear heads on the pooled features (N, C) of a trunk."""

    def __init__(self, widths: TrunkWidths = FULL_WIDTHS):
        super().__init__()
        channels = TrunkChannels.of(widths).pooled
        self.landmarks = nn.Linear(channels, 63)
        self.presence = nn.Linear(channels, 1)
        self.handedness = nn.Linear(channels, 1)
        self.world = nn.Linear(channels, 63)

    def forward(self, pooled: Tensor) -> Landmarks:
        """Return landmarks, presence, handedness and world joints of features (N, C)."""
        return Landmarks(
            self.landmarks(pooled).unflatten(1, (21, 3)),
            self.presence(pooled).sigmoid(),
            self.handedness(pooled).sigmoid(),
            self.world(pooled).unflatten(1, (21, 3)),
        )


def load_mediapipe(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the state dicts of MobileTrunk and LandmarkHeads from an ONNX file.

    path: landmark_full.onnx or landmark_lite.onnx as `cmr import-mediapipe` writes them; the state
        dicts have that network's widths.

    Raises InputError if the file is anything else.
    """
    from cmr_ros.network.onnx_file import read_graph

    graph = read_graph(
        path, "`cmr import-mediapipe` makes landmark_full.onnx and landmark_lite.onnx"
    )
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
        raise _not_landmarks(path)
    for widths in (FULL_WIDTHS, LITE_WIDTHS):
        trunk = _state_dict(MobileTrunk(widths), convolutions, weights)
        heads = _state_dict(LandmarkHeads(widths), linear, weights)
        if trunk and heads:
            return trunk, heads
    raise _not_landmarks(path)


def _state_dict(
    module: nn.Module, nodes: Sequence[onnx.NodeProto], weights: dict[str, onnx.TensorProto]
) -> dict[str, Tensor] | None:
    """Return the module's state with the weight and bias of each layer taken from its node.

    None: the nodes are not the module's layers.
    """
    from onnx import numpy_helper

    layers = [(name, m) for name, m in module.named_modules() if hasattr(m, "weight")]
    if len(layers) != len(nodes):
        return None
    state = {}
    for (name, layer), node in zip(layers, nodes, strict=True):
        if len(node.input) != 3 or not all(key in weights for key in node.input[1:]):
            return None
        weight, bias = (
            torch.from_numpy(numpy_helper.to_array(weights[key]).copy()) for key in node.input[1:]
        )
        if node.op_type == "Gemm":
            weight = weight.T.contiguous()
        if weight.shape != layer.weight.shape or bias.shape != layer.bias.shape:
            return None
        state |= {f"{name}.weight": weight, f"{name}.bias": bias}
    return state


def _not_landmarks(path: Path | str) -> InputError:
    return InputError(
        f"{path}: not one of MediaPipe's hand landmark networks; `cmr import-mediapipe` makes them"
    )
