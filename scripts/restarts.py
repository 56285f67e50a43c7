#!/usr/bin/env python3
"""Starts and stops the pipeline again and again, or the node, and prints what it holds.

Ten lines: starts so far, memory, threads and file descriptors once it is stopped.  Ends with status
1 where any of them grows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from soak import Held

from cmr_ros.pipeline import HandPipeline
from cmr_ros.ros.distribution import set_apart
from cmr_ros.ros.memory import limit_arenas, release_memory

_START_AND_STOP = (Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE)
_WHOLE_ROUND = (
    Transition.TRANSITION_CONFIGURE,
    *_START_AND_STOP,
    Transition.TRANSITION_CLEANUP,
)


class Manager:
    """Takes a node through its states, by its services."""

    def __init__(self):
        rclpy.init()
        self._node = rclpy.create_node("restarts", namespace="restarts")
        self._change = self._node.create_client(ChangeState, "hand_node/change_state")
        self._change.wait_for_service()

    def take(self, *steps: int) -> None:
        """Have the node make transitions; RuntimeError where one fails."""
        for step in steps:
            answer = self._change.call_async(ChangeState.Request(transition=Transition(id=step)))
            rclpy.spin_until_future_complete(self._node, answer)
            if not answer.result().success:
                raise RuntimeError(f"transition {step} has failed")


def _pipeline() -> None:
    HandPipeline(threads=2, looks_beside=True)
    release_memory()


def _run(count: int, once: Callable[[], None], pid: int) -> int:
    print("starts   MB  threads  files")
    settled = None
    for part in range(10):
        for _ in range(count // 10):
            once()
        held = Held.by(pid)
        print(
            f"{(part + 1) * (count // 10):6d} {held.memory_mb:4.0f}  {held.threads:7d}  "
            f"{held.files:5d}",
            flush=True,
        )
        settled = settled or held
    grown = held.has_grown(settled)
    print("something grows" if grown else "memory, threads and descriptors are flat")
    return int(grown)


def main() -> int:
    """Run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument(
        "--node", choices=["configure", "activate"],
        help="the node by its lifecycle services: from unconfigured to active and back, or from "
        "inactive, with its networks loaded",
    )  # fmt: skip
    args = parser.parse_args()
    if not args.node:
        limit_arenas()
        return _run(args.count, _pipeline, os.getpid())
    set_apart(os.environ)
    options = ("-r", "__ns:=/restarts", "-p", "autostart:=false", "--log-level", "warn")
    command = [sys.executable, "-m", "cmr_ros.ros", "--ros-args", *options]
    with tempfile.TemporaryDirectory() as folder:
        node = subprocess.Popen(command, cwd=folder)
        try:
            manager = Manager()
            if args.node == "activate":
                manager.take(Transition.TRANSITION_CONFIGURE)
            steps = _START_AND_STOP if args.node == "activate" else _WHOLE_ROUND
            return _run(args.count, lambda: manager.take(*steps), node.pid)
        finally:
            node.terminate()
            node.wait(20)


if __name__ == "__main__":
    sys.exit(main())
