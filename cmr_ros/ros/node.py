"""The node `hand_node`: images and camera_info in, hands in camera space out."""

from __future__ import annotations

import time

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import Empty

from cmr_ros.files.stamps import nanoseconds
from cmr_ros.geometry.exposure import why_nothing_shows
from cmr_ros.pipeline import HandPipeline
from cmr_ros.ros.health import Health
from cmr_ros.ros.inputs import Inputs
from cmr_ros.ros.outputs import Outputs
from cmr_ros.ros.parameters import Parameters, declare

#: How often listeners are looked for, where ROS does not tell that they have come.
_LOOK_S = 0.2
#: Images are read for so long after the last listener has gone.
_LINGER_S = 2.0
#: Hands that cannot be placed, and images that show nothing, are reported after so long, and no
#: longer when they have not been met for so long.
_GRACE_S, _LAPSE_S = 1.0, 3.0


class HandNode(Node):
    """Feeds a camera's images to the pipeline and publishes the hands it finds.

    Subscriptions: image_raw or image_raw/compressed, camera_info, and depth if wanted.
    Publications: ~/hands, ~/topology, ~/markers, ~/mask, ~/debug_image, /tf, /diagnostics.
    Service: ~/reset.  Works only while somebody listens.
    Everything about an image has its stamp, and its frame_id, an optical frame.  Parameters: see
    `cmr_ros.ros.parameters`.  Raises InputError for a model that cannot be used.
    """

    def __init__(self):
        super().__init__("hand_node")
        p = self._settings = declare(self, self._on_change)
        self._pipeline = HandPipeline(
            p.model or None,
            settings=p.pipeline_settings(),
            engine=p.engine,
            providers=p.providers,
            threads=p.threads,
            half=p.half,
        )
        self._last_stamp_ns = 0
        self._wanted_s = 0.0
        self.health = Health(self)
        self.health.serving = self._pipeline.network.serving
        self.health.look = self._look
        self._outputs = Outputs(
            self, self._pipeline.template, self.health, self._look_for_listeners
        )
        self._inputs = Inputs(self, p, self.health, self._answer)
        self.create_service(Empty, "~/reset", self._on_reset)
        # Not simulated time: listeners may come while a simulation is paused.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_LOOK_S, self._look_for_listeners, clock=steady)
        awaited = " and ".join(self._inputs.topics)
        self.get_logger().info(f"{self.health.serving}; waiting for {awaited}")

    def _on_change(self, parameters: Parameters):
        self._pipeline.settings = parameters.pipeline_settings()
        self._settings = parameters

    def _on_reset(self, request: Empty.Request, response: Empty.Response) -> Empty.Response:
        self._pipeline.reset()
        self._inputs.forget()
        return response

    def _look_for_listeners(self):
        """Read images while somebody listens to what becomes of them."""
        with self.health.guard("listeners"):
            now_s = time.monotonic()
            if self._outputs.are_wanted(self._settings):
                self._wanted_s = now_s
                if not self._inputs.is_open:
                    self._inputs.open()
            elif self._inputs.is_open and now_s - self._wanted_s > _LINGER_S:
                self._inputs.close()
                self.health.forget()
            self.health.is_idle = not self._inputs.is_open

    def _look(self):
        self._inputs.look()
        self._outputs.look(self._settings)

    def _answer(self, message: Image | CompressedImage, depth: Image | None):
        """Publish the hands of one image, or warn why they cannot be found."""
        start_s = time.monotonic()
        header = message.header
        with self.health.guard("image"):
            picture = self._inputs.read(message)
            camera = self._inputs.camera(*picture.shape[1::-1], header, self._settings)
            if camera is None:
                return
            depth_m = self._inputs.depth_m(depth, camera, header)
            hands = self._pipeline(picture, camera, self._stamp_s(header), depth_m)
            self._outputs.publish(hands, picture, camera, header, self._settings)
            self._report(header, time.monotonic() - start_s, hands, picture)

    def _stamp_s(self, header: Header) -> float | None:
        """Return an image's stamp; None if it has none."""
        stamp_ns = nanoseconds(header.stamp)
        if stamp_ns in (0, self._last_stamp_ns):
            text = (
                f"images on {self.health.topic} have no timestamps of their own ({stamp_ns} ns): "
                "/tf and smoothing cannot work; the camera driver must set them"
            )
            self.health.trouble("stamps", text, _GRACE_S, degraded=True)
        else:
            self.health.clear("stamps")
        self._last_stamp_ns = stamp_ns
        return stamp_ns * 1e-9 if stamp_ns else None

    def _report(self, header: Header, work_s: float, hands, picture):
        """Note an image's result, and why there are no hands if that can be said."""
        stamp_ns = nanoseconds(header.stamp)
        age_ns = self.get_clock().now().nanoseconds - stamp_ns
        self.health.published(age_ns * 1e-9 if stamp_ns else None, work_s, len(hands))
        if hands:
            self.health.clear("refusals")
            self.health.clear("exposure")
            return
        if self._pipeline.refusals:
            text = (
                f"hands are seen, but cannot be placed: {self._pipeline.refusals[0]}; if this is "
                "so with every hand, check camera_info"
            )
            self.health.trouble("refusals", text, _GRACE_S, _LAPSE_S)
        nothing = why_nothing_shows(picture)
        if nothing:
            text = f"images on {self.health.topic} are {nothing}: check light, lens and exposure"
            self.health.trouble("exposure", text, _GRACE_S, _LAPSE_S, degraded=True)
