"""One camera and its node, measured: what `cmr benchmark node` runs in a process for each camera.

`python -m cmr_ros.demo.measure`, what to do as JSON on standard input, figures on standard output.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2

from cmr_ros.demo.play import COLLISION, GRASPS, POINTS, Demo
from cmr_ros.files import playback
from cmr_ros.msg import HandCollisionArray, HandGraspArray

#: What the demo does not listen to, and the node publishes by default.
_FURTHER = {GRASPS: HandGraspArray, POINTS: PointCloud2, COLLISION: HandCollisionArray}
_DIAGNOSTICS = "/diagnostics"
_WORK, _PIPELINE = "processing time per image, ms", "stage pipeline, ms"


def measure(recording: Path, node_arguments: list[str], rate_hz: float, log: Path) -> dict:
    """Play a recording whether the node keeps up or not, and return what was seen.

    Args:
        recording: MCAP of one camera.
        node_arguments: ROS arguments of the node.
        rate_hz: images a second.
        log: file for the node's log.
    """
    _, frames = playback.read(recording)
    frames = [replace(f, stamp_ns=round(i * 1e9 / rate_hz)) for i, f in enumerate(frames)]
    start_s = time.monotonic()
    with Demo(log, node_arguments, further=_FURTHER) as demo:
        first_s = time.monotonic() - start_s
        before_s = _cpu_s(demo.node_process)
        for _ in demo.play(frames, waits=False):
            pass
        cpu_s = _cpu_s(demo.node_process) - before_s
        peak_mb = _peak_mb(demo.node_process)
    answers = [answer for answer in demo.answers if answer is not None]
    latencies_ms = [1000 * answer.latency_s for answer in answers]
    work_ms, pipeline_ms = _reported_ms([s.data for s in demo.sent if s.topic == _DIAGNOSTICS])
    return {
        "images": len(frames),
        "dropped": len(frames) - len(answers),
        "latency_median_ms": float(np.median(latencies_ms)) if answers else None,
        "latency_p90_ms": float(np.percentile(latencies_ms, 90)) if answers else None,
        "node_median_ms": work_ms,
        "pipeline_median_ms": pipeline_ms,
        "cpu_ms": 1000 * cpu_s / len(answers) if answers else None,
        "start_s": first_s,
        "peak_mb": peak_mb,
    }


def _reported_ms(reports: list[bytes]) -> tuple[float | None, float | None]:
    """Return the medians, over the seconds, of what the node says it spends on an image."""
    said: dict[str, list[float]] = {_WORK: [], _PIPELINE: []}
    for report in reports:
        for status in deserialize_message(report, DiagnosticArray).status:
            values = {value.key: value.value for value in status.values}
            if values.get(_PIPELINE, "-") != "-":
                for name, numbers in said.items():
                    numbers.append(float(values[name]))
    return tuple(float(np.median(v)) if v else None for v in said.values())


def _cpu_s(process: int) -> float:
    """Return how long all threads of a process have been at work."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _peak_mb(process: int) -> float:
    (line,) = (
        line for line in Path(f"/proc/{process}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )  # fmt: skip
    return int(line.split()[1]) / 1000


if __name__ == "__main__":
    asked = json.loads(sys.stdin.read())
    figures = measure(
        Path(asked["recording"]), asked["node_arguments"], asked["rate_hz"], Path(asked["log"])
    )
    print(json.dumps(figures))
