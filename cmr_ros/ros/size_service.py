"""The service ~/calibrate_hand_size: measures the hand in view and sets the parameters for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future

from cmr_ros.errors import InputError
from cmr_ros.hand import Hand
from cmr_ros.registration import HandSize
from cmr_ros.registration.sizing import SizeMeasurement
from cmr_ros.srv import CalibrateHandSize

_USUAL_S, _LONGEST_S = 3.0, 60.0


class SizeService:
    """Answers once a hand has been seen for as long as was asked for."""

    def __init__(self, node: Node, on_change: Callable[[], None]):
        """Advertise the service.

        Args:
            node: to advertise for.
            on_change: called when `is_measuring` has changed: while it is so, hands are to be found
                as if nothing was known of their size.  Raises InputError where nothing can be
                measured.
        """
        self._node, self._on_change = node, on_change
        self._measurement: SizeMeasurement | None = None
        self.scale_log_sd = 0.0  # of the network in use
        # In a group of its own: an answer that is awaited keeps all others of its group waiting.
        node.create_service(
            CalibrateHandSize,
            "~/calibrate_hand_size",
            self._on_request,
            callback_group=ReentrantCallbackGroup(),
        )

    @property
    def is_measuring(self) -> bool:
        """Whether hands are wanted."""
        return self._measurement is not None

    def see(self, hands: Sequence[Hand]) -> None:
        """Take note of an image's hands."""
        if self._measurement is not None:
            self._measurement.see(hands)

    async def _on_request(
        self, request: CalibrateHandSize.Request, response: CalibrateHandSize.Response
    ) -> CalibrateHandSize.Response:
        try:
            size = await self._measured(request.wrist_depth_m, request.duration_s or _USUAL_S)
            self._set(size)
        except InputError as error:
            response.message = str(error)
            return response
        response.success = True
        response.hand_length_m = size.length_m
        response.hand_length_deviation_m = size.length_m * size.deviation
        response.message = "hand_length_m and hand_length_deviation_m are set"
        return response

    async def _measured(self, wrist_depth_m: float, duration_s: float) -> HandSize:
        if not (0 < duration_s <= _LONGEST_S and 0 <= wrist_depth_m < 10):
            raise InputError(
                f"duration_s {duration_s:g}, wrist_depth_m {wrist_depth_m:g}: must be at most "
                f"{_LONGEST_S:g} s, and from 0 to 10 m"
            )
        if self.is_measuring:
            raise InputError("another measurement is under way")
        self._measurement = measurement = SizeMeasurement()
        try:
            self._on_change()
            await self._pause(duration_s)
        finally:
            self._measurement = None
            self._on_change()
        return measurement.size(wrist_depth_m, self.scale_log_sd)

    async def _pause(self, duration_s: float) -> None:
        over: Future = Future()
        # Not simulated time: people hold hands still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        timer = self._node.create_timer(duration_s, lambda: over.set_result(None), clock=steady)
        await over
        self._node.destroy_timer(timer)

    def _set(self, size: HandSize) -> None:
        values = {
            "hand_length_m": size.length_m,
            "hand_length_deviation_m": size.length_m * size.deviation,
        }
        changes = [Parameter(name, value=value) for name, value in values.items()]
        result = self._node.set_parameters_atomically(changes)
        if not result.successful:
            raise InputError(f"measured {size.length_m:.3f} m, but {result.reason}")
