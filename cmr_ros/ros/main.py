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
    return run("hand_node", HandNode, _spin, args)


def _spin(node: HandNode) -> None:
    """Start, and spin until rclpy is shut down; what escapes all callbacks does not end it."""
    node.start()
    while rclpy.ok():
        with node.health.guard("node", lapse_s=10.0):
            try:
                rclpy.spin(node)
            except ExternalShutdownException:
                return
