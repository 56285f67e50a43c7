"""The node `hand_node`: images and camera_info in, hands in camera space out."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from cmr_ros.errors import CmrError, InputError
from cmr_ros.geometry.camera import Camera
from cmr_ros.msg import HandMeshArray, HandTopology
from cmr_ros.pipeline import HandPipeline
from cmr_ros.ros import messages, pictures, topics
from cmr_ros.ros.depth import DepthInput
from cmr_ros.ros.health import Health
from cmr_ros.ros.markers import HandMarkers
from cmr_ros.ros.parameters import Parameters, declare
from cmr_ros.ros.subscription import NewestSubscription
from cmr_ros.viewing.drawing import hand_mask, overlay

#: Grace period before missing camera_info or depth is reported.
_GRACE_S = 2.0


class HandNode(Node):
    """Feeds a camera's pictures to the pipeline and publishes the hands it finds.

    Subscriptions: image_raw or image_raw/compressed, camera_info, and depth if wanted.
    Publications: ~/hands, ~/topology, ~/markers, ~/mask, ~/debug_image, /tf, /diagnostics.
    Everything about a picture has its stamp, and its frame_id, an optical frame.  Parameters: see
    `cmr_ros.ros.parameters`.  Raises InputError for a model that cannot be used.
    """

    def __init__(self):
        super().__init__("hand_node")
        p = self._settings = declare(self, self._on_change)
        self._info: CameraInfo | None = None
        self._pipeline = HandPipeline(
            p.model or None,
            settings=p.pipeline_settings(),
            engine=p.engine,
            providers=p.providers,
            threads=p.threads,
            half=p.half,
        )
        self._advertise()
        self._subscribe(compressed=p.transport == "compressed", depth=p.use_depth)
        self._health = Health(self, self._images.topic, self._pipeline.network.serving)
        sources = [self._images, self._infos, *([self._depths] if self._depths else [])]
        awaited = " and ".join(source.topic for source in sources)
        self.get_logger().info(f"{self._pipeline.network.serving}; waiting for {awaited}")

    def _advertise(self):
        advertise = partial(
            self.create_publisher,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._hands = advertise(HandMeshArray, topics.HANDS, 10)
        self._markers = advertise(MarkerArray, topics.MARKERS, 10)
        self._mask = advertise(Image, topics.MASK, 10)
        self._debug_image = advertise(Image, topics.DEBUG_IMAGE, 10)
        self._tf = self.create_publisher(TFMessage, "/tf", 100)
        kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._topology = self.create_publisher(HandTopology, topics.TOPOLOGY, kept)
        self._topology.publish(messages.to_topology(self._pipeline.template))
        self._make_markers = HandMarkers(self._pipeline.template.faces[0])

    def _subscribe(self, compressed: bool, depth: bool):
        # Like image_transport: one remapping of image_raw serves every transport.
        base = self.resolve_topic_name("image_raw")
        self._infos = NewestSubscription(self, CameraInfo, "camera_info", self._on_info)
        self._depths = DepthInput(self, self._answer) if depth else None
        if compressed:
            self._read_picture = pictures.decompress
            kind, topic = CompressedImage, f"{base}/compressed"
        else:
            self._read_picture = pictures.to_rgb
            kind, topic = Image, base
        self._images = NewestSubscription(self, kind, topic, self._on_picture)

    def _on_change(self, parameters: Parameters):
        self._settings = parameters
        self._pipeline.settings = parameters.pipeline_settings()

    def _on_info(self, info: CameraInfo):
        self._info = info

    def _on_picture(self, message: Image | CompressedImage):
        self._health.received()
        if self._depths is None:
            self._answer(message)
        else:
            self._depths.pair(message)

    def _answer(self, message: Image | CompressedImage, depth: Image | None = None):
        """Publish the hands of one picture, or warn why they cannot be found."""
        start_s = time.monotonic()
        header = message.header
        stamp_s = header.stamp.sec + header.stamp.nanosec * 1e-9
        try:
            picture = self._read_picture(message)
            camera = self._camera(*picture.shape[1::-1])
            if camera is None:
                return
            hands = self._pipeline(picture, camera, stamp_s, self._depth_m(depth, camera, header))
        except InputError as error:
            self._health.trouble("picture", str(error))
            return
        self._health.clear("picture")
        self._publish(hands, picture, camera, header)
        latency_s = self.get_clock().now().nanoseconds * 1e-9 - stamp_s
        self._health.published(latency_s, time.monotonic() - start_s, len(hands))

    def _camera(self, width: int, height: int) -> Camera | None:
        """Return the camera of a picture of this size, None as long as it is not known."""
        hfov_deg = self._settings.assume_hfov_deg
        if hfov_deg > 0:
            self._health.clear("camera_info")
            return Camera.from_fov(width, height, hfov_deg)
        topic = self._infos.topic
        remedy = "calibrate the camera, or set assume_hfov_deg to its horizontal field of view"
        if self._info is None:
            text = f"no camera_info on {topic}, so no hands: remap camera_info, {remedy}"
            self._health.trouble("camera_info", text, grace_s=_GRACE_S)
            return None
        self._health.clear("camera_info")
        try:
            camera = messages.to_camera(self._info, self._settings.rectified)
        except InputError as error:
            raise InputError(f"camera_info on {topic}: {error}; {remedy}") from error
        if (camera.width, camera.height) != (width, height):
            raise InputError(
                f"the image on {self._images.topic} is {width}x{height}, but camera_info on "
                f"{topic} is for {camera.width}x{camera.height}: both must come from one camera"
            )
        return camera

    def _depth_m(self, depth: Image | None, camera: Camera, header) -> np.ndarray | None:
        """Return z of each of a picture's pixels; None, and a warning, where it is not known."""
        if self._depths is None:
            return None
        try:
            depth_m = self._depths.read(depth, camera, header.frame_id)
        except InputError as error:
            text = f"hands are placed without depth: {error}"
            self._health.trouble("depth", text, grace_s=_GRACE_S, degraded=True)
            return None
        self._health.clear("depth")
        return depth_m

    def _publish(self, hands, picture, camera: Camera, header):
        """Publish one picture's results; the expensive ones only where somebody listens."""
        p = self._settings
        self._hands.publish(messages.to_hand_array(hands, header))
        if p.publish_tf and hands and self._wanted(self._tf):
            if header.frame_id:
                transforms = messages.to_transforms(hands, header, p.frame_prefix)
                self._tf.publish(TFMessage(transforms=transforms))
                self._health.clear("frame_id")
            else:
                text = f"no /tf: images on {self._images.topic} have no frame_id"
                self._health.trouble("frame_id", text, degraded=True)
        if p.publish_markers and self._wanted(self._markers):
            self._markers.publish(self._make_markers(hands, header))
        if p.publish_mask and self._wanted(self._mask):
            self._mask.publish(pictures.to_image(hand_mask(hands, camera), header))
        if p.publish_debug_image and self._wanted(self._debug_image):
            drawn = overlay(picture, hands, self._pipeline.template, camera)
            self._debug_image.publish(pictures.to_image(drawn, header))

    @staticmethod
    def _wanted(publisher) -> bool:
        return publisher.get_subscription_count() > 0


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop; return the exit status."""
    rclpy.init(args=args)
    try:
        node = HandNode()
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (CmrError, ParameterException) as error:
        get_logger("hand_node").fatal(str(error))
        return 1
    except Exception:
        # A signal invalidates the context under whatever call is at work, and that call raises.
        if rclpy.ok():
            raise
    finally:
        rclpy.try_shutdown()
    return 0
