"""What the node reports about itself: one warning per trouble, diagnostics once a second."""

from __future__ import annotations

import math
import re
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from cmr_ros.errors import CmrError

#: Seconds between two warnings about the same thing, whatever they say.
_WARNING_PERIOD_S = 2.0


@dataclass
class _Trouble:
    text: str = ""
    level: bytes = DiagnosticStatus.ERROR
    lasts: bool = False
    due_s: float = 0.0  # when it is to be reported, on the monotonic clock, as all of these
    ends_s: float = math.inf
    logged_text: str = ""
    logged_s: float = -_WARNING_PERIOD_S

    def is_on(self, now_s: float) -> bool:
        return self.lasts and now_s < self.ends_s


class Health:
    """Collects troubles and timings; logs each trouble once and reports all on /diagnostics.

    model: name of the network.  serving: what runs it.  topic: what brings images.  resting: why
    nothing is to be done, empty while there is.
    """

    def __init__(self, node: Node):
        """Report for `node`."""
        self._node = node
        self.model, self.serving, self.topic, self.resting = "", "", "", ""
        #: Called before each report; it may add troubles.
        self.look: Callable[[], None] = lambda: None
        self._troubles: dict[str, _Trouble] = {}
        self._latencies_s: list[float] = []
        self._work_s: list[float] = []
        self._stages_s: dict[str, list[float]] = {}
        self._refusals: Counter[str] = Counter()
        self._offsets_s: list[float] = []
        self._received = self._hands = 0
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._last_report_s = time.monotonic()
        # Not simulated time: a paused simulation must not silence the diagnostics.
        node.create_timer(1.0, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def offset(self, offset_s: float):
        """Note how much later than an image the second camera's was taken."""
        self._offsets_s.append(offset_s)

    def received(self, images: int):
        """Count images that were published, skipped ones too."""
        self._received += images

    def published(self, latency_s: float | None, work_s: float, hands: int):
        """Note an image's result: time since its stamp if it has one, time spent, hands in it."""
        if latency_s is not None:
            self._latencies_s.append(latency_s)
        self._work_s.append(work_s)
        self._hands = hands

    def stage(self, name: str, duration_s: float):
        """Note how long a stage of an image's way took; a `stages.Listener`."""
        self._stages_s.setdefault(name, []).append(duration_s)

    def refused(self, reasons: Iterable[str]):
        """Count hands of an image that are not published, each for a reason."""
        self._refusals.update(re.sub(r"\d+", "#", reason) for reason in reasons)

    def trouble(
        self,
        subject: str,
        text: str,
        grace_s: float = 0.0,
        lapse_s: float = math.inf,
        degraded: bool = False,
    ):
        """Report a trouble if it lasts longer than grace_s; log it once while its text is the same.

        Args:
            subject: what is in trouble.
            text: what is wrong and the remedy; other numbers do not make it another text.
            grace_s: how long it must last before it is reported.
            lapse_s: it is over when nothing is heard of it for so long.
            degraded: hands are still published, so /diagnostics has it as a warning, not an error.
        """
        now_s = time.monotonic()
        trouble = self._troubles.setdefault(subject, _Trouble())
        if not trouble.is_on(now_s):
            trouble.lasts, trouble.due_s, trouble.logged_text = True, now_s + grace_s, ""
        trouble.text, trouble.ends_s = text, now_s + lapse_s
        trouble.level = DiagnosticStatus.WARN if degraded else DiagnosticStatus.ERROR
        quiet = now_s - trouble.logged_s >= _WARNING_PERIOD_S
        words = re.sub(r"\d+", "#", text)
        if quiet and now_s >= trouble.due_s and words != trouble.logged_text:
            trouble.logged_text, trouble.logged_s = words, now_s
            self._node.get_logger().warning(text)

    def clear(self, subject: str):
        """Take note that a trouble is over."""
        if subject in self._troubles:
            self._troubles[subject].lasts = False

    def forget(self):
        """Take note that all troubles are over."""
        for trouble in self._troubles.values():
            trouble.lasts = False

    @contextmanager
    def guard(
        self,
        subject: str,
        text: str = "",
        grace_s: float = 0.0,
        lapse_s: float = math.inf,
        degraded: bool = False,
    ):
        """Turn whatever is raised inside into a trouble; where nothing is, the trouble is over.

        Args:
            subject: what is in trouble.
            text: what goes in front of the error's own.
            grace_s: as in `trouble`.
            lapse_s: as in `trouble`.
            degraded: as in `trouble`.
        """
        try:
            yield
        except Exception as error:  # nothing that comes from outside may end the node
            if not self._node.context.ok():
                return  # a signal has ended whatever was at work
            self.failed(subject, error, text, grace_s, lapse_s, degraded)
        else:
            self.clear(subject)

    def failed(
        self,
        subject: str,
        error: Exception,
        text: str = "",
        grace_s: float = 0.0,
        lapse_s: float = math.inf,
        degraded: bool = False,
    ):
        """Report an exception that is being handled as a trouble.

        Args:
            subject: what is in trouble.
            error: what was raised; what is no CmrError is told with its type.
            text: what goes in front of the error's own.
            grace_s: as in `trouble`.
            lapse_s: as in `trouble`.
            degraded: as in `trouble`.
        """
        words = str(error)
        if not isinstance(error, CmrError):
            words = f"{type(error).__name__}: {words.partition(chr(10))[0]}"
            self._node.get_logger().debug(traceback.format_exc())
        self.trouble(subject, text + words, grace_s, lapse_s, degraded)

    def _report(self):
        with self.guard("report"):
            self.look()
            self._publish()

    def _publish(self):
        now_s = time.monotonic()
        elapsed_s, self._last_report_s = now_s - self._last_report_s, now_s
        status = DiagnosticStatus(
            level=DiagnosticStatus.OK,
            name=f"{self._node.get_fully_qualified_name()[1:]}: hands",
            message="1 hand" if self._hands == 1 else f"{self._hands} hands",
            hardware_id=self.topic,
        )
        if self.resting:
            status.message = self.resting
        troubles = [t for t in self._troubles.values() if t.is_on(now_s) and now_s >= t.due_s]
        if troubles:
            status.level = max(trouble.level for trouble in troubles)
            status.message = "; ".join(trouble.text for trouble in troubles)
        skipped = max(self._received - len(self._work_s), 0)
        values = {
            "images received per second": f"{self._received / elapsed_s:.1f}",
            "images processed per second": f"{len(self._work_s) / elapsed_s:.1f}",
            "images skipped per second": f"{skipped / elapsed_s:.1f}",
            **_durations("latency since the image's stamp", self._latencies_s),
            **_durations("processing time per image", self._work_s),
        }
        for name, durations_s in self._stages_s.items():
            values |= _durations(f"stage {name}", durations_s)
        values |= {
            "hands": str(self._hands),
            "hands refused": str(sum(self._refusals.values())),
            **{f"hands refused: {why}": str(n) for why, n in self._refusals.most_common(3)},
            "model": self.model,
            "network runs on": self.serving,
        }
        if self._offsets_s:
            later_ms = 1000 * sorted(self._offsets_s)[len(self._offsets_s) // 2]
            values["second image later by, ms"] = f"{later_ms:.1f}"
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        report = DiagnosticArray(status=[status])
        report.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(report)
        self._latencies_s, self._work_s, self._stages_s = [], [], {}
        self._refusals.clear()
        self._offsets_s.clear()
        self._received = self._hands = 0


def _durations(name: str, durations_s: list[float]) -> dict[str, str]:
    """Return median and 90th percentile in milliseconds; "-" where nothing was measured."""
    ordered = sorted(durations_s)
    values = {f"{name}, ms": 0.5, f"{name}, 90th percentile, ms": 0.9}
    return {
        key: f"{1000 * ordered[int(share * len(ordered))]:.1f}" if ordered else "-"
        for key, share in values.items()
    }
