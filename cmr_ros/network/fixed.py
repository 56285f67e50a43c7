"""What follows from weights alone, computed once: on a GPU small steps cost as much as large."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fix(network: nn.Module) -> None:
    """Merge weights of a network in place, and fold batch norms into the convolutions before them.

    It answers as before, but for rounding, and can neither be trained nor saved any more.
    """
    before = "", nn.Identity()
    for name, part in list(network.named_children()):
        if isinstance(part, nn.BatchNorm2d) and isinstance(before[1], nn.Conv2d):
            setattr(network, before[0], fuse_conv_bn_eval(before[1], part))
            part = nn.Identity()
        elif hasattr(part, "fixed"):
            part = part.fixed().eval()
        else:
            fix(part)
        setattr(network, name, part)
        before = name, part
