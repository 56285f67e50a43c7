"""CMR for a CPU: a trunk that knows real hands, light 2D stages, a light second encoder.

Trunk pyramid -> top-down decoder -> silhouette and heatmaps, a stage or two -> semantic
aggregation -> second encoder, fused with the trunk's deeper maps -> latent -> spiral decoder.
The trunk's summary of the picture is the latent's starting point; what the maps show, and where
their peaks are, is added.  The mesh that the decoder starts from is moved by the 3D joints of the
trunk's released head; what the decoder's levels correct stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmr_ros.geometry.skeleton import TIPS
from cmr_ros.network.aggregation import Aggregation
from cmr_ros.network.config import MobileConfig, NetworkConfig
from cmr_ros.network.decoder import SpiralDecoder
from cmr_ros.network.recovery import Recovery
from cmr_ros.network.trunk import LandmarkHeads, MobileTrunk, TrunkChannels, TrunkFeatures

if TYPE_CHECKING:
    from cmr_ros.model.template import HandTemplate

#: Lengths of the last bones, thumb to little finger, as multiples of the released heads', whose
#: tips lie under the nail; this package's lie where the flesh ends (`hand_model.build`).
TIP_REACH = (1.22, 1.21, 1.25, 1.31, 1.18)
_DROPOUT = 0.2
#: The nudge's inputs and outputs are about a tenth of a mesh's size; this brings them near one.
_DISTANCE_UNIT = 0.1
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
            **self._released_outputs(features.pooled),
        )

    def released_joints(self, pooled: Tensor) -> Tensor:
        """Return the released head's 3D joints (N, J, 3) in the meshes' units and axes.

        Their centre and their size carry no information.
        """
        with torch.autocast(pooled.device.type, enabled=False):
            return self.to_tips @ self.landmark_heads(pooled.float()).world / self.config.scale_m

    def _released_outputs(self, pooled: Tensor) -> dict[str, Tensor]:
        """Return the outputs of the trunk's released heads by their names in `Recovery`."""
        if self.landmark_heads is None:
            return {}
        # Half precision would round landmarks by a tenth of a pixel.
        with torch.autocast(pooled.device.type, enabled=False):
            found = self.landmark_heads(pooled.float())
            # The heads count pixels from the crop's edge, this package from its first centre.
            landmarks = (found.landmarks[..., :2] - 0.5) / self.config.input_size
            landmarks = self.to_tips @ landmarks
        return {"landmarks": landmarks, "presence": found.presence, "handedness": found.handedness}


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
        self.smooth = nn.ModuleList(_conv(width, width) for width in widths.maps)

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
        self.fuse = _conv(width + earlier_maps, width) if earlier_maps else None
        self.head = nn.Conv2d(width, maps, 3, padding=1)
        # Most cells are empty: start from there, not from one half.
        nn.init.constant_(self.head.bias, -4.0)

    def forward(self, x: Tensor, earlier: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the stage's features and its maps, probabilities."""
        if self.fuse is not None:
            x = self.fuse(torch.cat([x, *earlier], dim=1))
        return x, torch.sigmoid(self.head(x))


class MapEncoder(nn.Module):
    """Features and maps (N, C, S/4, S/4) and the trunk's features -> latent vector."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        widths, latent = config.mobile, config.decoder.latent
        channels = TrunkChannels.of(widths.trunk)
        inputs = [code + trunk for code, trunk in zip(widths.codes, channels[2:5], strict=True)]
        first = ContextConv(widths.maps[0], config, widths.codes[0])
        self.down = nn.ModuleList(
            [nn.Sequential(first, nn.BatchNorm2d(widths.codes[0]), nn.ReLU())]
        )
        for count, outputs in zip(inputs[:-1], widths.codes[1:], strict=True):
            self.down.append(_conv(count, outputs, stride=2))
        self.last = nn.Sequential(
            nn.Conv2d(inputs[-1], widths.flattened, 1, bias=False),
            nn.BatchNorm2d(widths.flattened),
            nn.ReLU(),
            nn.Flatten(),  # not averaged: positions are what the maps are for
            nn.Dropout(_DROPOUT),
            nn.Linear(widths.flattened * (config.input_size // 32) ** 2, latent),
        )
        self.start = nn.Sequential(
            nn.BatchNorm1d(channels.pooled, affine=False),
            nn.Dropout(_DROPOUT),
            nn.Linear(channels.pooled, widths.hidden),
            nn.ReLU(),
            nn.Linear(widths.hidden, latent),
        )
        self.peaks = nn.Sequential(
            nn.Linear(3 * config.joint_count, widths.hidden),
            nn.ReLU(),
            nn.Linear(widths.hidden, latent),
        )

    def forward(
        self, x: Tensor, heatmaps: Tensor, silhouette: Tensor, features: TrunkFeatures
    ) -> Tensor:
        """Return the latent vectors (N, latent).

        Args:
            x: features (N, C, S/4, S/4) of the last stage.
            heatmaps: (N, J, S/4, S/4), probabilities.
            silhouette: (N, 1, S/4, S/4), probabilities.
            features: of the trunk.
        """
        context = torch.cat([x, heatmaps, silhouette], dim=1)
        x = self.down[0](filled(context, dim=1))
        x = self.down[1](torch.cat([x, features.x8], dim=1))
        x = self.down[2](torch.cat([x, features.x16], dim=1))
        latent = self.last(torch.cat([x, features.x32], dim=1))
        return latent + self.start(features.pooled) + self.peaks(peak_features(heatmaps))


class ContextConv(nn.Conv2d):
    """A 3x3 convolution, stride 2, of features, pose maps, their groups' sums and a silhouette.

    A convolved sum of maps is a sum of weights: no group's map need be made.
    """

    def __init__(self, features: int, config: NetworkConfig, outputs: int):
        maps = config.joint_count + len(config.groups)
        super().__init__(features + maps + 1, outputs, 3, stride=2, padding=1, bias=False)
        self.aggregation = Aggregation(config.joint_count, config.groups)
        self.parts = (features, maps, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (N, outputs, h / 2, w / 2) of `filled` maps without the groups' sums."""
        return F.conv2d(x, self._merged(), None, self.stride, self.padding)

    def fixed(self) -> nn.Module:
        """Return what does the same with weights that no longer change."""
        weight = self._merged().detach()
        fixed = nn.Conv2d(weight.shape[1], len(weight), 3, stride=2, padding=1, bias=False)
        fixed.weight = nn.Parameter(weight, requires_grad=False)
        return fixed

    def _merged(self) -> Tensor:
        of_features, of_maps, of_silhouette = self.weight.split(self.parts, dim=1)
        merged = self.aggregation.merged(of_maps)
        return filled(torch.cat([of_features, merged, of_silhouette], dim=1), dim=1)


def filled(channels: Tensor, dim: int) -> Tensor:
    """Append zeros: engines have blocked layouts for channels in fours."""
    missing = -channels.shape[dim] % 4
    return torch.cat([channels, torch.zeros_like(channels.narrow(dim, 0, missing))], dim)


def peak_features(heatmaps: Tensor) -> Tensor:
    """Return columns, rows and heights (N, 3 J) of the peaks of heatmaps (N, J, h, w).

    Columns and rows are means of the squared maps, -1 to 1.  No gradient: what a mesh would like
    best of its maps would spoil them.
    """
    with torch.autocast(heatmaps.device.type, enabled=False):
        maps = heatmaps.detach().float()
        share = maps * maps
        share = share / share.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)
        column, row = (
            (share.sum(dim=along) * torch.linspace(-1, 1, cells, device=maps.device)).sum(dim=2)
            for along, cells in ((2, maps.shape[3]), (3, maps.shape[2]))
        )
        return torch.cat([column, row, maps.amax(dim=(2, 3))], dim=1)


