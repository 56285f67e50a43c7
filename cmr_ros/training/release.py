"""From a training run's checkpoint to a network that can be exported, and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from cmr_ros.errors import InputError, reason
from cmr_ros.model.card import ModelCard
from cmr_ros.model.template import HandTemplate
from cmr_ros.network.build import build
from cmr_ros.network.checkpoint import load_checkpoint
from cmr_ros.network.config import NetworkConfig
from cmr_ros.network.engine import stored_network
from cmr_ros.synthesis.shards import Shards


def trained_network(
    path: Path | str, template: HandTemplate
) -> tuple[NetworkConfig, nn.Module, dict[str, float]]:
    """Return configuration, averaged network and last validation of a checkpoint of `cmr train`.

    Raises InputError for a file that is none, or that was trained with another template.
    """
    state = load_checkpoint(path, ("average", "config", "metrics"))
    try:
        values = json.loads(state["config"])
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: its entry 'config' is none ({reason(error)})") from None
    config = NetworkConfig.from_dict(values)
    network = build(config, template)
    if not isinstance(state["average"], dict) or not isinstance(state["metrics"], dict):
        raise InputError(f"{path}: its entries 'average' and 'metrics' are none of `cmr train`")
    try:
        network.load_state_dict(state["average"])
    except RuntimeError as error:
        what = str(error).splitlines()[-1].strip()
        raise InputError(f"{path}: trained with another template? ({what})") from None
    return config, network, state["metrics"]


def blend(network: nn.Module, folder: Path) -> None:
    """Make a network's weights the mean of its own and a model folder's, in place.

    On images of other kinds than it was trained on last, a network between the one that training
    started from and the one it ended with is better than either (Wortsman et al., Robust
    fine-tuning of zero-shot models, CVPR 2022).  A region head, which no network keeps whose trunk
    is trained, may be the folder's alone.  Raises InputError for a folder of another network.
    """
    state, before = network.state_dict(), exported_weights(folder)
    for name, values in before.items():
        if name.startswith("region_head.") and name not in state:
            continue
        if name not in state or state[name].shape != values.shape:
            raise InputError(f"{folder}: of another network, {name!r} does not fit")
        if values.is_floating_point():
            state[name].lerp_(values.to(state[name].dtype), 0.5)


def exported_weights(folder: Path) -> dict[str, Tensor]:
    """Return the arrays of a model folder's network by name, as the network was trained.

    What the file does not hold is left out.  Raises InputError for a folder that is none.
    """
    card = ModelCard.load(folder / "model.json")
    template = HandTemplate.load(folder / "template.npz")
    state = stored_network(folder / "model.onnx", card, template).network.state_dict()
    return {name: values for name, values in state.items() if not values.isnan().any()}


def rendered_pictures(folder: Path | str, count: int) -> np.ndarray:
    """Return the first pictures (N, S, S, 3) of a set of `cmr synth render`."""
    shards = Shards(folder)
    return np.stack([shards[index].picture for index in range(min(count, len(shards)))])
