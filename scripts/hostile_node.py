#!/usr/bin/env python3
"""Sends the node malformed messages of each input type, and times its next good answer.

The node tells which messages its readers were given, so that every one of them counts.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rclpy
from hostile_files import ROOT, claimed, images, jpeg
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from cmr_ros.msg import HandMeshArray
from cmr_ros.ros.distribution import set_apart

COUNT, LIMIT_S = 300, 1.0
_PATIENCE_S = 60.0
#: Of 0.2 s for each message; then it counts as one that the node was not given.  The middleware
#: sends what it has lost again after 3 s.
_TRIES = 20
_WIDTH, _HEIGHT = 640, 480
_SPACE = "/hostile"
_CODED_DEPTH = "depth/compressedDepth"
_ENCODINGS = "rgb8 bgr8 mono8 mono16 nv12 yuv422 bayer_rggb8 16UC1 32FC1 8UC3 x".split() + [
    "",
    "\0",
]


def good_info() -> CameraInfo:
    """Return the camera of the good images."""
    k = [600.0, 0, 320, 0, 600.0, 240, 0, 0, 1]
    p = [600.0, 0, 320, 0, 0, 600.0, 240, 0, 0, 0, 1, 0]
    return CameraInfo(
        width=_WIDTH, height=_HEIGHT, distortion_model="plumb_bob", d=[0.0] * 5, k=k, p=p
    )


def good_image() -> Image:
    """Return an image without a hand."""
    data = np.full((_HEIGHT, _WIDTH, 3), 90, np.uint8).tobytes()
    return Image(height=_HEIGHT, width=_WIDTH, encoding="rgb8", step=3 * _WIDTH, data=data)


def good_compressed() -> CompressedImage:
    """Return the same as JPEG."""
    import cv2

    code = cv2.imencode(".jpg", np.full((_HEIGHT, _WIDTH, 3), 90, np.uint8))[1]
    return CompressedImage(format="jpeg", data=code.tobytes())


def bad_image(rng: np.random.Generator) -> Image:
    """Return an image whose entries do not fit together."""
    width, height, step = (
        int(rng.choice([0, 1, 3, 640, 641, 4000, 2**31, 2**32 - 1])) for _ in "123"
    )
    data = rng.integers(0, 256, int(rng.choice([0, 1, 100, 921600])), np.uint8).tobytes()
    return Image(
        height=height, width=width, step=step, encoding=str(rng.choice(_ENCODINGS)),
        is_bigendian=int(rng.integers(256)), data=data,
    )  # fmt: skip


def bad_depth(rng: np.random.Generator) -> Image:
    """Return a depth image whose entries do not fit together, or of values that are no depths."""
    image = bad_image(rng)
    image.encoding = str(rng.choice(["16UC1", "mono16", "32FC1", "32FC1", "rgb8", ""]))
    if rng.random() < 0.3:
        values = np.float32([0, -1, 1e-38, 1e38, np.nan, np.inf, -np.inf, 0.5])
        image.data = rng.choice(values, (_HEIGHT, _WIDTH)).tobytes()
        image.height, image.width, image.step, image.encoding = _HEIGHT, _WIDTH, 4 * _WIDTH, "32FC1"
    return image


_HOSTILE = [data for _, data, _ in images() if isinstance(data, bytes)]


def bad_compressed(rng: np.random.Generator) -> CompressedImage:
    """Return a damaged image, or one that claims too much."""
    data = bytearray(_HOSTILE[rng.integers(len(_HOSTILE))])
    if rng.random() < 0.5:
        data = bytearray(claimed(jpeg(), *map(int, rng.integers(1, 65536, 2))))
    for place in rng.integers(0, max(len(data), 1), 3 if data else 0):
        data[place] = rng.integers(256)
    formats = ["jpeg", "png", "rgb8; jpeg compressed bgr8", "16UC1; png compressed", "h264", ""]
    return CompressedImage(format=str(rng.choice(formats)), data=bytes(data))


def bad_compressed_depth(rng: np.random.Generator) -> CompressedImage:
    """Return a damaged image behind a header of numbers that mean no depth."""
    message = bad_compressed(rng)
    message.format = str(rng.choice(["16UC1", "32FC1"])) + "; compressedDepth png"
    if rng.random() < 0.5:
        import cv2

        values = rng.integers(0, 1 << 16, (_HEIGHT, _WIDTH)).astype(np.uint16)
        message.data = cv2.imencode(".png", values)[1].tobytes()
    numbers = rng.choice(np.float32([0, -1, 1e-38, 1e38, np.nan, np.inf]), 2).tobytes()
    message.data = bytes(4) + numbers + bytes(message.data)
    return message


def bad_info(rng: np.random.Generator) -> CameraInfo:
    """Return a camera of numbers that no lens has."""
    numbers = [0.0, -1.0, 1e155, 1e308, 1e-308, np.nan, np.inf, -np.inf, 320.0, 600.0]
    info = good_info()
    info.k = rng.choice(numbers, 9)
    info.p = rng.choice(numbers, 12)
    info.d = rng.choice(numbers, int(rng.choice([0, 1, 4, 5, 8, 13, 200]))).tolist()
    info.distortion_model = str(rng.choice(["plumb_bob", "equidistant", "", "x" * 1000, "fisheye"]))
    if rng.random() < 0.3:
        info.width, info.height = map(int, rng.choice([0, 1, 640, 2**32 - 1], 2))
    info.binning_x, info.binning_y = map(int, rng.choice([0, 1, 2, 2**32 - 1], 2))
    info.roi.width, info.roi.x_offset = map(int, rng.choice([0, 1, 639, 2**32 - 1], 2))
    return info


def run_node(told: int, arguments: list[str]) -> None:
    """Run the node; write the name of a reader, and the stamp of what it gets, to a pipe."""
    from cmr_ros.ros import messages, pictures
    from cmr_ros.ros.main import main

    def telling(code: int, read: Callable) -> Callable:
        def tell(message, *others):
            os.write(told, struct.pack("<BI", code, message.header.stamp.sec))
            return read(message, *others)

        return tell

    modules = (pictures, pictures, messages, pictures)
    for code, (module, name) in enumerate(zip(modules, _READERS, strict=True)):
        setattr(module, name, telling(code, getattr(module, name)))
    main(arguments)


_READERS = ("to_rgb", "decompress", "to_camera", "to_depth")


class Peer:
    """The node in a process of its own, and what talks to it."""

    def __init__(self, kind: type, topic: str, arguments: list[str]):
        self.log = tempfile.TemporaryFile()
        self.told, told = os.pipe()
        os.set_blocking(self.told, False)
        command = [sys.executable, __file__, str(told), "--ros-args", "-r", f"__ns:={_SPACE}"]
        self.process = subprocess.Popen(
            [*command, *arguments], stdout=self.log, stderr=self.log, pass_fds=[told],
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"},
        )  # fmt: skip
        os.close(told)
        self.node = rclpy.create_node("hostile", namespace=_SPACE)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.images = self.node.create_publisher(kind, topic, 5)
        self.infos = self.node.create_publisher(CameraInfo, f"{_SPACE}/camera_info", 5)
        self.depths = {
            kind: self.node.create_publisher(kind, f"{_SPACE}/{topic}", 5)
            for kind, topic in ((Image, "depth"), (CompressedImage, _CODED_DEPTH))
        }
        self.answers: set[int] = set()
        self.read: set[tuple[str, int]] = set()
        self.node.create_subscription(
            HandMeshArray, f"{_SPACE}/hand_node/hands", self._on_hands, 10
        )
        self.stamp = 0

    def _on_hands(self, hands: HandMeshArray) -> None:
        self.answers.add(hands.header.stamp.sec)

    def send(self, image, info: CameraInfo, depth: Image | CompressedImage | None = None) -> None:
        """Publish them with the next stamp."""
        self.stamp += 1
        depths = self.depths.get(type(depth))
        sent = ((info, self.infos), (depth, depths), (image, self.images))
        for message, publisher in sent:
            if message is not None:
                message.header.stamp.sec, message.header.frame_id = self.stamp, "camera"
                publisher.publish(message)
        self.executor.spin_once(timeout_sec=0.01)

    def was_read(self, reader: str, image) -> bool:
        """Tell whether the node gives a reader the last message; it may wait for another image."""
        for _ in range(_TRIES):
            until_s = time.monotonic() + 0.2
            while time.monotonic() < until_s:
                self.executor.spin_once(timeout_sec=0.002)
                try:
                    told = os.read(self.told, 5 * 1000)
                except BlockingIOError:
                    continue
                self.read |= {(_READERS[code], at) for code, at in struct.iter_unpack("<BI", told)}
                if (reader, self.stamp) in self.read:
                    return True
            self.images.publish(image)
        return False

    def answer_s(self, make: Callable) -> float:
        """Send good images until one is answered; return how long that took."""
        start_s = time.monotonic()
        while time.monotonic() < start_s + _PATIENCE_S and self.process.poll() is None:
            sent = self.stamp + 1
            self.send(make(), good_info())
            until_s = time.monotonic() + 0.2
            while time.monotonic() < until_s:
                self.executor.spin_once(timeout_sec=0.01)
                if any(stamp >= sent for stamp in self.answers):
                    return time.monotonic() - start_s
        return float("inf")

    def close(self) -> None:
        """End the node."""
        self.process.terminate()
        self.process.wait(20)
        os.close(self.told)
        self.node.destroy_node()


def main() -> int:
    """Print a line per input type; 1 where the node ended or was late."""
    set_apart(os.environ)
    raw = (Image, f"{_SPACE}/image_raw", [], good_image)
    coded = (
        CompressedImage, f"{_SPACE}/image_raw/compressed", ["-p", "transport:=compressed"],
        good_compressed,
    )  # fmt: skip
    with_depth = (Image, f"{_SPACE}/image_raw", ["-p", "use_depth:=true"], good_image)
    remapped = ["-r", f"depth:={_CODED_DEPTH}"]
    with_coded_depth = (*with_depth[:2], [*with_depth[2], *remapped], good_image)
    runs = {
        "Image": (*raw, "to_rgb", bad_image),
        "CompressedImage": (*coded, "decompress", bad_compressed),
        "CameraInfo": (*raw, "to_camera", bad_info),
        "depth Image": (*with_depth, "to_depth", bad_depth),
        "compressed depth": (*with_coded_depth, "to_depth", bad_compressed_depth),
    }
    rclpy.init()
    failed = False
    for name, (kind, topic, arguments, good, reader, bad) in runs.items():
        rng = np.random.default_rng(0)
        peer = Peer(kind, topic, arguments)
        started_s = peer.answer_s(good)
        read = 0
        for _ in range(COUNT if started_s < _PATIENCE_S else 0):
            image, info, depth = good(), good_info(), None
            if reader == "to_camera":
                info = bad(rng)
            elif reader == "to_depth":
                depth = bad(rng)
            else:
                image = bad(rng)
            peer.send(image, info, depth)
            read += peer.was_read(reader, image)
        next_s = peer.answer_s(good)
        alive = peer.process.poll() is None
        peak = Path(f"/proc/{peer.process.pid}/status").read_text() if alive else ""
        peak_mb = int(peak.partition("VmHWM:")[2].split()[0]) / 1024 if alive else float("nan")
        peer.close()
        failed |= not alive or next_s > LIMIT_S or read < 0.95 * COUNT
        print(
            f"{name:16s} first answer {started_s:5.1f} s; after {COUNT} malformed messages, of "
            f"which {read} were read, the next good image was answered in {next_s:.2f} s; "
            f"peak {peak_mb:.0f} MB" + ("" if alive else "; THE NODE ENDED"),
            flush=True,
        )
        if not alive:
            peer.log.seek(0)
            print(peer.log.read().decode(errors="replace")[-2000:])
    rclpy.try_shutdown()
    return failed


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].isdigit():
        sys.exit(run_node(int(sys.argv[1]), sys.argv[1:]))
    sys.exit(main())
