"""From a latent vector to the meshes of all levels by spiral convolutions (paper, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from cmr_ros.errors import InputError

if TYPE_CHECKING:
    from cmr_ros.model.template import HandTemplate, Sparse


@dataclass(frozen=True)
class DecoderConfig:
    """The spiral decoder's size and the parts it is made of (supplement, Table 1)."""

    latent: int = 1000  # length of the input vector
    widths: tuple[int, ...] = (512, 256, 128, 64)  # channels of the levels, coarse to fine
    inception: bool = True  # inception spiral modules instead of plain spiral convolutions
    multi_scale: bool = True  # every level predicts a mesh, not the finest alone
    self_regression: bool = True  # each level refines the coarser one's prediction
    attention: bool = True  # self-attention over the latent vector
    #: neighbours, itself included, that each vertex's convolutions take; 0: the template's spirals
    neighbours: int = 0
    #: hidden units of a plain MLP from the latent vector to a mesh that the levels then correct;
    #: 0: none, as published
    start: int = 0

    def __post_init__(self) -> None:
        if self.self_regression and not self.multi_scale:
            raise InputError("self-regression needs multi-scale predictions; switch both or none")


class SpiralConv(nn.Module):
    """One linear map of the first `length` neighbours: (N, V, C) -> (N, V, out)."""

    def __init__(self, channels_in: int, channels_out: int, length: int):
        super().__init__()
        self.layer = nn.Linear(channels_in * length, channels_out)
        nn.init.xavier_uniform_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def merged(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight and bias of `convolve`."""
        return self.layer.weight, self.layer.bias

    def fixed(self) -> nn.Module:
        """Return what does the same with weights that no longer change."""
        return FixedSpiral(*self.merged())

    def forward(self, features: torch.Tensor, spiral: torch.Tensor) -> torch.Tensor:
        """Return features (N, V, out) of features (N, V, C) along spirals (V, L)."""
        return convolve(features, spiral, *self.merged(), self.training)


class InceptionSpiralModule(nn.Module):
    """Spiral convolutions over three radii and the vertex itself: (N, V, C) -> (N, V, out)."""

    def __init__(self, channels_in: int, channels_out: int, length: int):
        super().__init__()
        half, quarter = channels_out // 2, channels_out // 4
        self.conv = SpiralConv(channels_in, half, length)
        self.conv_2d3 = SpiralConv(channels_in, quarter, length * 2 // 3)
        self.conv_d3 = SpiralConv(channels_in, quarter, length // 3)
        self.conv1 = SpiralConv(channels_in, channels_out, 1)

    def merged(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight and bias of `convolve`."""
        # All four are linear in the same numbers, so their weights add up to one.
        branches = (self.conv.layer, self.conv_2d3.layer, self.conv_d3.layer)
        shortcut = self.conv1.layer
        width = branches[0].weight.shape[1]
        weight = torch.cat([_widened(branch.weight, width) for branch in branches])
        bias = torch.cat([branch.bias for branch in branches])
        return weight + _widened(shortcut.weight, width), bias + shortcut.bias

    def fixed(self) -> nn.Module:
        """Return what does the same with weights that no longer change."""
        return FixedSpiral(*self.merged())

    def forward(self, features: torch.Tensor, spiral: torch.Tensor) -> torch.Tensor:
        """Return features (N, V, out) of features (N, V, C) along spirals (V, L)."""
        return convolve(features, spiral, *self.merged(), self.training)


class FixedSpiral(nn.Module):
    """A spiral convolution whose weight is ready to be used."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight.detach().contiguous(), requires_grad=False)
        self.bias = nn.Parameter(bias.detach(), requires_grad=False)

    def forward(self, features: torch.Tensor, spiral: torch.Tensor) -> torch.Tensor:
        """Return features (N, V, out) of features (N, V, C) along spirals (V, L)."""
        return convolve(features, spiral, self.weight, self.bias)


def convolve(
    features: torch.Tensor,
    spiral: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    training: bool = False,
) -> torch.Tensor:
    """Return features (N, V, out) of features (N, V, C) along spirals.

    Args:
        features: of the vertices.
        spiral: (V, L) the vertices to take, one place after the other.
        weight: (out, L C).
        bias: (out,).
        training: whether gradients are wanted.  Each vertex is then multiplied for every place that
            it can take before it is gathered: with fewer channels out than in, less is moved than
            by gathering first, as the paper writes it, which is quicker without gradients.
    """
    count, length = spiral.shape
    if not training:
        taken = features.index_select(1, spiral.flatten())
        return nn.functional.linear(taken.reshape(-1, count, weight.shape[1]), weight, bias)
    matrix = weight.unflatten(1, (length, -1)).permute(2, 1, 0).flatten(1)  # (C, L out)
    given = (features @ matrix).unflatten(2, (length, -1)).flatten(1, 2)  # (N, V L, out)
    places = spiral * length + torch.arange(length, device=spiral.device)
    return gather(given, places.T.contiguous()).sum(dim=1) + bias


def _widened(weight: torch.Tensor, width: int) -> torch.Tensor:
    """Return a matrix (out, in) with zero columns appended: (out, width)."""
    return nn.functional.pad(weight, (0, width - weight.shape[1]))


class UpSampling(nn.Module):
    """A sparse matrix times vertex features: (N, V_coarse, C) -> (N, V_fine, C).

    Every fine vertex mixes at most a handful of coarse ones, so the product is a gather and a
    weighted sum: quicker than a sparse matrix, and every inference engine has it.
    """

    def __init__(self, matrix: Sparse, fine_count: int):
        super().__init__()
        row, column, value = (np.asarray(part) for part in matrix)
        order = np.argsort(row, kind="stable")
        row, column, value = row[order], column[order], value[order]
        slot = np.arange(len(row)) - np.searchsorted(row, row)
        index = np.zeros((slot.max() + 1, fine_count), np.int64)
        weight = np.zeros(index.shape, np.float32)
        index[slot, row], weight[slot, row] = column, value
        self.register_buffer("index", torch.from_numpy(index), persistent=False)
        self.register_buffer("weight", torch.from_numpy(weight)[..., None], persistent=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features (N, V_fine, C) of features (N, V_coarse, C)."""
        return (gather(features, self.index) * self.weight).sum(dim=1)


class SelfAttention(nn.Module):
    """Attention among the entries of a vector (N, D), blended in by a learned share."""

    def __init__(self, size: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.query_conv = nn.Linear(size, size)
        self.key_conv = nn.Linear(size, size)
        self.value_conv = nn.Linear(size, size)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Return a vector (N, D) of a vector (N, D)."""
        query, key, value = (
            layer(latent) for layer in (self.query_conv, self.key_conv, self.value_conv)
        )
        attention = torch.softmax(query[:, :, None] * key[:, None, :], dim=2)
        return self.gamma * (attention @ value[:, :, None])[:, :, 0] + latent


class StartMesh(nn.Module):
    """Latent vector (N, latent) -> meshes (N, V_i, 3) of the predicted levels, coarse to fine.

    One mesh at all its resolutions.  Spiral convolutions need not learn what a plain MLP can
    predict of a mesh: with few channels they are slow to.
    """

    def __init__(self, config: DecoderConfig, template: HandTemplate):
        super().__init__()
        finest = len(template.vertices[0])
        self.layers = nn.Sequential(
            nn.Linear(config.latent, config.start), nn.ReLU(), nn.Linear(config.start, 3 * finest)
        )
        self.down = nn.ModuleList(
            UpSampling(matrix, len(coarse))
            for matrix, coarse in zip(template.down[:-1], template.vertices[1:-1], strict=True)
        )

    def forward(self, latent: torch.Tensor) -> list[torch.Tensor]:
        """Return the meshes of latent vectors (N, latent)."""
        # Half precision would round a coordinate of 0.2 m by half a millimetre.
        with torch.autocast(latent.device.type, enabled=False):
            meshes = [self.layers(latent.float()).unflatten(1, (-1, 3))]
            for down in self.down:
                meshes.append(down(meshes[-1]))
        return meshes[::-1]


class MeshHeads(nn.ModuleList):
    """One spiral convolution a level, from features to the mesh of that level."""


class SpiralDecoder(nn.Module):
    """Latent vector (N, latent) -> root-relative meshes, fine to coarse, in units of the scale.

    The meshes are those of template levels 0, 1, ...; with `multi_scale` off, level 0 alone.
    """

    def __init__(self, config: DecoderConfig, template: HandTemplate):
        super().__init__()
        level_count, length = len(template.up), template.spirals[0].shape[1]
        if config.neighbours:
            length = min(length, config.neighbours)
        if len(config.widths) != level_count:
            raise InputError(
                f"{len(config.widths)} decoder widths for a template with {level_count} "
                "up-sampling matrices; give one width a matrix"
            )
        self.config = config
        self.coarsest_count = len(template.vertices[-1])
        self.attention = SelfAttention(config.latent) if config.attention else nn.Identity()
        self.start = StartMesh(config, template) if config.start else None
        first_width = config.widths[0]
        layers = [nn.Linear(config.latent, self.coarsest_count * first_width)]
        convolution = InceptionSpiralModule if config.inception else SpiralConv
        channels = first_width
        for width in config.widths:
            layers.append(convolution(channels, width, length))
            channels = width + 3 * config.self_regression
        self.de_layers = nn.ModuleList(layers)
        headed = config.widths if config.multi_scale else config.widths[-1:]
        self.heads = MeshHeads(SpiralConv(width, 3, length) for width in headed)
        # Coarse to fine, as the decoder goes.
        self.up = nn.ModuleList(
            UpSampling(template.up[level], len(template.vertices[level]))
            for level in reversed(range(level_count))
        )
        for level, spiral in enumerate(reversed(template.spirals)):
            index = torch.from_numpy(np.asarray(spiral, np.int64))[:, :length]
            self.register_buffer(f"spiral{level}", index.contiguous(), persistent=False)

    def forward(self, latent: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the meshes (N, V_i, 3), fine to coarse, of latent vectors (N, latent)."""
        latent = self.attention(latent)
        features = self.de_layers[0](latent).unflatten(1, (self.coarsest_count, -1))
        starts = self.start(latent) if self.start else None
        meshes: list[torch.Tensor] = []
        before = None
        for level, (up, convolution) in enumerate(zip(self.up, self.de_layers[1:], strict=True)):
            spiral = getattr(self, f"spiral{level}")
            if self.config.self_regression and meshes:
                features = torch.cat([features, meshes[-1]], dim=2)
            features = torch.relu(convolution(up(features), spiral))
            is_finest = level == len(self.up) - 1
            if not (self.config.multi_scale or is_finest):
                continue
            # Half precision would round a coordinate of 0.2 m by half a millimetre.
            with torch.autocast(features.device.type, enabled=False):
                found = self.heads[len(meshes)](features.float(), spiral)
            if self.config.self_regression and meshes:
                found = (found + up(before)) / 2
            before = found
            meshes.append(found if starts is None else starts[level] + found)
        return tuple(reversed(meshes))


def gather(features: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return features (N, L, V, C) that an index (L, V) picks from features (N, W, C).

    Engines are several times quicker to sum over L where it comes before V.
    """
    return features.index_select(1, index.flatten()).unflatten(1, index.shape)
