#!/usr/bin/env python3
"""The executable `hand_node`, also `python -m cmr_ros.ros`."""

import sys

from cmr_ros.ros.node import main

if __name__ == "__main__":
    sys.exit(main())
