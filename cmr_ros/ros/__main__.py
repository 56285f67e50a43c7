#!/usr/bin/env python3
"""The executable `hand_node`, also `python -m cmr_ros.ros`."""

import os
import signal
import sys

if __name__ == "__main__":
    # While modules are still being imported there is nothing to end but this process.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))

    from cmr_ros.ros.main import main

    sys.exit(main())
