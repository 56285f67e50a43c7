"""What the node reports about itself: one warning per trouble, diagnostics once a second."""

from __future__ import annotations

import time
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

#: Seconds between two warnings about the same thing, whatever they say.
_WARNING_PERIOD_S = 2.0
#: Seconds without an image that pass without a warning.
_SILENCE_GRACE_S = 5.0


@dataclass
class _Trouble:
    text: str = ""
    level: bytes = DiagnosticStatus.ERROR
    lasts: bool = False
    due_s: float = 0.0  # when it is to be reported, on the monotonic clock
    logged_text: str = ""
    logged_s: float = -_WARNING_PERIOD_S  # when it was logged last, on the monotonic clock


class Health:
    """Collects troubles and timings; logs each trouble once and reports all on /diagnostics."""

    def __init__(self, node: Node, topic: str, serving: str):
        """Report for `node`; `topic` brings images, `serving` names what runs the network."""
        self._node, self._topic, self._serving = node, topic, serving
        self._troubles: dict[str, _Trouble] = {}
        self._latencies_s: list[float] = []
        self._work_s: list[float] = []
        self._pictures = self._hands = 0
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._last_report_s = time.monotonic()
        # Not simulated time: a paused simulation must not silence the diagnostics.
        node.create_timer(1.0, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def received(self):
        """Count an image that arrived."""
        self._pictures += 1
        self.clear("silence")

    def published(self, latency_s: float, work_s: float, hands: int):
        """Note an image's result: time since its stamp, time spent on it, hands in it."""
        self._latencies_s.append(latency_s)
        self._work_s.append(work_s)
        self._hands = hands

    def trouble(self, subject: str, text: str, grace_s: float = 0.0, degraded: bool = False):
        """Report a trouble if it lasts longer than grace_s; log it once while its text is the same.

        Args:
            subject: what is in trouble, as /diagnostics names it.
            text: what is wrong and the remedy.
            grace_s: how long it must last before it is reported.
            degraded: hands are still published, so /diagnostics has it as a warning, not an error.
        """
        now = time.monotonic()
        trouble = self._troubles.setdefault(subject, _Trouble())
        if not trouble.lasts:
            trouble.lasts, trouble.due_s, trouble.logged_text = True, now + grace_s, ""
        trouble.text = text
        trouble.level = DiagnosticStatus.WARN if degraded else DiagnosticStatus.ERROR
        quiet = now - trouble.logged_s >= _WARNING_PERIOD_S
        if quiet and now >= trouble.due_s and text != trouble.logged_text:
            trouble.logged_text, trouble.logged_s = text, now
            self._node.get_logger().warning(text)

    def clear(self, subject: str):
        """Take note that a trouble is over."""
        if subject in self._troubles:
            self._troubles[subject].lasts = False

    def _report(self):
        now = time.monotonic()
        elapsed, self._last_report_s = now - self._last_report_s, now
        if not self._pictures:
            text = f"no images on {self._topic}: is the camera running, is image_raw remapped?"
            self.trouble("silence", text, _SILENCE_GRACE_S)
        status = DiagnosticStatus(
            level=DiagnosticStatus.OK,
            name=f"{self._node.get_fully_qualified_name()[1:]}: hands",
            message=f"{self._hands} hands",
            hardware_id=self._topic,
        )
        troubles = [t for t in self._troubles.values() if t.lasts and now >= t.due_s]
        if troubles:
            status.level = max(trouble.level for trouble in troubles)
            status.message = "; ".join(trouble.text for trouble in troubles)
        values = {
            "images received per second": f"{self._pictures / elapsed:.1f}",
            "images processed per second": f"{len(self._work_s) / elapsed:.1f}",
            "latency since the image's stamp, ms": _milliseconds(self._latencies_s),
            "processing time per image, ms": _milliseconds(self._work_s),
            "hands": str(self._hands),
            "network runs on": self._serving,
        }
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        report = DiagnosticArray(status=[status])
        report.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(report)
        self._latencies_s, self._work_s = [], []
        self._pictures = self._hands = 0


def _milliseconds(durations_s: list[float]) -> str:
    """Return the median; no number where nothing was measured."""
    if not durations_s:
        return "-"
    return f"{1000 * sorted(durations_s)[len(durations_s) // 2]:.1f}"
