"""What the node reports on /diagnostics, without a graph."""

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus

from cmr_ros.ros.health import Health


class StandIn:
    """Stands in for a node: keeps what is published and logged, and reports when asked to."""

    def __init__(self):
        self.reports, self.warnings = [], []

    def create_publisher(self, kind, topic, depth):
        return SimpleNamespace(publish=self.reports.append)

    def create_timer(self, period_s, callback, clock):
        self.tick = callback

    def get_fully_qualified_name(self):
        return "/camera/hand_node"

    def get_logger(self):
        return SimpleNamespace(warning=self.warnings.append)

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(to_msg=Time))

    def report(self) -> DiagnosticStatus:
        self.tick()
        return self.reports[-1].status[0]


@pytest.fixture
def node():
    return StandIn()


@pytest.fixture
def health(node):
    return Health(node, "/camera/image_raw", "onnxruntime")


def test_what_leaves_hands_published_is_a_warning(node, health):
    assert node.report().level == DiagnosticStatus.OK
    health.trouble("depth", "hands are placed without depth", degraded=True)
    status = node.report()
    assert status.level == DiagnosticStatus.WARN and "without depth" in status.message
    health.clear("depth")
    assert node.report().level == DiagnosticStatus.OK


def test_an_error_outranks_a_warning_and_both_are_reported(node, health):
    health.trouble("camera_info", "no camera_info")
    health.trouble("depth", "without depth", degraded=True)
    status = node.report()
    assert status.level == DiagnosticStatus.ERROR
    assert status.message == "no camera_info; without depth"
    assert node.warnings == ["no camera_info", "without depth"]
