"""Loads released checkpoints into the networks of this package."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import nn

from cmr_ros.errors import InputError, reason
from cmr_ros.model.template import HandTemplate
from cmr_ros.network.build import build
from cmr_ros.network.config import PRESETS, NetworkConfig

#: Parameters that lie at the top of the published networks and in `decoder` of ours.
_DECODER = ("attention", "de_layers", "heads")


def published_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return a network's parameters by the names that released checkpoints give them."""
    return {key.removeprefix("decoder."): value for key, value in network.state_dict().items()}


def load_published(path: Path | str, config: NetworkConfig, template: HandTemplate) -> nn.Module:
    """Return the network of a configuration with the parameters of a released checkpoint.

    Raises InputError for a file that is missing, truncated, not just weights, of another variant
    or template, or in which a parameter is missing, unexpected or not finite.
    """
    state = _read_state(path)
    network = build(config, template)
    expected = {key: tuple(value.shape) for key, value in published_state(network).items()}
    _check_names(path, state, expected, template)
    for key, shape in expected.items():
        if tuple(state[key].shape) != shape:
            raise InputError(
                f"{path}: {key} has the shape {tuple(state[key].shape)}, here it is {shape}; "
                "is it another encoder's, or was it trained with another template?"
            )
        if not torch.isfinite(state[key]).all():
            raise InputError(f"{path}: {key} is not finite; the checkpoint is damaged")
    own_names = {
        f"decoder.{key}" if key.split(".")[0] in _DECODER else key: value
        for key, value in state.items()
    }
    network.load_state_dict(own_names)
    return network


def _read_state(path: Path | str) -> dict[str, torch.Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except pickle.UnpicklingError:
        raise InputError(
            f"{path}: refused, it holds more than weights, and loading it could run code"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: not a whole checkpoint ({reason(error)}); fetch it again"
        ) from None
    state = content.get("model_state_dict", content) if isinstance(content, dict) else None
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: holds no model_state_dict")
    # Training on several devices leaves its mark on every name.
    return {key.removeprefix("module."): value for key, value in state.items()}


def _check_names(
    path: Path | str,
    state: dict[str, torch.Tensor],
    expected: dict[str, tuple],
    template: HandTemplate,
) -> None:
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    problems = [
        f"{len(keys)} parameters {problem}, such as {keys[0]}"
        for problem, keys in (("missing", missing), ("unexpected", unexpected))
        if keys
    ]
    if problems:
        fitting = _fitting_variants(state, template)
        hint = f"; it is of {' or '.join(fitting)}" if fitting else ""
        raise InputError(f"{path}: not of this variant, {' and '.join(problems)}{hint}")


def _fitting_variants(state: dict[str, torch.Tensor], template: HandTemplate) -> list[str]:
    """Return the presets that have these parameters, whatever the template."""
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    fitting = []
    for name, config in PRESETS.items():
        if len(config.decoder.widths) != len(template.up):
            continue
        with torch.device("meta"):
            own = published_state(build(config, template))
        if set(own) == set(shapes) and all(
            tuple(value.shape) == shapes[key]
            for key, value in own.items()
            if not key.startswith("de_layers.0")
        ):
            fitting.append(name)
    return fitting
