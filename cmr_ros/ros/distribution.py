"""What differs between ROS 2's distributions, from Humble on; everything else is the same in all.

Imports rclpy only where it is needed, for those who set the environment up before.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, MutableMapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmr_ros.files import share

if TYPE_CHECKING:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
    from rclpy.lifecycle import LifecycleNode


def fastdds_profiles_variable(environment: Mapping[str, str]) -> str:
    """Return the name of the variable that tells Fast DDS where its profiles are.

    Fast DDS 3 (from Kilted on) warns of the name that those before it read.

    Args:
        environment: of the process that is to read it.
    """
    prefixes = [*environment.get("AMENT_PREFIX_PATH", "").split(":"), sys.prefix]
    is_old = any(Path(one, "share/fastrtps").is_dir() for one in prefixes if one)
    return f"{'FASTRTPS' if is_old else 'FASTDDS'}_DEFAULT_PROFILES_FILE"


def set_apart(environment: MutableMapping[str, str]) -> None:
    """Have a process and those it starts talk among themselves alone, with room for images.

    Whatever the environment says already holds.  To be called before `rclpy.init`.
    """
    # Above 101 the ports would be those of outgoing connections.
    environment.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    environment.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    profiles = share.find("config", "fastdds.xml")
    environment.setdefault(fastdds_profiles_variable(environment), str(profiles))


def subscription_events(**callbacks: Any) -> SubscriptionEventCallbacks:
    """Return what rclpy is to call of a subscription's events."""
    return _event_handler().SubscriptionEventCallbacks(**callbacks)


def publisher_events(on_matched: Callable[[Any], None]) -> PublisherEventCallbacks | None:
    """Return what rclpy is to call of a publisher's events; None in Humble, which has none.

    on_matched: called when a subscription has come or gone.
    """
    kind = _event_handler().PublisherEventCallbacks
    return None if _is_humble() else kind(matched=on_matched)


def with_info(callback: Callable[[Any, dict], None]) -> Callable:
    """Return a subscription's callback of a message and what the middleware says of it.

    Humble does not hand that on: an empty dictionary.
    """
    return (lambda message: callback(message, {})) if _is_humble() else callback


def answer_impossible_transitions(node: LifecycleNode) -> None:
    """Have a node answer that a transition is not possible.

    Before Kilted the error passes through the service, which never answers.
    """
    service = node._service_change_state  # rclpy has no other way to it
    change = service.callback

    def answer(request, response):
        try:
            return change(request, response)
        except RuntimeError as error:  # rclpy's; what the node itself raises ends before
            node.get_logger().error(f"transition {request.transition.id}: {error}")
            response.success = False
            return response

    service.callback = answer


def _is_humble() -> bool:
    return find_spec("rclpy.event_handler") is None


def _event_handler() -> Any:
    return import_module("rclpy.qos_event" if _is_humble() else "rclpy.event_handler")
