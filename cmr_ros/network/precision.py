"""Half precision at run time: half the bytes of weights, and a GPU's matrix units."""

from __future__ import annotations

from torch import nn

from cmr_ros.network.decoder import FixedSpiral, MeshHeads, StartMesh
from cmr_ros.network.nudge import Nudge
from cmr_ros.network.trunk import LandmarkHeads

#: What computes in single precision under autocast, too, and so must keep its weights.
_SINGLE = (MeshHeads, StartMesh, Nudge, LandmarkHeads)
#: What autocast computes in half precision.
_HEAVY = (nn.Conv2d, nn.Linear, FixedSpiral)


def halve(network: nn.Module) -> None:
    """Store the weights that autocast would convert at every call in half precision.

    The network then runs under `torch.autocast` in half precision, and nowhere else.  All other
    numbers stay as they are: statistics of batch norms, and what decides coordinates.
    """
    if isinstance(network, _SINGLE):
        return
    if isinstance(network, _HEAVY):
        network.half()
    for part in network.children():
        halve(part)
