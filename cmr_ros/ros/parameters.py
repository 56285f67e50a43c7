"""The node's parameters: each described once, with type, default, description and range."""

from __future__ import annotations

from dataclasses import dataclass, field

from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.model.choices import ENGINES
from cmr_ros.registration import SCHEMES
from cmr_ros.settings import POPULATIONS, PipelineSettings


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
        "Hand network: exact, lite (two thirds of the time), or a model folder (model.onnx, "
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
        0.5,
        "Hands with a lower probability of being a hand are dropped; new ones must reach more: "
        "0.87 instead of 0.5 with the exact model, 0.83 with the light one",
        limits=(0.0, 1.0),
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
        "Cut-off frequency in Hz of the one-euro filter for a hand at rest; the less certain a "
        "distance is, the more it is smoothed; 0: no smoothing",
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
