"""The values of the node's parameters: declared, read and checked, changed while it runs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import Field, fields, replace
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from cmr_ros.errors import InputError
from cmr_ros.ros.parameters import Parameters

#: Frame names may have slashes inside, but tf2 refuses those that begin with one.
_FRAME_PREFIX = re.compile(r"(?!/)[\w.\-/]*", re.ASCII)
_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list: "a list of strings",
}


def declare(
    node: Node, on_change: Callable[[Parameters], None], is_configured: Callable[[], bool]
) -> Parameters:
    """Declare all parameters and return their values at start; warn of names nobody knows.

    Args:
        node: to declare them for.
        on_change: gets all values whenever one changes.
        is_configured: whether the fixed parameters have been read.

    Raises:
        InputError: for a value that a parameter cannot have.
    """
    # rclpy tells nobody else what the command line and parameter files hold.
    given = {name: parameter.value for name, parameter in node._parameter_overrides.items()}
    current = _changed(Parameters(), given)
    for about in fields(Parameters):
        value = getattr(current, about.name)
        node.declare_parameter(about.name, value, _descriptor(about), ignore_override=True)
    for name in given:
        # Those about quality of service are declared with the topics.
        if not name.startswith("qos_overrides.") and not node.has_parameter(name):
            node.get_logger().warning(_unknown(name))

    def on_set(changes: list[Parameter]) -> SetParametersResult:
        nonlocal current
        try:
            wanted = _changed(current, {change.name: change.value for change in changes})
            if is_configured():
                _check_fixed(current, wanted)
            on_change(wanted)
        except InputError as error:
            return SetParametersResult(successful=False, reason=str(error))
        except Exception as error:  # the node goes on with what it had
            reason = f"{type(error).__name__}: {error}"
            return SetParametersResult(successful=False, reason=reason)
        current = wanted
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(on_set)
    return current


def _changed(parameters: Parameters, given: dict[str, Any]) -> Parameters:
    """Return the parameters with those that are given in place of their own."""
    known = [about for about in fields(Parameters) if about.name in given]
    return replace(parameters, **{about.name: read(about, given[about.name]) for about in known})


def _check_fixed(current: Parameters, wanted: Parameters):
    for about in fields(Parameters):
        same = getattr(current, about.name) == getattr(wanted, about.name)
        if about.metadata["fixed"] and not same:
            raise InputError(
                f"parameter {about.name} is read when the node is configured: clean up the node "
                "before it is changed (`ros2 lifecycle set NODE deactivate`, then cleanup)"
            )


def read(about: Field, given: Any) -> Any:
    """Return what a value means to a parameter; InputError where it has no meaning.

    A whole number will do for a number, and `cuda,cpu` for a list.
    """
    value, kind = given, type(_default(about))
    if kind is float and type(value) is int:
        value = float(value)
    elif kind is int and type(value) is float and value.is_integer():
        value = int(value)
    elif kind is list and type(value) is str:
        value = [part.strip() for part in value.split(",")]
    limits, choices = about.metadata["limits"], about.metadata["choices"]
    if type(value) is not kind or (kind is list and not _all_words(value)):
        raise InputError(f"parameter {about.name} is {given!r}: must be {_KINDS[kind]}")
    if limits and not limits[0] <= value <= limits[1]:
        raise InputError(
            f"parameter {about.name} is {given!r}: must be from {limits[0]:g} to {limits[1]:g}"
        )
    if choices and value not in choices:
        raise InputError(
            f"parameter {about.name} is {given!r}: must be one of {', '.join(choices)}"
        )
    if about.name == "frame_prefix" and not _FRAME_PREFIX.fullmatch(value):
        raise InputError(
            f"parameter frame_prefix is {given!r}: may consist of letters, digits, '_', '-', '.' "
            "and '/', and must not begin with '/'"
        )
    return value


def _all_words(values: Iterable[Any]) -> bool:
    return all(type(value) is str and value for value in values)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, [about.name for about in fields(Parameters)], n=1)
    question = f"; did you mean {near[0]}?" if near else ""
    return f"there is no parameter {name}, so it has no effect{question}"


def _default(about: Field) -> Any:
    return getattr(Parameters(), about.name)


def _descriptor(about: Field) -> ParameterDescriptor:
    limits, choices = about.metadata["limits"], about.metadata["choices"]
    descriptor = ParameterDescriptor(
        description=about.metadata["description"],
        additional_constraints=f"one of {', '.join(choices)}" if choices else "",
        dynamic_typing=True,  # rclpy would refuse 1 for 1.0; `read` knows better
    )
    if limits:
        low, high = limits
        if isinstance(low, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        else:
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
    return descriptor
