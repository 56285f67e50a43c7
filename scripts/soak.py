#!/usr/bin/env python3
"""Runs the node for minutes on the recording, and prints what it holds and how fast it answers.

A line a minute: images sent and answered, latency from the image's stamp to the answer (median,
90th percentile, worst), memory, threads, file descriptors and processor time.  Ends with status 1
where any of them grows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import deserialize_message
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from cmr_ros.model import weights
from cmr_ros.msg import HandMeshArray
from cmr_ros.ros.distribution import set_apart
from cmr_ros.ros.pictures import decompress, to_image

#: What may be held more at the end than after a fifth of the time, which memory takes to settle.
_GROWTH_MB, _GROWTH = 10.0, 2


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    memory_mb: float
    threads: int
    files: int
    processor_s: float

    @classmethod
    def by(cls, pid: int) -> Held:
        """Ask the kernel."""
        process = Path(f"/proc/{pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        used = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
        return cls(
            int(status["VmRSS"].split()[0]) / 1024,
            int(status["Threads"]),
            len(os.listdir(process / "fd")),
            sum(map(int, used)) / os.sysconf("SC_CLK_TCK"),
        )

    def has_grown(self, settled: Held) -> bool:
        """Whether it is more than once everything had settled."""
        return (
            self.memory_mb > settled.memory_mb + _GROWTH_MB
            or self.threads > settled.threads + _GROWTH
            or self.files > settled.files + _GROWTH
        )


class Camera:
    """Sends the recording's images again and again, and takes the time of the answers."""

    def __init__(self):
        rclpy.init()
        self.node = rclpy.create_node("soak", namespace="soak")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._images, self._info = _recorded()
        self._image_topic = self.node.create_publisher(Image, "image_raw", 5)
        self._info_topic = self.node.create_publisher(CameraInfo, "camera_info", 5)
        self.node.create_subscription(HandMeshArray, "hand_node/hands", self._on_hands, 50)
        self.sent, self.latencies_ms, self.hands = 0, [], 0

    def is_heard(self) -> bool:
        """Return whether a node listens and is listened to."""
        self._executor.spin_once(timeout_sec=0.1)
        return bool(
            self._image_topic.get_subscription_count()
            and self.node.count_publishers("hand_node/hands")
        )

    def play(self, seconds: float, rate_hz: float) -> None:
        """Send images for a time."""
        self.sent, self.latencies_ms, self.hands = 0, [], 0
        start_s = due_s = time.monotonic()
        while due_s < start_s + seconds:
            stamp = self.node.get_clock().now().to_msg()
            image = self._images[self.sent % len(self._images)]
            image.header.stamp = self._info.header.stamp = stamp
            self._info_topic.publish(self._info)
            self._image_topic.publish(image)
            self.sent += 1
            due_s += 1 / rate_hz
            while (left_s := due_s - time.monotonic()) > 0:
                self._executor.spin_once(timeout_sec=left_s)

    def _on_hands(self, message: HandMeshArray) -> None:
        stamp = message.header.stamp
        age_ns = self.node.get_clock().now().nanoseconds - stamp.sec * 10**9 - stamp.nanosec
        self.latencies_ms.append(age_ns / 1e6)
        self.hands += len(message.hands)


def _recorded() -> tuple[list[Image], CameraInfo]:
    images, info = [], None
    with AnyReader([weights.find("demo.mcap")]) as reader:
        for connection, _, raw in reader.messages():
            if connection.topic.endswith("/compressed"):
                message = deserialize_message(raw, CompressedImage)
                images.append(to_image(decompress(message), Header(frame_id="camera")))
            elif connection.topic.endswith("/camera_info"):
                info = deserialize_message(raw, CameraInfo)
    info.header.frame_id = "camera"
    # There and back, so that hands move on where the recording begins anew.
    return images + images[::-1], info


def main() -> int:
    """Run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=30.0, help="images per second")
    args, ros_arguments = parser.parse_known_args()
    set_apart(os.environ)
    command = [sys.executable, "-m", "cmr_ros.ros", "--ros-args", "-r", "__ns:=/soak"]
    with tempfile.TemporaryDirectory() as folder:
        node = subprocess.Popen([*command, *ros_arguments], cwd=folder)
        try:
            return _soak(node, args.minutes, args.rate)
        finally:
            node.terminate()
            node.wait(20)


def _soak(node: subprocess.Popen, minutes: float, rate_hz: float) -> int:
    camera = Camera()
    while not camera.is_heard():
        if node.poll() is not None:
            return 1
    print("minute  sent  answered  p50 ms  p90 ms  worst ms  hands  MB  threads  files  processor")
    parts, before, settled = max(round(minutes), 5), Held.by(node.pid), None
    for part in range(1, parts + 1):
        seconds = 60 * minutes / parts
        camera.play(seconds, rate_hz)
        held = Held.by(node.pid)
        p50, p90, worst = np.percentile(camera.latencies_ms or [np.nan], [50, 90, 100])
        print(
            f"{part * minutes / parts:6.1f}  {camera.sent:4d}  {len(camera.latencies_ms):8d}  "
            f"{p50:6.0f}  {p90:6.0f}  {worst:8.0f}  {camera.hands:5d}  {held.memory_mb:.0f}  "
            f"{held.threads:7d}  {held.files:5d}  "
            f"{(held.processor_s - before.processor_s) / seconds:8.0%}",
            flush=True,
        )
        before = held
        if settled is None and part >= parts / 5:
            settled = held
    grown = held.has_grown(settled)
    print("something grows" if grown else "memory, threads and descriptors are flat")
    return int(grown or not camera.latencies_ms)


if __name__ == "__main__":
    sys.exit(main())
