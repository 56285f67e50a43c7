"""A subscription that understands every publisher and holds only the newest messages."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ModuleNotFoundError:  # ROS 2 Humble
    from rclpy.qos_event import SubscriptionEventCallbacks


class NewestSubscription:
    """Subscribes reliably, and best-effort as soon as a publisher offers nothing better.

    Reliable comes first: best-effort pictures get lost in Fast DDS's default shared memory.  With a
    history of one message, a callback slower than the publisher always gets the newest one.
    Reliability and durability can be overridden (parameters qos_overrides.<topic>.subscription.*).
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
        self._history = history
        self._node, self._type, self._topic, self._callback = node, message_type, topic, callback
        self._subscription = self._subscribe(
            QoSProfile(depth=history, reliability=ReliabilityPolicy.RELIABLE),
            QoSOverridingOptions((QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)),
        )

    @property
    def topic(self) -> str:
        """The topic's resolved name."""
        return self._subscription.topic_name

    def _subscribe(self, qos: QoSProfile, overrides: QoSOverridingOptions | None = None):
        return self._node.create_subscription(
            self._type,
            self._topic,
            self._callback,
            qos,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible),
            qos_overriding_options=overrides,
        )

    def _on_incompatible(self, event):
        policy = event.last_policy_kind
        if policy == QoSPolicyKind.RELIABILITY:
            qos = self._subscription.qos_profile
            qos.reliability, qos.depth = ReliabilityPolicy.BEST_EFFORT, self._history
            self._node.get_logger().info(
                f"{self.topic} is published best-effort, so the subscription is, too; if large "
                "images get lost, start their publisher with share/cmr_ros/config/fastdds.xml"
            )
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe(qos)
        else:
            self._node.get_logger().warning(
                f"{self.topic}: nothing arrives from a publisher whose QoS policy "
                f"{QoSPolicyKind(policy).name} is incompatible; set qos_overrides.{self.topic}"
            )
