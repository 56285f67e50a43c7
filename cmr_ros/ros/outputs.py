"""What the node publishes of an image's hands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from cmr_ros.geometry.camera import Camera
from cmr_ros.hand import Hand
from cmr_ros.model.template import HandTemplate
from cmr_ros.msg import HandMeshArray, HandTopology
from cmr_ros.ros import messages, pictures, topics
from cmr_ros.ros.frames import FrameOutput
from cmr_ros.ros.health import Health
from cmr_ros.ros.markers import HandMarkers
from cmr_ros.ros.parameters import Parameters
from cmr_ros.viewing.drawing import hand_mask, overlay

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ModuleNotFoundError:  # ROS 2 Humble
    from rclpy.qos_event import PublisherEventCallbacks


class Outputs:
    """Advertises the node's topics; publishes what somebody listens to."""

    def __init__(
        self, node: Node, template: HandTemplate, health: Health, on_listeners: Callable[[], None]
    ):
        """Advertise, and publish the topology, which late listeners get as well.

        Args:
            node: to publish for.
            template: the hands'.
            health: where to report what is wrong.
            on_listeners: called when listeners come or go, if this ROS distribution tells.
        """
        events = _matched_events(lambda _: on_listeners())
        advertise = partial(
            node.create_publisher,
            event_callbacks=events,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._node, self._template, self._health = node, template, health
        self._hands = advertise(HandMeshArray, topics.HANDS, 10)
        self._markers = advertise(MarkerArray, topics.MARKERS, 10)
        self._mask = advertise(Image, topics.MASK, 10)
        self._debug_image = advertise(Image, topics.DEBUG_IMAGE, 10)
        self._frames = FrameOutput(node, events)
        kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._topology = node.create_publisher(HandTopology, topics.TOPOLOGY, kept)
        self._topology.publish(messages.to_topology(template))
        self._make_markers = HandMarkers(template.faces[0])

    def destroy(self) -> None:
        """Advertise nothing any more."""
        for publisher in (
            self._hands,
            self._markers,
            self._mask,
            self._debug_image,
            self._topology,
        ):
            self._node.destroy_publisher(publisher)
        self._frames.destroy()

    def are_wanted(self, parameters: Parameters) -> bool:
        """Whether anybody listens to what depends on images."""
        p = parameters
        return (
            _is_heard(self._hands)
            or (p.publish_markers and _is_heard(self._markers))
            or (p.publish_mask and _is_heard(self._mask))
            or (p.publish_debug_image and _is_heard(self._debug_image))
            or (p.publish_tf and self._frames.has_listeners())
        )

    def look(self, parameters: Parameters) -> None:
        """Report others that publish the same frames; once a second."""
        conflict = parameters.publish_tf and self._frames.conflict(parameters.frame_prefix)
        if conflict:
            self._health.trouble("other frames", conflict, lapse_s=10.0, degraded=True)

    def publish(
        self,
        hands: Sequence[Hand],
        picture: np.ndarray,
        camera: Camera,
        header: Header,
        parameters: Parameters,
    ) -> None:
        """Publish one image's results; the expensive ones only where somebody listens.

        Args:
            hands: the image's.
            picture: RGB (height, width, 3) uint8.
            camera: the image's.
            header: the image's: all that is published has its stamp and frame.
            parameters: what to publish.
        """
        p = parameters
        self._hands.publish(messages.to_hand_array(hands, header))
        if p.publish_tf and hands:
            self._publish_frames(hands, header, p.frame_prefix)
        if p.publish_markers and _is_heard(self._markers):
            self._markers.publish(self._make_markers(hands, header))
        if p.publish_mask and _is_heard(self._mask):
            self._mask.publish(pictures.to_image(hand_mask(hands, camera), header))
        if p.publish_debug_image and _is_heard(self._debug_image):
            drawn = overlay(picture, hands, self._template, camera)
            self._debug_image.publish(pictures.to_image(drawn, header))

    def _publish_frames(self, hands: Sequence[Hand], header: Header, frame_prefix: str) -> None:
        if header.frame_id:
            self._health.clear("frame_id")
            if self._frames.has_listeners():
                self._frames.publish(hands, header, frame_prefix)
        else:
            text = f"no /tf: images on {self._health.topic} have no frame_id"
            self._health.trouble("frame_id", text, degraded=True)


def _is_heard(publisher) -> bool:
    return publisher.get_subscription_count() > 0


def _matched_events(callback: Callable) -> PublisherEventCallbacks | None:
    try:
        return PublisherEventCallbacks(matched=callback)
    except TypeError:  # ROS 2 Humble
        return None
