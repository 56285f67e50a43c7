"""The output /tf: publishes hands' frames, and notices others that publish the same ones."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Sequence

import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from cmr_ros.hand import Hand
from cmr_ros.ros.subscription import PolledSubscription
from cmr_ros.ros.transforms import HandTransforms

#: Name of the node that looks at /tf.  It has one of its own, so that no other hand_node takes it
#: for a listener; names that begin with an underscore are hidden from `ros2 node list`.
_WATCHER = "_hand_frames_watcher"
#: Who listens is asked so often, and whenever their number changes.
_ASKED_S = 0.5
#: Messages looked at when asked for: enough to find others' hands, and quickly read.
_LOOKED_AT = 20
#: Messages of one's own that are remembered, to be told from others.
_REMEMBERED = 100


class FrameOutput:
    """Publishes 21 frames a hand on /tf."""

    def __init__(self, node: Node, events=None):
        """Advertise /tf for `node`; events: callbacks of the publisher's."""
        self._publisher = node.create_publisher(TFMessage, "/tf", 100, event_callbacks=events)
        self._node, self.topic = node, self._publisher.topic_name
        self._own: deque[bytes] = deque(maxlen=_REMEMBERED)
        self._watcher = rclpy.create_node(
            _WATCHER,
            namespace=node.get_namespace(),
            context=node.context,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
            parameter_overrides=[Parameter("start_type_description_service", value=False)],
        )
        self._make_transforms = HandTransforms()
        self._count, self._asked_s, self._has_listeners = 0, 0.0, False
        self._seen = PolledSubscription(self._watcher, TFMessage, self.topic, _LOOKED_AT)

    def destroy(self) -> None:
        """Advertise /tf no longer, and end the node that looks at it."""
        self._node.destroy_publisher(self._publisher)
        self._watcher.destroy_node()

    def has_listeners(self) -> bool:
        """Whether anybody listens to /tf, nodes like this one apart."""
        count, now_s = self._publisher.get_subscription_count(), time.monotonic()
        # To ask who they are takes ten times as long, and names come later than subscriptions.
        if count != self._count or now_s - self._asked_s > _ASKED_S:
            listeners = self._node.get_subscriptions_info_by_topic(self.topic)
            self._has_listeners = any(one.node_name != _WATCHER for one in listeners)
            self._count, self._asked_s = count, now_s
        return self._has_listeners

    def publish(self, hands: Sequence[Hand], header: Header, frame_prefix: str) -> None:
        """Publish the hands' frames as children of the image's."""
        message = self._make_transforms(hands, header, frame_prefix)
        self._own.append(_identity(message))
        self._publisher.publish(message)

    def conflict(self, frame_prefix: str) -> str:
        """Say who else has published frames of the same names since the last call, if any."""
        ours = re.compile(re.escape(frame_prefix) + r"hand_(left|right|unknown)(_\d+)?/\w+")
        for message in self._seen.take(raw=True):
            if _identity(message) in self._own:
                continue
            for transform in deserialize_message(message, TFMessage).transforms:
                name = transform.child_frame_id
                if ours.fullmatch(name):
                    return (
                        f"somebody else publishes {name}, too, in frame "
                        f"{transform.header.frame_id!r} on {self.topic}: give each hand_node a "
                        "frame_prefix of its own"
                    )
        return ""


def _identity(message: bytes) -> bytes:
    """Return what is the same in a serialised message however middleware has wrapped it."""
    return message[4:].rstrip(b"\0")
