"""CMR for a CPU: a trunk that knows real hands, light 2D stages, a light second encoder.

Trunk pyramid -> top-down decoder -> silhouette and heatmaps, a stage or two -> semantic
aggregation -> second encoder, fused with the trunk's deeper maps -> latent -> spiral decoder.
The trunk's summary of the picture is the latent's starting point; what the maps show, and where
their peaks are, is added.  The mesh that the decoder starts from is moved by the 3D joints of the
trunk's released head; what the decoder's levels correct stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmr_ros.geometry.skeleton import TIPS
from cmr_ros.network.config import MobileConfig, NetworkConfig
from cmr_ros.network.crop_head import CropHead, RegionHead
from cmr_ros.network.decoder import SpiralDecoder
from cmr_ros.network.map_encoder import MapEncoder, conv
from cmr_ros.network.nudge import Nudge
from cmr_ros.network.recovery import Recovery
from cmr_ros.network.trunk import LandmarkHeads, MobileTrunk, TrunkChannels, TrunkFeatures

if TYPE_CHECKING:
    from cmr_ros.model.template import HandTemplate

#: Lengths of the last bones, thumb to little finger, as multiples of the released heads', whose
#: tips lie under the nail; this package's lie where the flesh ends (`hand_model.build`).
TIP_REACH = (1.22, 1.21, 1.25, 1.31, 1.18)
#: The variants' 2D stages: whether each predicts pose maps and a silhouette.
_STAGES = {
    "SG": ((False, True), (True, True)),
    "PG": ((True, False), (True, True)),
    "P": ((True, False), (True, True)),
    "G": ((True, True),),
}


class MobileMeshRecovery(nn.Module):
    """The mobile network of a configuration: pictures (N, 3, S, S), RGB in [0, 1] -> Recovery.

    Maps are a quarter of the picture's size.  `trunk` and `landmark_heads` may start from released
    weights (`trunk.load_mediapipe`) and be kept; `recover` is everything after the trunk.
    """

    def __init__(self, config: NetworkConfig, template: HandTemplate):
        super().__init__()
        self.config = config
        widths = config.mobile
        self.trunk = MobileTrunk(widths.trunk)
        # Trained with their trunk alone (`training.heads`).
        heads = LandmarkHeads(widths.trunk).requires_grad_(False)
        self.landmark_heads = heads if config.landmark_heads else None
        self.crop_head, self.region_head = (
            kind(TrunkChannels.of(widths.trunk).x16, channels).requires_grad_(False)
            if config.landmark_heads and channels
            else None
            for kind, channels in ((CropHead, config.crop_head), (RegionHead, config.region_head))
        )
        self.register_buffer("to_tips", _to_tips(), persistent=False)
        self.top_down = TopDown(widths)
        self.stages = nn.ModuleList()
        map_count = 0
        for pose, silhouette in _STAGES[config.variant]:
            before, map_count = map_count, config.joint_count * pose + silhouette
            self.stages.append(MapStage(widths.maps[0], before, map_count))
        self.encoder = MapEncoder(config)
        self.decoder = SpiralDecoder(config.decoder, template)
        can_nudge = config.landmark_heads and config.decoder.start
        self.nudge = Nudge(config, template) if config.nudge and can_nudge else None

    def forward(self, images: Tensor) -> Recovery:
        """Return the recovery of RGB pictures (N, 3, S, S) in [0, 1]."""
        return self.recover(self.trunk(images))

    def recover(self, features: TrunkFeatures, released: Tensor | None = None) -> Recovery:
        """Predict from trunk features.

        released: (N, J, 3) in place of `released_joints`.
        """
        x, maps = self.top_down(features), []
        for stage in self.stages:
            x, stage_maps = stage(x, maps[-1:])
            maps.append(stage_maps)
        joint_count = self.config.joint_count
        heatmaps, silhouette = maps[-1].split((joint_count, 1), dim=1)
        latent = self.encoder(x, heatmaps, silhouette, features)
        meshes, nudged = self.decoder(latent), None
        if self.nudge is not None:
            if released is None:
                released = self.released_joints(features.pooled)
            # Detached: the decoder learns from its own mistakes alone.
            nudged = meshes[0].detach() + self.nudge(released, meshes[0], heatmaps)
        return Recovery(
            meshes=meshes,
            nudged=nudged,
            released=released,
            heatmaps=heatmaps,
            silhouette=silhouette,
            prior_heatmaps=tuple(m for m in maps[:-1] if m.shape[1] == joint_count),
            prior_silhouettes=tuple(m for m in maps[:-1] if m.shape[1] == 1),
            **self.released_outputs(features),
        )

    def released_joints(self, pooled: Tensor) -> Tensor:
        """Return the released head's 3D joints (N, J, 3) in the meshes' units and axes.

        Their centre and their size carry no information.
        """
        with torch.autocast(pooled.device.type, enabled=False):
            return self.to_tips @ self.landmark_heads(pooled.float()).world / self.config.scale_m

    def released_outputs(self, features: TrunkFeatures) -> dict[str, Tensor]:
        """Return the outputs of the heads on the trunk by their names in `Recovery`."""
        if self.landmark_heads is None:
            return {}
        # Half precision would round landmarks by a tenth of a pixel.
        with torch.autocast(features.pooled.device.type, enabled=False):
            found = self.landmark_heads(features.pooled.float())
            # The heads count pixels from the crop's edge, this package from its first centre.
            landmarks = (found.landmarks[..., :2] - 0.5) / self.config.input_size
            landmarks = self.to_tips @ landmarks
        presence, handedness = found.presence, found.handedness
        if self.crop_head is not None:
            presence, handedness = self.crop_head(features.x16)
        region = None if self.region_head is None else self.region_head(features.x16)
        return {
            "landmarks": landmarks, "presence": presence, "handedness": handedness, "region": region
        }  # fmt: skip


def _to_tips() -> Tensor:
    """Return the matrix (21, 21) that lengthens the last bones of joints (21, 2)."""
    matrix = torch.eye(21)
    for tip, reach in zip(TIPS, TIP_REACH, strict=True):
        matrix[tip, tip], matrix[tip, tip - 1] = reach, 1 - reach
    return matrix


class TopDown(nn.Module):
    """Trunk features -> maps (N, C, S/4, S/4): each level is added to the coarser one, doubled."""

    def __init__(self, widths: MobileConfig):
        super().__init__()
        channels = TrunkChannels.of(widths.trunk)
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(trunk, width, 1, bias=False), nn.BatchNorm2d(width))
            for trunk, width in zip(channels[1:5], widths.maps, strict=True)
        )
        self.narrow = nn.ModuleList(
            nn.Conv2d(deep, width, 1, bias=False)
            for width, deep in zip(widths.maps[:-1], widths.maps[1:], strict=True)
        )
        self.smooth = nn.ModuleList(conv(width, width) for width in widths.maps)

    def forward(self, features: TrunkFeatures) -> Tensor:
        """Return the finest maps."""
        *finer, coarsest = features[1:5]
        x = self.smooth[-1](F.relu(self.lateral[-1](coarsest)))
        for level in reversed(range(len(finer))):
            x = F.interpolate(self.narrow[level](x), scale_factor=2.0, mode="bilinear")
            x = self.smooth[level](F.relu(x + self.lateral[level](finer[level])))
        return x


class MapStage(nn.Module):
    """Predict maps from features (N, C, h, w) and, after the first stage, from earlier maps."""

    def __init__(self, width: int, earlier_maps: int, maps: int):
        super().__init__()
        self.fuse = conv(width + earlier_maps, width) if earlier_maps else None
        self.head = nn.Conv2d(width, maps, 3, padding=1)
        # Most cells are empty: start from there, not from one half.
        nn.init.constant_(self.head.bias, -4.0)

    def forward(self, x: Tensor, earlier: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the stage's features and its maps, probabilities."""
        if self.fuse is not None:
            x = self.fuse(torch.cat([x, *earlier], dim=1))
        return x, torch.sigmoid(self.head(x))
