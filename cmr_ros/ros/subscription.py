"""Subscriptions that understand every publisher and hold only the newest messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from cmr_ros.ros.distribution import subscription_events, with_info

#: A publisher's numbers that differ by more are those of another publisher.
_MOST_SKIPPED = 1000


def fitting(wished: QoSProfile, offered: Sequence[QoSProfile], latched: bool) -> QoSProfile:
    """Return the quality of service that hears every publisher, as good as they all offer.

    wished: best-effort stays best-effort.  latched: take what was sent before, if all keep it.
    """
    reliable = all(one.reliability == ReliabilityPolicy.RELIABLE for one in offered)
    kept = offered and all(one.durability == DurabilityPolicy.TRANSIENT_LOCAL for one in offered)
    qos = QoSProfile(depth=wished.depth, reliability=wished.reliability)
    if not reliable:
        qos.reliability = ReliabilityPolicy.BEST_EFFORT
    if kept and (latched or wished.durability == DurabilityPolicy.TRANSIENT_LOCAL):
        qos.durability = DurabilityPolicy.TRANSIENT_LOCAL
    return qos


class _Subscription(ABC):
    """A subscription that takes the quality of service its publishers offer.

    Reliable where they are: best-effort images get lost in Fast DDS's default shared memory.
    Reliability and durability can be overridden (parameters qos_overrides.<topic>.subscription.*).
    """

    def __init__(self, node: Node, message_type: type, topic: str, history: int, latched: bool):
        self._node, self._type, self._name, self._latched = node, message_type, topic, latched
        overrides = QoSOverridingOptions((QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY))
        wished = QoSProfile(depth=history, reliability=ReliabilityPolicy.RELIABLE)
        self._subscription: Any = self._subscribe(wished, overrides)
        self.topic = self._subscription.topic_name
        self._wished = self._qos = wished  # by now with the overrides

    def adapt(self) -> None:
        """Subscribe again if what the publishers offer has changed."""
        qos = self._fitting()
        if qos != self._qos:
            self._node.destroy_subscription(self._subscription)
            self._qos, self._subscription = qos, self._subscribe(qos)

    def destroy(self) -> None:
        """Receive nothing any more, for good."""
        self._node.destroy_subscription(self._subscription)

    def _fitting(self) -> QoSProfile:
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        if not publishers:
            return self._qos
        offered = [publisher.qos_profile for publisher in publishers]
        return fitting(self._wished, offered, self._latched)

    def take(self, raw: bool = False) -> list:
        """Return the messages that wait, at most as many as are kept; raw: serialised."""
        taken = []
        while len(taken) < self._qos.depth:
            found = self._subscription.handle.take_message(self._type, raw)
            if found is None:
                break
            taken.append(found[0])
        return taken

    @abstractmethod
    def _subscribe(self, qos: QoSProfile, overrides: QoSOverridingOptions | None = None) -> Any:
        """Return a new subscription of the node's."""


class NewestSubscription(_Subscription):
    """Calls back with each message; a callback slower than the publisher gets the newest ones.

    While it is not `open` messages are left unread.  The subscription stays: until a new one of
    Fast DDS gets its first message, up to two seconds may pass.
    """

    def __init__(
        self, node: Node, message_type: type, topic: str, callback: Callable, history: int = 1
    ):
        """Subscribe.

        Args:
            node: to subscribe for.
            message_type: of the topic.
            topic: name, not yet resolved.
            callback: gets each message.
            history: messages kept for a slow callback.
        """
        self._callback = callback
        self._gate = _Gate()
        self._published = 0
        self._told = False
        super().__init__(node, message_type, topic, history, latched=False)

    @property
    def is_open(self) -> bool:
        """Whether messages are read."""
        return self._gate.is_open

    def open(self) -> None:
        """Read messages, from the next one on."""
        if not self.is_open:
            self.take()
            self._last_number = 0
            self._gate.is_open = True

    def close(self) -> None:
        """Leave messages unread."""
        self._gate.is_open = False

    def published(self) -> int:
        """Return how many messages were published since the last call, skipped ones too.

        Where the middleware does not number messages, those that were called back with.
        """
        published, self._published = self._published, 0
        return published

    def _subscribe(self, qos, overrides=None):
        self._last_number = 0
        if qos.reliability == ReliabilityPolicy.BEST_EFFORT and not self._told:
            self._told = True
            self._node.get_logger().info(
                f"{self._node.resolve_topic_name(self._name)} is published best-effort, so the "
                "subscription is, too; if large images get lost, start their publisher with "
                "share/cmr_ros/config/fastdds.xml"
            )
        return self._node.create_subscription(
            self._type,
            self._name,
            with_info(self._on_message),
            qos,
            callback_group=self._gate,
            event_callbacks=subscription_events(incompatible_qos=lambda _: self.adapt()),
            qos_overriding_options=overrides,
        )

    def _on_message(self, message, info):
        number = info.get("publication_sequence_number") or 0
        step = number - self._last_number
        follows = self._last_number and 0 < step < _MOST_SKIPPED
        self._published += step if follows else 1
        self._last_number = number
        self._callback(message)


class PolledSubscription(_Subscription):
    """Keeps the newest messages until they are asked for; waiting for them costs nothing."""

    def __init__(
        self, node: Node, message_type: type, topic: str, history: int = 1, latched: bool = False
    ):
        """Subscribe.

        Args:
            node: to subscribe for.
            message_type: of the topic.
            topic: name, not yet resolved.
            history: messages kept until `take` is called.
            latched: whether to get what was published before, where publishers keep it.
        """
        super().__init__(node, message_type, topic, history, latched)

    def _subscribe(self, qos, overrides=None):
        return self._node.create_subscription(
            self._type,
            self._name,
            _never_called,
            qos,
            callback_group=_Gate(is_open=False),
            event_callbacks=subscription_events(use_default_callbacks=False),
            qos_overriding_options=overrides,
        )


def _never_called(message):
    """Stand for a callback, where `take` is called instead."""


class _Gate(MutuallyExclusiveCallbackGroup):
    """Keeps the executor, while it is not open, from waiting for what is in it."""

    def __init__(self, is_open: bool = True):
        super().__init__()
        self.is_open = is_open

    def can_execute(self, entity):
        return self.is_open and super().can_execute(entity)
