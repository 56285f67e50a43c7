"""Makes the network that a configuration describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from cmr_ros.network.cmr import CameraSpaceMeshRecovery
from cmr_ros.network.config import NetworkConfig
from cmr_ros.network.mobile import MobileMeshRecovery

if TYPE_CHECKING:
    from cmr_ros.model.template import HandTemplate


def build(config: NetworkConfig, template: HandTemplate) -> nn.Module:
    """Return a new network, pictures (N, 3, S, S) -> Recovery, for the template's mesh."""
    mobile = config.encoder == "mobile"
    return (MobileMeshRecovery if mobile else CameraSpaceMeshRecovery)(config, template)
