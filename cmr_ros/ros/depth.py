"""The depth input: brings each picture together with the depth picture taken with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from cmr_ros.errors import InputError
from cmr_ros.files.stamps import nanoseconds
from cmr_ros.geometry.camera import Camera
from cmr_ros.ros import pictures
from cmr_ros.ros.subscription import NewestSubscription

#: How far apart the stamps of a picture and its depth picture may lie.  Where the two sensors run
#: freely at 30 Hz, the nearest is within 17 ms; a hand moves at most a few centimetres meanwhile.
_APART_NS = 20_000_000
#: How long a picture waits for its depth picture: less than until the next one comes, at 30 Hz.
#: In ticks, because timers go first: on a busy machine a single one would fire, too late itself,
#: before the depth picture is read that has come long since.
_TICK_S, _TICKS = 0.01, 3
#: Depth pictures held: those that may come before their picture, or while another is worked on.
_HELD = 5
#: After so many pictures without any depth picture none is waited for.
_LOST = 10


class DepthInput:
    """Subscribes to `depth`, and passes pictures on together with their depth pictures.

    Either of the two may come first, and depth pictures may be missing.  So a picture waits until
    there is a depth picture as new as itself, for then no nearer one will come; but only for a
    moment, which a newer picture that takes its place does not prolong.
    """

    def __init__(self, node: Node, answer: Callable[[Image | CompressedImage, Image | None], None]):
        """Pass pictures to `answer`, the second argument is None where no depth picture fits."""
        self._node, self._answer = node, answer
        self._held: deque[Image] = deque(maxlen=_HELD)
        self._waiting: Image | CompressedImage | None = None
        self._pictures_since_depth = 0
        self._depths = NewestSubscription(node, Image, "depth", self._on_depth, history=_HELD)
        # Not simulated time: a paused simulation must not keep a picture.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_TICK_S, self._on_tick, clock=steady)
        self._timer.cancel()
        self._ticks_left = 0

    @property
    def topic(self) -> str:
        """The topic's resolved name."""
        return self._depths.topic

    def open(self) -> None:
        """Read depth images."""
        self._depths.open()

    def close(self) -> None:
        """Read none, and forget those that are there."""
        self._depths.close()
        self.forget()

    def destroy(self) -> None:
        """Subscribe to nothing any more."""
        self.close()
        self._depths.destroy()
        self._node.destroy_timer(self._timer)

    def adapt(self) -> None:
        """See to what publishers offer."""
        self._depths.adapt()

    def forget(self) -> None:
        """Forget the depth images held and the image that waits."""
        self._timer.cancel()
        self._held.clear()
        self._waiting = None
        self._pictures_since_depth = 0

    def pair(self, picture: Image | CompressedImage) -> None:
        """Pass a picture on, at once or soon; it replaces one that still waits."""
        self._waiting = picture
        self._pictures_since_depth += 1
        if self._pictures_since_depth > _LOST or self._is_decided():
            self._pass_on()
        elif self._timer.is_canceled():
            self._ticks_left = _TICKS
            self._timer.reset()

    def read(self, depth: Image | None, camera: Camera, frame_id: str) -> np.ndarray:
        """Return z (height, width) in metres of each pixel of a picture of `camera`.

        depth: what came with the picture.  frame_id: the picture's.  Raises InputError where there
        is none, or one that is not aligned with the picture.
        """
        if depth is None:
            raise InputError(self._why_none())
        try:
            depth_m = pictures.to_depth(depth)
        except InputError as error:
            raise InputError(f"{self.topic}: {error}") from error
        # Equal sizes do not make two cameras one, but aligned pictures have a frame in common.
        found = (depth.width, depth.height, depth.header.frame_id)
        if found != (camera.width, camera.height, frame_id):
            raise InputError(
                f"{self.topic} is {depth.width}x{depth.height} in frame "
                f"{depth.header.frame_id!r}, but the image is {camera.width}x{camera.height} in "
                f"frame {frame_id!r}: use depth that is registered to the colour image "
                "(RealSense: align_depth.enable:=true)"
            )
        return depth_m

    def _on_depth(self, depth: Image):
        self._held.append(depth)
        self._pictures_since_depth = 0
        if self._waiting is not None and self._is_decided():
            self._pass_on()

    def _on_tick(self):
        self._ticks_left -= 1
        if not self._ticks_left:
            self._pass_on()

    def _is_decided(self) -> bool:
        """Whether no depth picture still to come can be nearer to the waiting picture's stamp."""
        # An image without a stamp is older than all depth images: the newest of them will do.
        now = _stamp_ns(self._waiting)
        return any(_stamp_ns(depth) >= now for depth in self._held)

    def _pass_on(self):
        self._timer.cancel()
        picture, self._waiting = self._waiting, None
        self._answer(picture, self._matching(_stamp_ns(picture)))

    def _matching(self, stamp_ns: int) -> Image | None:
        if not stamp_ns:  # then only the order of arrival is left
            is_lost = self._pictures_since_depth > _LOST
            return None if is_lost or not self._held else self._held[-1]
        near = [d for d in self._held if abs(_stamp_ns(d) - stamp_ns) <= _APART_NS]
        return min(near, key=lambda depth: abs(_stamp_ns(depth) - stamp_ns), default=None)

    def _why_none(self) -> str:
        if not self._held or self._pictures_since_depth > _LOST:
            return (
                f"nothing arrives on {self.topic}: is the topic depth remapped, and is registered "
                "depth enabled in the camera driver (RealSense: align_depth.enable:=true)?"
            )
        return (
            f"no image on {self.topic} has a timestamp within {_APART_NS / 1e6:g} ms of the colour "
            f"image's and arrives within {1000 * _TICK_S * _TICKS:g} ms of it: take both from one "
            "camera, and synchronise them (RealSense: enable_sync:=true)"
        )


def _stamp_ns(message: Image | CompressedImage) -> int:
    return nanoseconds(message.header.stamp)
