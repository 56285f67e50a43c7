#!/usr/bin/env python3
"""The executable `hand_node`, also `python -m cmr_ros.ros`."""

import os
import signal
import sys

if __name__ == "__main__":
    # While modules are still being imported there is nothing to end but this process.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))

    try:
        from cmr_ros.ros.main import main
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        # Distributions have no package of it, so an installation may come without.
        sys.exit("hand_node: onnxruntime is missing; pip install onnxruntime")

    sys.exit(main())
