"""`cmr benchmark node`: real nodes, players and listeners, one each for a camera."""

import json

import pytest

from cmr_ros.cli import main
from support.recordings import short_recording

pytest.importorskip("rclpy", reason="ROS is not installed")
