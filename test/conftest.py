"""What every test process needs before anything of ROS is imported, and what ships for all tests.

Fixtures import what they need when they are first asked for: many tests do without.
"""

import os

import pytest
from hypothesis import settings

from cmr_ros.ros.distribution import fastdds_profiles_variable
from support.shared import ROOT

# One thread each, in this process and in those it starts: networks and images of tests are small,
# and threads that wait for each other take the processor from whatever else runs.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ[name] = "1"
os.environ["LP_NUM_THREADS"] = "0"  # Mesa's rasteriser, none but the caller's

# A domain of this test run's own; above 101 the ports would be those of outgoing connections.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ[fastdds_profiles_variable(os.environ)] = str(ROOT / "config/fastdds.xml")

# The same examples on every machine and in every run.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

#: What takes a minute or more.  Given out first, no process is left alone with one at the end.
_LONG = {
    "test_demo", "test_faults", "test_gpu_check", "test_import_checkpoint", "test_inference",
    "test_lifecycle", "test_live", "test_long_days", "test_package", "test_training",
    "test_viewer", "test_workers",
}  # fmt: skip


def pytest_collection_modifyitems(items):
    """Bring the long files to the front; else the order stays."""
    items.sort(key=lambda item: item.path.stem not in _LONG)


@pytest.fixture(scope="session")
def shipped_template():
    """The template of the shipped network."""
    from cmr_ros.model import weights
    from cmr_ros.model.template import HandTemplate

    return HandTemplate.load(weights.find(weights.HAND_NETWORK) / "template.npz")


@pytest.fixture(scope="session")
def hand_model():
    """The parametric hand that ships for training."""
    from cmr_ros.hand_model.model import HandModel
    from cmr_ros.model import weights

    return HandModel.load(weights.find("hand_model.npz"))


@pytest.fixture(scope="session")
def needs_egl():
    """Skip where nothing can be rendered."""
    pytest.importorskip("moderngl", reason="moderngl is not installed")
    from cmr_ros.errors import InputError
    from cmr_ros.synthesis.renderer import Renderer

    try:
        Renderer(8)
    except InputError as error:
        pytest.skip(f"rendering needs EGL: {error}")


@pytest.fixture(scope="session")
def recorded_messages():
    """The JPEG images and a camera_info of the recording that ships, as ROS messages."""
    from support.peer import recorded_messages

    return recorded_messages()
