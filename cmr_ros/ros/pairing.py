"""Brings each image together with what another sensor has taken with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from cmr_ros.files.stamps import nanoseconds
from cmr_ros.ros.subscription import NewestSubscription

#: How long an image waits for its partner: less than until the next one comes, at 30 Hz.  In ticks,
#: because timers go first: on a busy machine a single one would fire, too late itself, before the
#: partner is read that has come long since.
_TICK_S, _TICKS = 0.01, 3
WAIT_MS = 1000 * _TICK_S * _TICKS
#: Partners held: those that may come before their image, or while another is worked on.
_HELD = 5
#: After so many images without any partner none is waited for.
_LOST = 10
#: Stamps that step back so far are those of a recording that begins again, or of a clock that was
#: set; then partners from before are no measure of what is still to come.
_STEP_BACK_NS = 1_000_000_000

#: Gets each image with its partner, None where none fits.
Answer = Callable[[Image | CompressedImage, Any], None]


class Pairing:
    """Subscribes to a topic, and passes images on together with what fits them there.

    Either of the two may come first, and partners may be missing.  So an image waits until there
    is a partner as new as itself, for then no nearer one will come; but only for a moment, which a
    newer image that takes its place does not prolong.
    """

    def __init__(self, node: Node, kind: type, topic: str, apart_s: float, answer: Answer):
        """Subscribe.

        Args:
            node: to subscribe for.
            kind: type of the partners.
            topic: theirs, not yet resolved.
            apart_s: how far apart the stamps of an image and its partner may lie.
            answer: gets the pairs.
        """
        self._node, self._answer, self._apart_ns = node, answer, round(1e9 * apart_s)
        self._held: deque[Any] = deque(maxlen=_HELD)
        self._waiting: Image | CompressedImage | None = None
        self._images_since_partner = 0
        self._last_ns = 0  # stamp of the last image
        self._partners = NewestSubscription(node, kind, topic, self._on_partner, history=_HELD)
        # Not simulated time: a paused simulation must not keep an image.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_TICK_S, self._on_tick, clock=steady)
        self._timer.cancel()
        self._ticks_left = 0

    @property
    def topic(self) -> str:
        """The topic's resolved name."""
        return self._partners.topic

    @property
    def topics(self) -> list[str]:
        """The names of all topics that are subscribed to."""
        return [self.topic]

    @property
    def is_lost(self) -> bool:
        """Whether nothing arrives."""
        return not self._held or self._images_since_partner > _LOST

    def open(self) -> None:
        """Read partners."""
        self._partners.open()

    def close(self) -> None:
        """Read none, and forget those that are there."""
        self._partners.close()
        self.forget()

    def destroy(self) -> None:
        """Subscribe to nothing any more."""
        self.close()
        self._partners.destroy()
        self._node.destroy_timer(self._timer)

    def adapt(self) -> None:
        """See to what publishers offer."""
        self._partners.adapt()

    def forget(self) -> None:
        """Forget the partners held and the image that waits."""
        self._timer.cancel()
        self._held.clear()
        self._waiting = None
        self._images_since_partner = 0

    def pair(self, image: Image | CompressedImage) -> None:
        """Pass an image on, at once or soon; it replaces one that still waits."""
        self._waiting = image
        self._images_since_partner += 1
        now_ns, before_ns = stamp_ns(image), self._last_ns
        self._last_ns = now_ns
        if now_ns and now_ns < before_ns - _STEP_BACK_NS:
            held = [one for one in self._held if stamp_ns(one) < now_ns + _STEP_BACK_NS]
            self._held = deque(held, maxlen=_HELD)
        if self._images_since_partner > _LOST or self._is_decided():
            self._pass_on()
        elif self._timer.is_canceled():
            self._ticks_left = _TICKS
            self._timer.reset()

    def _on_partner(self, partner: Any):
        self._held.append(partner)
        self._images_since_partner = 0
        if self._waiting is not None and self._is_decided():
            self._pass_on()

    def _on_tick(self):
        self._ticks_left -= 1
        if not self._ticks_left:
            self._pass_on()

    def _is_decided(self) -> bool:
        """Whether no partner still to come can be nearer to the waiting image's stamp."""
        # An image without a stamp is older than all partners: the newest of them will do.
        now = stamp_ns(self._waiting)
        return any(stamp_ns(partner) >= now for partner in self._held)

    def _pass_on(self):
        self._timer.cancel()
        image, self._waiting = self._waiting, None
        self._answer(image, self._matching(stamp_ns(image)))

    def _matching(self, at_ns: int) -> Any:
        if not at_ns:  # then only the order of arrival is left
            return None if self.is_lost else self._held[-1]
        near = [one for one in self._held if abs(stamp_ns(one) - at_ns) <= self._apart_ns]
        return min(near, key=lambda one: abs(stamp_ns(one) - at_ns), default=None)


def stamp_ns(message: Any) -> int:
    """Return the time of a message with a header, in nanoseconds."""
    return nanoseconds(message.header.stamp)
