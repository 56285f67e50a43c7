"""What every test process needs before anything of ROS is imported."""

import os

from support.shared import ROOT

# A domain of this test run's own; above 101 the ports would be those of outgoing connections.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(ROOT / "config/fastdds.xml")
