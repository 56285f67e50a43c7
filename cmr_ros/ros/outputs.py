"""What the node publishes of an image's hands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from cmr_ros.geometry.camera import Camera
from cmr_ros.grasping.observer import GraspObserver
from cmr_ros.hand import Hand
from cmr_ros.model.template import HandTemplate
from cmr_ros.msg import HandCollisionArray, HandGraspArray, HandMeshArray, HandTopology
from cmr_ros.ros import messages, topics
from cmr_ros.ros.distribution import publisher_events
from cmr_ros.ros.ellipsoids import JointMarkers
from cmr_ros.ros.frames import FrameOutput
from cmr_ros.ros.grasp_messages import to_grasp_array
from cmr_ros.ros.health import Health
from cmr_ros.ros.markers import HandMarkers
from cmr_ros.ros.newest_only import NewestOnly
from cmr_ros.ros.parameters import Parameters
from cmr_ros.ros.pictures import to_image
from cmr_ros.ros.planning import CollisionMeshes, to_points
from cmr_ros.viewing.drawing import hand_mask, overlay

#: What is published while somebody listens, in the order of `Outputs.publish`.
_KINDS = {
    topics.HANDS: HandMeshArray,
    topics.GRASPS: HandGraspArray,
    topics.MARKERS: MarkerArray,
    topics.JOINT_MARKERS: MarkerArray,
    topics.POINTS: PointCloud2,
    topics.COLLISION: HandCollisionArray,
    topics.MASK: Image,
    topics.DEBUG_IMAGE: Image,
}
#: The parameters that can switch a topic off.
_SWITCHES = {
    topics.MARKERS: "publish_markers",
    topics.JOINT_MARKERS: "publish_joint_markers",
    topics.MASK: "publish_mask",
    topics.DEBUG_IMAGE: "publish_debug_image",
}


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
        events = publisher_events(lambda _: on_listeners())
        advertise = partial(
            node.create_publisher,
            event_callbacks=events,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._node, self._template, self._health = node, template, health
        self._publishers = {topic: advertise(kind, topic, 10) for topic, kind in _KINDS.items()}
        self._frames = FrameOutput(node, events)
        kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._topology = node.create_publisher(HandTopology, topics.TOPOLOGY, kept)
        self._topology.publish(messages.to_topology(template))
        self._make_markers = HandMarkers(template.faces[0])
        self._make_ellipsoids = JointMarkers()
        self._make_collisions = CollisionMeshes(template)
        self._observe_grasps = GraspObserver()
        # What people look at makes no image wait.
        self._drawing = NewestOnly("drawing")

    def destroy(self) -> None:
        """Advertise nothing any more."""
        self._drawing.end()
        for publisher in (*self._publishers.values(), self._topology):
            self._node.destroy_publisher(publisher)
        self._frames.destroy()

    def are_wanted(self, parameters: Parameters) -> bool:
        """Whether anybody listens to what depends on images."""
        p = parameters
        wanted = any(self._is_wanted(topic, p) for topic in _KINDS)
        return wanted or (p.publish_tf and self._frames.has_listeners())

    def _is_wanted(self, topic: str, parameters: Parameters) -> bool:
        allowed = topic not in _SWITCHES or getattr(parameters, _SWITCHES[topic])
        return allowed and self._publishers[topic].get_subscription_count() > 0

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
        stamp_s: float | None,
        parameters: Parameters,
    ) -> None:
        """Publish one image's results; the expensive ones only where somebody listens.

        What is for the eye follows in a thread of its own, and not of each image where drawing is
        slower than images come.

        Args:
            hands: the image's.
            picture: RGB (height, width, 3) uint8.
            camera: the image's.
            header: the image's: all that is published has its stamp and frame.
            stamp_s: the image's; None if it has none of its own.
            parameters: what to publish.
        """
        if parameters.publish_tf and hands:
            self._publish_frames(hands, header, parameters.frame_prefix)
        faces = self._template.faces[0]
        self._publish_wanted(parameters, {
            topics.HANDS: lambda: messages.to_hand_array(hands, header),
            topics.GRASPS: lambda: to_grasp_array(*self._observe_grasps(hands, stamp_s), header),
            topics.POINTS: lambda: to_points(hands, header, faces),
            topics.COLLISION: lambda: self._make_collisions(hands, header),
            topics.MASK: lambda: to_image(hand_mask(hands, camera), header),
        })  # fmt: skip
        pictures = {
            topics.MARKERS: lambda: self._make_markers(hands, header),
            topics.JOINT_MARKERS: lambda: self._make_ellipsoids(hands, header),
            topics.DEBUG_IMAGE: lambda: to_image(
                overlay(picture, hands, self._template, camera), header
            ),
        }
        if any(self._is_wanted(topic, parameters) for topic in pictures):
            with self._health.guard("drawing", "nothing is drawn: ", degraded=True):
                self._drawing.do(lambda: self._publish_wanted(parameters, pictures))

    def _publish_wanted(self, parameters: Parameters, makers: dict[str, Callable[[], Any]]) -> None:
        for topic, make in makers.items():
            if self._is_wanted(topic, parameters):
                self._publishers[topic].publish(make())

    def _publish_frames(self, hands: Sequence[Hand], header: Header, frame_prefix: str) -> None:
        if header.frame_id:
            self._health.clear("frame_id")
            if self._frames.has_listeners():
                self._frames.publish(hands, header, frame_prefix)
        else:
            text = f"no /tf: images on {self._health.topic} have no frame_id"
            self._health.trouble("frame_id", text, degraded=True)
