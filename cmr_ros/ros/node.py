"""The node `hand_node`: images and camera_info in, hands in camera space out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import Empty

from cmr_ros.errors import EngineError, InputError
from cmr_ros.files.stamps import nanoseconds
from cmr_ros.geometry.exposure import why_nothing_shows
from cmr_ros.hand import Hand
from cmr_ros.model.card import UNMEASURED
from cmr_ros.pipeline import HandPipeline
from cmr_ros.ros.distribution import answer_impossible_transitions
from cmr_ros.ros.health import Health
from cmr_ros.ros.inputs import Inputs
from cmr_ros.ros.memory import release_memory, settle_memory
from cmr_ros.ros.outputs import Outputs
from cmr_ros.ros.parameter_values import declare
from cmr_ros.ros.parameters import Parameters
from cmr_ros.ros.size_service import SizeService
from cmr_ros.settings import PipelineSettings
from cmr_ros.stages import listening, stage

#: How often listeners are looked for, where ROS does not tell that they have come.
_LOOK_S = 0.2
#: Images are read for so long after the last listener has gone.
_LINGER_S = 2.0
#: Hands that cannot be placed, and images that show nothing, are reported after so long, and no
#: longer when they have not been met for so long.
_GRACE_S, _LAPSE_S = 1.0, 3.0
#: A node that starts itself starts again so long after its network has failed.
_RESTART_S = 5.0
_IDLE = "idle: nobody listens to hands, /tf, markers or images"


class HandNode(LifecycleNode):
    """Feeds a camera's images to the pipeline and publishes the hands it finds.

    A managed node: configured it has its networks in memory, active it is subscribed to images.
    Where the network does not run any more it becomes unconfigured by way of ErrorProcessing.

    Subscriptions: image_raw or image_raw/compressed, camera_info; if wanted depth, ~/regions.
    Publications: those of `cmr_ros.ros.topics`, /tf, /diagnostics.
    Services: ~/reset, ~/calibrate_hand_size.  Works only while somebody listens.
    Everything about an image has its stamp and optical frame_id.  Parameters: `Parameters`.
    """

    def __init__(self):
        super().__init__("hand_node")
        self._pipeline: HandPipeline | None = None
        self._inputs: Inputs | None = None
        self._outputs: Outputs | None = None
        self._is_starting = False
        self._failure: Exception | None = None
        self._lost: EngineError | None = None
        self._restart_s: float | None = None  # when it is due, on the monotonic clock
        answer_impossible_transitions(self)
        try:
            self._settings = declare(self, self._on_change, lambda: self._pipeline is not None)
        except Exception:
            self.destroy_node()
            raise
        self._last_stamp_ns = 0
        self._wanted_s = 0.0
        self.health = Health(self)
        self.health.look = self._look
        self.health.resting = "unconfigured"
        self.create_service(Empty, "~/reset", self._on_reset)
        self._sizing = SizeService(self, self._measure_size)
        # Not simulated time: listeners may come while a simulation is paused.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._looking = self.create_timer(_LOOK_S, self._look_for_listeners, clock=steady)
        self._looking.cancel()

    def start(self) -> None:
        """Configure and activate, if the parameter `autostart` says so; raises why it fails."""
        self._is_starting = self._settings.autostart
        for step in (self.trigger_configure, self.trigger_activate) if self._is_starting else ():
            if step() != TransitionCallbackReturn.SUCCESS and self._failure:
                raise self._failure
        self._is_starting = False

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the networks, warm them up and advertise topics."""
        return self._step(self._configure, "inactive")

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe; images are read while somebody listens to what becomes of them."""
        return self._step(self._activate, _IDLE)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to nothing; the networks stay in memory."""
        return self._step(self._fail if self._lost else self._deactivate, "inactive")

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the memory back; parameters that are fixed may be changed until the next time."""
        return self._step(self._release, "unconfigured")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back for good."""
        return self._step(self._release, "finalized")

    def _step(self, work: Callable[[], None], then: str) -> TransitionCallbackReturn:
        """Change the state; /diagnostics keeps the reason why it could not be changed."""
        try:
            work()
        except InputError as error:  # which leaves the node as it was
            self._failed(error)
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # the node becomes unconfigured, by way of ErrorProcessing
            self._release()
            self._failed(error)
            return TransitionCallbackReturn.ERROR
        self.health.clear("lifecycle")
        self.health.resting = then
        self._restart_s = None
        return TransitionCallbackReturn.SUCCESS

    def _fail(self):
        raise self._lost

    def _failed(self, error: Exception):
        if self._is_starting:
            self._failure = error
        else:
            self.health.failed("lifecycle", error)

    def _configure(self):
        p = self._settings
        pipeline = HandPipeline(
            p.model,
            settings=self._pipeline_settings(p),
            engine=p.engine,
            providers=p.providers,
            threads=p.threads,
            half=p.half,
            looks_beside=True,
        )
        self.health.model = pipeline.network.card.name
        self.health.serving = pipeline.network.serving
        if not pipeline.network.card.noise:
            self.get_logger().warning(f"model {p.model!r}: {UNMEASURED}")
        self._sizing.scale_log_sd = pipeline.noise.scale_log_sd
        self._pipeline = pipeline
        self._outputs = Outputs(self, pipeline.template, self.health, self._look_for_listeners)
        settle_memory()

    def _activate(self):
        self._inputs = Inputs(self, self._settings, self.health, self._answer)
        self._looking.reset()
        awaited = " and ".join(self._inputs.topics)
        self.get_logger().info(f"{self.health.serving}; waiting for {awaited}")

    def _deactivate(self):
        self._looking.cancel()
        if self._inputs is not None:
            self._inputs.destroy()
        self._inputs = None
        self.health.forget()

    def _release(self):
        """Give everything back, however far the node has come."""
        self._deactivate()
        if self._outputs is not None:
            self._outputs.destroy()
        self._pipeline = self._outputs = self._lost = None
        self.health.resting = "unconfigured"
        release_memory()

    def _on_change(self, parameters: Parameters):
        settings = self._pipeline_settings(parameters)
        if self._pipeline is not None:
            self._pipeline.settings = settings
        self._settings = parameters

    def _pipeline_settings(self, parameters: Parameters) -> PipelineSettings:
        """Return what parameters say; a hand that is measured is of unknown size."""
        settings = parameters.pipeline_settings()
        return replace(settings, hand_length_m=0.0) if self._sizing.is_measuring else settings

    def _measure_size(self):
        """Take note that a measurement begins or ends."""
        if self._sizing.is_measuring and self._inputs is None:
            raise InputError("the node is not active, so no hand is seen")
        self._on_change(self._settings)

    def _on_reset(self, request: Empty.Request, response: Empty.Response) -> Empty.Response:
        if self._pipeline is not None:
            self._pipeline.reset()
        if self._inputs is not None:
            self._inputs.forget()
        return response

    def _look_for_listeners(self):
        """Read images while somebody listens to what becomes of them."""
        if self._inputs is None:
            return
        with self.health.guard("listeners"):
            now_s = time.monotonic()
            if self._sizing.is_measuring or self._outputs.are_wanted(self._settings):
                self._wanted_s = now_s
                if not self._inputs.is_open:
                    self._inputs.open()
            elif self._inputs.is_open and now_s - self._wanted_s > _LINGER_S:
                self._inputs.close()
                self.health.forget()
            self.health.resting = "" if self._inputs.is_open else _IDLE

    def _look(self):
        self._recover()
        if self._inputs is not None:
            self._inputs.look()
            self._outputs.look(self._settings)

    def _recover(self):
        """Become unconfigured if the network is lost, and start again some time later."""
        due_s = time.monotonic() + _RESTART_S
        if self._lost:
            self.trigger_deactivate()
            self._restart_s = due_s if self._settings.autostart else None
        elif self._restart_s is not None and time.monotonic() >= self._restart_s:
            self._restart_s = due_s  # should it fail
            if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()

    def _answer(self, message: Image | CompressedImage, beside: Image | CompressedImage | None):
        """Publish the hands of one image, or warn why they cannot be found."""
        if self._inputs is None or self._lost:  # it came while the node was deactivated
            return
        start_s = time.monotonic()
        header = message.header
        with self.health.guard("image"):
            picture = self._inputs.read(message)
            camera = self._inputs.camera(*picture.shape[1::-1], header, self._settings)
            if camera is None:
                return
            depth_m = self._inputs.depth_m(beside, camera, header)
            second = self._inputs.second_view(beside, message, self._settings)
            places = self._inputs.places()
            stamp_s = self._stamp_s(header)
            hands = self._find(picture, camera, stamp_s, depth_m, places, second)
            if hands is None:
                return
            self._outputs.publish(hands, picture, camera, header, stamp_s, self._settings)
            self._sizing.see(hands)
            self._report(header, time.monotonic() - start_s, hands, picture)

    def _find(self, *seen: Any) -> list[Hand] | None:
        """Return an image's hands; None where the network does not run any more."""
        try:
            with listening(self.health.stage), stage("pipeline"):
                return self._pipeline(*seen)
        except Exception:
            try:
                self._pipeline.try_network()
            except EngineError as error:
                again = f"every {_RESTART_S:g} s" if self._settings.autostart else "when configured"
                self._lost = EngineError(f"{error}; the node starts again {again}")
                return None
            raise

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
        self.health.refused(self._pipeline.refusals)
        if self._pipeline.apart:
            text = f"hands are placed by one view: two views do not fit, {self._pipeline.apart}"
            self.health.trouble("views", text, _GRACE_S, _LAPSE_S, degraded=True)
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
