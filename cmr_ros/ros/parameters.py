"""The node's parameters: each declared once, with type, default, description and range."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from cmr_ros.errors import InputError
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.model.choices import ENGINES
from cmr_ros.registration import SCHEMES
from cmr_ros.settings import POPULATIONS, PipelineSettings

#: Frame names may have slashes inside, but tf2 refuses those that begin with one.
_FRAME_PREFIX = re.compile(r"(?!/)[\w.\-/]*", re.ASCII)
_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list: "a list of strings",
}


def _parameter(default, description: str, limits=None, choices=(), fixed=False):
    """Describe one parameter; `fixed` ones are read when the node is configured."""
    about = {"description": description, "limits": limits, "choices": choices, "fixed": fixed}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=about)
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class Parameters:
    """The parameters of `hand_node`; `make parameters` renders config/hand.yaml and docs/ros.md."""

    autostart: bool = _parameter(
        True,
        "Configure and activate the node when it starts, and again when its network has failed; "
        "false: a lifecycle manager does, or `ros2 lifecycle set`",
        fixed=True,
    )
    model: str = _parameter(
        "exact",
        "Hand network: exact, lite (half of the time), or a model folder (model.onnx, "
        "template.npz, model.json)",
        fixed=True,
    )
    engine: str = _parameter("onnxruntime", "Inference engine", choices=ENGINES, fixed=True)
    providers: list[str] = _parameter(
        ["cuda", "cpu"],
        "Execution providers of onnxruntime (tensorrt, cuda, cpu) in order of preference; "
        "the first that works is used",
        fixed=True,
    )
    half: bool = _parameter(False, "Half precision, for torch or TensorRT on a GPU", fixed=True)
    threads: int = _parameter(2, "CPU threads of the networks", limits=(1, 64), fixed=True)
    transport: str = _parameter(
        "raw",
        "Subscribe to image_raw or to image_raw/compressed",
        choices=("raw", "compressed"),
        fixed=True,
    )
    use_depth: bool = _parameter(
        False,
        "Also subscribe to depth, a depth image registered to the colour image; the launch file "
        "sets this when its argument depth names a topic",
        fixed=True,
    )
    use_stereo: bool = _parameter(
        False,
        "Also subscribe to right/image_raw and right/camera_info, a second camera that is "
        "calibrated with the first one; the launch file sets this when its argument right_image "
        "names a topic",
        fixed=True,
    )
    stereo_tolerance_s: float = _parameter(
        0.01,
        "How far apart in time the images of two cameras may be taken, in seconds; 0: synchronised "
        "cameras that give both images one timestamp",
        limits=(0.0, 0.1),
        fixed=True,
    )
    regions: str = _parameter(
        "none",
        "Also subscribe to ~/regions, boxes in which to look for new hands: besides the search of "
        "the whole image, or only there",
        choices=("none", "besides", "only"),
        fixed=True,
    )
    rectified: bool = _parameter(
        False,
        "Images are rectified: use P of camera_info, without distortion, instead of K and D",
    )
    assume_hfov_deg: float = _parameter(
        0.0,
        "Horizontal field of view in degrees to assume for an uncalibrated camera, in place of "
        "camera_info; depth is only as good as this number; 0: require camera_info",
        limits=(0.0, 170.0),
    )
    max_hands: int = _parameter(2, "Maximum number of hands to track at once", limits=(1, 10))
    min_score: float = _parameter(
        0.5, "Hands with a lower probability of being a hand are dropped", limits=(0.0, 1.0)
    )
    detection_interval: int = _parameter(
        5,
        "While fewer than max_hands hands are tracked, look for more on every n-th image; on every "
        "image while none is tracked or one has just been lost",
        limits=(1, 1000),
    )
    handedness: str = _parameter(
        "unknown",
        "Handedness of all hands in view; unknown: the network predicts it",
        choices=("unknown", "left", "right"),
    )
    smoothing_hz: float = _parameter(
        0.0,
        "Cut-off frequency in Hz of the one-euro filter for a hand at rest; 0: no smoothing",
        limits=(0.0, 30.0),
    )
    hand_length_m: float = _parameter(
        0.0,
        "Length of the hands in metres, from the wrist to the tip of the middle finger along the "
        "bones; 0: unknown, estimated from depth images while a hand is tracked",
        limits=(0.0, 0.3),
    )
    hand_length_deviation_m: float = _parameter(
        0.002,
        "Standard deviation of hand_length_m, where that is set; the service "
        "~/calibrate_hand_size sets both",
        limits=(0.0005, 0.1),
    )
    population: str = _parameter(
        "adult",
        "Whose hands they are, while nothing else is known of their length",
        choices=tuple(POPULATIONS),
    )
    registration: str = _parameter(
        SCHEMES[0],
        "Cues that place a hand in camera space; published: the paper's scheme",
        choices=SCHEMES,
    )
    publish_tf: bool = _parameter(True, "Publish the joint frames on /tf")
    publish_markers: bool = _parameter(True, "Publish ~/markers while it has subscribers")
    publish_mask: bool = _parameter(True, "Publish ~/mask while it has subscribers")
    publish_debug_image: bool = _parameter(True, "Publish ~/debug_image while it has subscribers")
    publish_joint_markers: bool = _parameter(
        False,
        "Publish ~/joint_markers, the ellipsoids that hold each joint with 90 % probability, while "
        "it has subscribers",
    )
    frame_prefix: str = _parameter(
        "", "Prefix of the TF frame names, for several cameras: left_ gives left_hand_right/wrist"
    )

    def pipeline_settings(self) -> PipelineSettings:
        """Return the settings of the pipeline."""
        return PipelineSettings(
            max_hands=self.max_hands,
            min_score=self.min_score,
            detection_interval=self.detection_interval,
            search_everywhere=self.regions != "only",
            handedness=Handedness[self.handedness.upper()],
            smoothing_hz=self.smoothing_hz,
            hand_length_m=self.hand_length_m,
            hand_length_deviation_m=self.hand_length_deviation_m,
            population=self.population,
            scheme=self.registration,
        )


def declare(
    node: Node, on_change: Callable[[Parameters], None], is_configured: Callable[[], bool]
) -> Parameters:
    """Declare all parameters and return their values at start; warn of names nobody knows.

    Args:
        node: to declare them for.
        on_change: gets all values whenever one changes.
        is_configured: whether the fixed parameters have been read.

    Raises:
        InputError: for a value that a parameter cannot have.
    """
    # rclpy tells nobody else what the command line and parameter files hold.
    given = {name: parameter.value for name, parameter in node._parameter_overrides.items()}
    current = _changed(Parameters(), given)
    for about in fields(Parameters):
        value = getattr(current, about.name)
        node.declare_parameter(about.name, value, _descriptor(about), ignore_override=True)
    for name in given:
        # Those about quality of service are declared with the topics.
        if not name.startswith("qos_overrides.") and not node.has_parameter(name):
            node.get_logger().warning(_unknown(name))

    def on_set(changes: list[Parameter]) -> SetParametersResult:
        nonlocal current
        try:
            wanted = _changed(current, {change.name: change.value for change in changes})
            if is_configured():
                _check_fixed(current, wanted)
            on_change(wanted)
        except InputError as error:
            return SetParametersResult(successful=False, reason=str(error))
        except Exception as error:  # the node goes on with what it had
            reason = f"{type(error).__name__}: {error}"
            return SetParametersResult(successful=False, reason=reason)
        current = wanted
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(on_set)
    return current


def _changed(parameters: Parameters, given: dict[str, Any]) -> Parameters:
    """Return the parameters with those that are given in place of their own."""
    known = [about for about in fields(Parameters) if about.name in given]
    return replace(parameters, **{about.name: read(about, given[about.name]) for about in known})


def _check_fixed(current: Parameters, wanted: Parameters):
    for about in fields(Parameters):
        same = getattr(current, about.name) == getattr(wanted, about.name)
        if about.metadata["fixed"] and not same:
            raise InputError(
                f"parameter {about.name} is read when the node is configured: clean up the node "
                "before it is changed (`ros2 lifecycle set NODE deactivate`, then cleanup)"
            )


def read(about: Field, given: Any) -> Any:
    """Return what a value means to a parameter; InputError where it has no meaning.

    A whole number will do for a number, and `cuda,cpu` for a list.
    """
    value, kind = given, type(_default(about))
    if kind is float and type(value) is int:
        value = float(value)
    elif kind is int and type(value) is float and value.is_integer():
        value = int(value)
    elif kind is list and type(value) is str:
        value = [part.strip() for part in value.split(",")]
    limits, choices = about.metadata["limits"], about.metadata["choices"]
    if type(value) is not kind or (kind is list and not _all_words(value)):
        raise InputError(f"parameter {about.name} is {given!r}: must be {_KINDS[kind]}")
    if limits and not limits[0] <= value <= limits[1]:
        raise InputError(
            f"parameter {about.name} is {given!r}: must be from {limits[0]:g} to {limits[1]:g}"
        )
    if choices and value not in choices:
        raise InputError(
            f"parameter {about.name} is {given!r}: must be one of {', '.join(choices)}"
        )
    if about.name == "frame_prefix" and not _FRAME_PREFIX.fullmatch(value):
        raise InputError(
            f"parameter frame_prefix is {given!r}: may consist of letters, digits, '_', '-', '.' "
            "and '/', and must not begin with '/'"
        )
    return value


def _all_words(values: Iterable[Any]) -> bool:
    return all(type(value) is str and value for value in values)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, [about.name for about in fields(Parameters)], n=1)
    question = f"; did you mean {near[0]}?" if near else ""
    return f"there is no parameter {name}, so it has no effect{question}"


def _default(about: Field) -> Any:
    return getattr(Parameters(), about.name)


def _descriptor(about: Field) -> ParameterDescriptor:
    limits, choices = about.metadata["limits"], about.metadata["choices"]
    descriptor = ParameterDescriptor(
        description=about.metadata["description"],
        additional_constraints=f"one of {', '.join(choices)}" if choices else "",
        dynamic_typing=True,  # rclpy would refuse 1 for 1.0; `read` knows better
    )
    if limits:
        low, high = limits
        if isinstance(low, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        else:
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
    return descriptor