class Nudge(nn.Module):
    """How far the released head would move a mesh (N, V_0, 3); not at all as long as untrained.

    The head has seen photographs, which the rest of the network has not, so its errors are others.
    The latent is no input: from it the layers could learn how wrong the head is on renders.  Nor is
    the size that the head predicts: it is the same for hands large and small.
    """

    def __init__(self, config: NetworkConfig, template: HandTemplate):
        super().__init__()
        regressor = torch.from_numpy(np.asarray(template.joint_regressor, np.float32))
        self.register_buffer("regressor", regressor, persistent=False)
        joint_count, vertex_count = regressor.shape
        self.layers = nn.Sequential(
            nn.Linear(7 * joint_count, config.nudge),
            nn.GELU(),
            nn.Linear(config.nudge, 3 * vertex_count),
        )
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, released: Tensor, mesh: Tensor, heatmaps: Tensor) -> Tensor:
        """Return the move for released joints (N, J, 3), a mesh (N, V_0, 3) and heatmaps."""
        with torch.autocast(mesh.device.type, enabled=False):
            joints = _centered(self.regressor @ mesh.float())
            released = _centered(released.float())
            apart = (released * (_size(joints) / _size(released)) - joints) / _DISTANCE_UNIT
            heights = heatmaps.float().amax(dim=(2, 3))
            inputs = torch.cat([apart.flatten(1), joints.flatten(1), heights], dim=1).detach()
            return _DISTANCE_UNIT * self.layers(inputs).unflatten(1, (-1, 3))


def _centered(points: Tensor) -> Tensor:
    return points - points.mean(dim=1, keepdim=True)


def _size(centered: Tensor) -> Tensor:
    return centered.norm(dim=(1, 2), keepdim=True).clamp_min(1e-6)


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
