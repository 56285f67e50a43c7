"""Time stamps of ROS messages."""

from __future__ import annotations

from typing import Protocol


class Stamp(Protocol):
    """A builtin_interfaces/Time, of rclpy or of rosbags."""

    sec: int
    nanosec: int


def nanoseconds(stamp: Stamp) -> int:
    """Return a stamp as nanoseconds since the epoch."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec
