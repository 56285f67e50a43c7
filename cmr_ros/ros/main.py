"""The process of `hand_node`: from its start to its exit status."""

from __future__ import annotations

import signal

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.logging import get_logger

from cmr_ros.errors import CmrError, InputError
from cmr_ros.ros.node import HandNode

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Stopped(BaseException):
    """A signal has come: whatever is at work ends here."""


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop; return the exit status."""
    _on_signals(_stop)
    try:
        _start_ros(args)
        _spin(HandNode())
    except _Stopped:
        pass
    except (CmrError, ParameterException) as error:
        get_logger("hand_node").fatal(str(error))
        return 1
    except Exception:
        # rclpy has a handler, too, which invalidates the context under whatever call is at work.
        if rclpy.ok():
            raise
    finally:
        _on_signals(_ignore)
        rclpy.try_shutdown()
        # For good: to Python's last moments its own handlers would mean death by the signal.
        _on_signals(signal.SIG_IGN)
    return 0


def _start_ros(args: list[str] | None) -> None:
    try:
        rclpy.init(args=args)
    except RuntimeError as error:
        raise InputError(f"the node's arguments are wrong: {error}") from error


def _spin(node: HandNode) -> None:
    """Spin until rclpy is shut down; what escapes all callbacks' own guards does not end it."""
    while rclpy.ok():
        with node.health.guard("node", lapse_s=10.0):
            try:
                rclpy.spin(node)
            except ExternalShutdownException:
                return


def _on_signals(handler) -> None:
    for number in _SIGNALS:
        signal.signal(number, handler)


def _stop(*_) -> None:
    _on_signals(_ignore)
    raise _Stopped


def _ignore(*_) -> None:
    """Take no note of a second signal."""
