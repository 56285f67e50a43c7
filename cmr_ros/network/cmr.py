"""Camera-space mesh recovery: 2D stages, semantic aggregation, spiral decoder (CVPR 2021).

Parameters carry the names of the released checkpoints, but for the prefix `decoder.`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from cmr_ros.network.aggregation import Aggregation
from cmr_ros.network.config import NetworkConfig
from cmr_ros.network.decoder import SpiralDecoder
from cmr_ros.network.recovery import Recovery
from cmr_ros.network.resnet import ImageEncoder, MapEncoder, MapHead, TopDown

if TYPE_CHECKING:
    from cmr_ros.model.template import HandTemplate


@dataclass(frozen=True)
class _Stage:
    """One 2D stage; its parts have their names from the released checkpoints."""

    encoder: str
    top_down: str  # decoder
    head: str
    pose: bool = True  # it predicts the joints' heatmaps
    silhouette: bool = False  # it predicts the silhouette


_POSE_TWICE = (
    _Stage("backbone1", "uv_prior_delayer", "uv_prior_head"),
    _Stage("backbone2", "uv_delayer", "uv_head"),
    _Stage("backbone3", "uvm_delayer", "uvm_head", silhouette=True),
)
_STAGES = {
    "SG": (
        _Stage("backbone1", "mask_delayer", "mask_head", pose=False, silhouette=True),
        *_POSE_TWICE[1:],
    ),
    "PG": _POSE_TWICE,
    "P": _POSE_TWICE,
    "G": (
        _Stage("backbone", "uv_delayer", "uv_head"),
        _Stage("backbone_mesh", "uv_delayer2", "uv_head2", silhouette=True),
    ),
}


class CameraSpaceMeshRecovery(nn.Module):
    """The network of a configuration for a template: pictures (N, 3, S, S) -> Recovery."""

    def __init__(self, config: NetworkConfig, template: HandTemplate):
        super().__init__()
        self.config = config
        self.stages = _STAGES[config.variant]
        # SG hands its second stage's features on to the last stage, the others their stem's.
        self.features_from = len(self.stages) - 2 if config.variant == "SG" else 0
        self.aggregation = Aggregation(config.joint_count, config.groups)
        self.decoder = SpiralDecoder(config.decoder, template)
        map_count = 0
        for number, stage in enumerate(self.stages):
            if number == 0:
                encoder = ImageEncoder(config.encoder)
            else:
                group_count = len(config.groups) if stage is self.stages[-1] else 0
                context_count = encoder.stem_channels + map_count + group_count
                encoder = MapEncoder(config.encoder, context_count, config.decoder.latent)
            map_count = config.joint_count * stage.pose + stage.silhouette
            self.add_module(stage.encoder, encoder)
            self.add_module(stage.top_down, TopDown(encoder.channels))
            self.add_module(stage.head, MapHead(encoder.channels[0], map_count))

    def forward(self, images: torch.Tensor) -> Recovery:
        """Return the recovery of normalised RGB pictures (N, 3, S, S)."""
        context, stems, maps = images, [], []
        for stage in self.stages:
            pyramid = self.get_submodule(stage.encoder)(context)
            stems.append(pyramid[0])
            top_down, head = map(self.get_submodule, (stage.top_down, stage.head))
            maps.append(head(top_down(pyramid)))
            if stage is self.stages[-2]:
                context = torch.cat([stems[self.features_from], self.aggregation(maps[-1])], 1)
            elif stage is not self.stages[-1]:
                context = torch.cat([pyramid[0], maps[-1]], 1)
        latent = self.get_submodule(self.stages[-1].encoder).latent(pyramid)
        priors = list(zip(self.stages[:-1], maps[:-1], strict=True))
        return Recovery(
            meshes=self.decoder(latent),
            heatmaps=maps[-1][:, :-1],
            silhouette=maps[-1][:, -1:],
            prior_heatmaps=tuple(prior for stage, prior in priors if stage.pose),
            prior_silhouettes=tuple(prior for stage, prior in priors if stage.silhouette),
        )
