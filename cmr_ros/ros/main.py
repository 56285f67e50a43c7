"""The process of `hand_node`."""

from __future__ import annotations

import rclpy
from rclpy.executors import ExternalShutdownException

from cmr_ros.ros.memory import limit_arenas
from cmr_ros.ros.node import HandNode
from cmr_ros.ros.process import run


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop; return the exit status."""
    limit_arenas()
    return run("hand_node", _started, _spin, args)


def _started() -> HandNode:
    node = HandNode()
    node.start()
    return node


def _spin(node: HandNode) -> None:
    """Spin until rclpy is shut down; what escapes all callbacks' own guards does not end it."""
    while rclpy.ok():
        with node.health.guard("node", lapse_s=10.0):
            try:
                rclpy.spin(node)
            except ExternalShutdownException:
                return
