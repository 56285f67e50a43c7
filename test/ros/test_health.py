"""What the node reports on /diagnostics, without a graph."""

import time
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus

from cmr_ros.errors import InputError
from cmr_ros.ros.health import Health


class StandIn:
    """Stands in for a node: keeps what is published and logged, and reports when asked to."""

    def __init__(self, clock):
        self.clock = clock
        self.reports, self.warnings, self.traces = [], [], []
        self.context = SimpleNamespace(ok=lambda: True)

    def create_publisher(self, kind, topic, depth):
        return SimpleNamespace(publish=self.reports.append)

    def create_timer(self, period_s, callback, clock):
        self.tick = callback

    def get_fully_qualified_name(self):
        return "/camera/hand_node"

    def get_logger(self):
        return SimpleNamespace(warning=self.warnings.append, debug=self.traces.append)

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(to_msg=Time))

    def report(self) -> DiagnosticStatus:
        self.clock.now_s += 1
        self.tick()
        return self.reports[-1].status[0]


@pytest.fixture
def node(clock):
    return StandIn(clock)


@pytest.fixture
def clock(monkeypatch):
    """Set the time by hand: it is `clock.now_s`."""
    clock = SimpleNamespace(now_s=100.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now_s)
    return clock


@pytest.fixture
def health(node):
    return Health(node)


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


@pytest.mark.parametrize("error", [TypeError, MemoryError, AssertionError, OSError, RuntimeError])
def test_whatever_is_raised_is_a_trouble_until_it_no_longer_is(node, health, error):
    for size in range(10, 20):
        with health.guard("image"):
            raise error(f"{size} bytes\nand more")
    (warning,) = node.warnings
    assert error.__name__ in warning and "10 bytes" in warning and "more" not in warning
    assert "Traceback" in node.traces[0]
    assert "19 bytes" in node.report().message and node.report().level == DiagnosticStatus.ERROR
    with health.guard("image"):
        pass
    assert node.report().level == DiagnosticStatus.OK


def test_errors_made_for_users_are_told_as_they_are(node, health):
    with health.guard("depth", "without depth: ", degraded=True):
        raise InputError("use registered depth")
    assert node.warnings == ["without depth: use registered depth"] and not node.traces
    assert node.report().level == DiagnosticStatus.WARN


def test_a_signal_that_ends_the_work_is_no_trouble(node, health):
    node.context.ok = lambda: False
    with health.guard("image"):
        raise RuntimeError("context is invalid")
    assert not node.warnings


def test_a_single_refusal_is_no_trouble_but_many_are(node, health, clock):
    def refuse():
        health.trouble("refusals", "cannot be placed", grace_s=1.0, lapse_s=3.0)

    refuse()
    clock.now_s += 4
    refuse()
    assert not node.warnings, "the first is forgotten"
    clock.now_s += 1.5
    refuse()
    assert node.warnings == ["cannot be placed"] and node.report().message == "cannot be placed"
    clock.now_s += 4
    assert node.report().level == DiagnosticStatus.OK, "it lapses"


def test_skipped_images_make_the_difference_between_received_and_processed(node, health):
    health.received(30)
    for _ in range(10):
        health.published(0.05, 0.04, 1)
    status = node.report()
    values = {pair.key: pair.value for pair in status.values}
    assert values["images received per second"] == "30.0"
    assert values["images processed per second"] == "10.0"
    assert status.message == "1 hand"


def test_stages_and_refused_hands_are_counted_for_a_second(node, health):
    health.model = "hand_mobile"
    for duration_ms in range(1, 11):
        health.stage("network", duration_ms / 1000)
        health.published(None, 0.01, 0)
    health.received(12)
    health.refused(["the joints place the hand 12 m away", "the joints place the hand 31 m away"])
    health.refused(["the mesh is not finite"])
    values = {pair.key: pair.value for pair in node.report().values}
    assert values["stage network, ms"] == "6.0"
    assert values["stage network, 90th percentile, ms"] == "10.0"
    assert values["latency since the image's stamp, ms"] == "-"
    assert values["images skipped per second"] == "2.0"
    assert values["hands refused"] == "3"
    assert values["hands refused: the joints place the hand # m away"] == "2"
    assert values["model"] == "hand_mobile"
    values = {pair.key: pair.value for pair in node.report().values}
    assert values["hands refused"] == "0" and "stage network, ms" not in values


def test_idle_is_told_and_troubles_of_images_are_forgotten(node, health):
    health.trouble("image", "cannot be read")
    health.forget()
    health.resting = "idle: nobody listens"
    assert node.report().message == health.resting and node.report().level == DiagnosticStatus.OK
