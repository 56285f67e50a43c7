"""A process that runs one node: from its start to its exit status."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.logging import get_logger
from rclpy.node import Node

from cmr_ros.errors import CmrError, InputError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Stopped(BaseException):
    """A signal has come: whatever is at work ends here."""


def run(
    name: str,
    make_node: Callable[[], Node],
    spin: Callable[[Node], None] = rclpy.spin,
    args: list[str] | None = None,
) -> int:
    """Run a node until it is told to stop; return the exit status.

    Args:
        name: of the node, for the log.
        make_node: returns the node; a CmrError that it raises is logged, and the status is 1.
        spin: runs the node.
        args: ROS arguments; None: those of the process.
    """
    _on_signals(_stop)
    node = None
    try:
        _start_ros(args)
        node = make_node()
        spin(node)
    except (_Stopped, ExternalShutdownException):
        pass
    except (CmrError, ParameterException) as error:
        get_logger(name).fatal(str(error))
        return 1
    except Exception:
        # rclpy has a handler, too, which invalidates the context under whatever call is at work.
        if rclpy.ok():
            raise
    finally:
        _on_signals(_ignore)
        # Before the context, and not by Python's last moments, when the libraries are gone.
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
        # For good: to Python's last moments its own handlers would mean death by the signal.
        _on_signals(signal.SIG_IGN)
    return 0


def _start_ros(args: list[str] | None) -> None:
    try:
        rclpy.init(args=args)
    except RuntimeError as error:
        raise InputError(f"the node's arguments are wrong: {error}") from error


def _on_signals(handler) -> None:
    for number in _SIGNALS:
        signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    _on_signals(_ignore)
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return  # which swallows exceptions; rclpy's handler has ended its context, so spin ends
        frame = frame.f_back
    raise _Stopped


def _ignore(*_) -> None:
    """Take no note of a second signal."""
