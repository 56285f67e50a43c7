"""What every test process needs before anything of ROS is imported."""

import os

from support.shared import ROOT

# One thread each, in this process and in those it starts: networks and images of tests are small,
# and threads that wait for each other take the processor from whatever else runs.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ[name] = "1"
os.environ["LP_NUM_THREADS"] = "0"  # Mesa's rasteriser, none but the caller's

# A domain of this test run's own; above 101 the ports would be those of outgoing connections.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(ROOT / "config/fastdds.xml")
