"""Loads released checkpoints into the networks of this package."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from cmr_ros.errors import InputError
from cmr_ros.model.template import HandTemplate
from cmr_ros.network.build import build
from cmr_ros.network.config import PRESETS, NetworkConfig
from cmr_ros.network.torch_files import read_torch_file


def published_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return a network's parameters by the names that released checkpoints give them."""
    return {_published_name(own): value for own, value in network.state_dict().items()}


def _published_name(own: str) -> str:
    """Return the released name of a parameter: the parts of our `decoder` lie at the top there."""
    return own.removeprefix("decoder.")


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
    network.load_state_dict({own: state[_published_name(own)] for own in network.state_dict()})
    return network


def _read_state(path: Path | str) -> dict[str, torch.Tensor]:
    content = read_torch_file(path, "fetch the released checkpoint again")
    state = content.get("model_state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state or not all(map(_is_parameter, state.items())):
        raise InputError(f"{path}: holds no model_state_dict; fetch the released checkpoint again")
    # Training on several devices leaves its mark on every name.
    return {key.removeprefix("module."): value for key, value in state.items()}


def _is_parameter(entry: tuple) -> bool:
    return isinstance(entry[0], str) and isinstance(entry[1], torch.Tensor)


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
