#!/usr/bin/env python3
"""`python -m cmr_ros`, and `ros2 run cmr_ros cmr` where colcon installed the package."""

import sys

from cmr_ros.cli import main

if __name__ == "__main__":
    sys.exit(main())
