"""What camera drivers send: the parameters of tests, and the table in docs/ros.md.

Read in the drivers' sources, unless marked as not verified.
"""

from __future__ import annotations

from dataclasses import dataclass

BAYER = "bayer_rggb bayer_bggr bayer_gbrg bayer_grbg".split()
BAYER_8, BAYER_16 = ([f"{name}{bits}" for name in BAYER] for bits in (8, 16))
#: Coefficients as calibrations have them: weak ones of webcams, Azure Kinect's, a fisheye's.
D5 = [0.08, -0.17, 0.001, -0.0008, 0.05]
D8 = [0.52, -2.4, 1e-3, -4e-4, 1.44, 0.4, -2.23, 1.36]
FISHEYE_D = [0.11, -0.02, 0.004, -0.001]
#: camera_info_manager without a file sends zeros.
UNCALIBRATED = [0.0] * 9
FOCAL_1 = [1.0, 0, 32, 0, 1, 24, 0, 0, 1]


@dataclass(frozen=True)
class Info:
    """A camera_info: distortion model, D, K (None: a plausible one), and what becomes of it.

    becomes: the lens's model and number of coefficients, or words of the error.
    """

    model: str
    d: list[float]
    becomes: tuple[str, int] | str
    k: list[float] | None = None


@dataclass(frozen=True)
class Driver:
    """What one driver sends.  formats: of compressed images; bits: in use of 16."""

    name: str
    encodings: list[str]
    infos: list[Info]
    frame_id: str
    formats: tuple[str, ...] = ()
    depths: tuple[str, ...] = ()
    bits: int = 16
    note: str = ""
    verified: bool = True


NO_LENS, WEBCAM = Info("plumb_bob", [0.0] * 5, ("", 0)), Info("plumb_bob", D5, ("plumb_bob", 5))
NOT_CALIBRATED = Info("", [], "not calibrated", UNCALIBRATED)
AZURE = Info("rational_polynomial", D8, ("rational_polynomial", 8))
FISHEYE = Info("equidistant", FISHEYE_D, ("equidistant", 4))
TRANSPORT = ("rgb8; jpeg compressed bgr8", "rgb8; png compressed bgr8")

DRIVERS = [
    Driver(
        "usb_cam",
        ["rgb8", "yuv422_yuy2", "yuv422", "mono8", "mono16", "nv21", "nv24", "bgr8"],
        [WEBCAM, NOT_CALIBRATED],
        "default_cam",
        ("jpeg",),
        bits=10,
        note="calibrate it, or set assume_hfov_deg; frame_id is not an optical frame by name",
    ),
    Driver(
        "v4l2_camera",
        ["rgb8", "yuv422_yuy2", "yuv422", "mono8"],
        [WEBCAM, NOT_CALIBRATED],
        "camera",
        TRANSPORT,
        note="calibrate it, or set assume_hfov_deg",
    ),
    Driver(
        "camera_ros (libcamera)",
        ["bgra8", "rgba8", "rgb8", "bgr8", "yuv422_yuy2", "nv21", "nv24", *BAYER_8, *BAYER_16,
         "mono8", "mono16", "rgb16", "bgr16"],
        [WEBCAM, NOT_CALIBRATED],
        "camera",
        ("jpeg", "jpg"),
        bits=12,
        note="rows are padded",
    ),
    Driver(
        "gscam",
        ["rgb8", "mono8"],
        [WEBCAM, NOT_CALIBRATED],
        "/camera_frame",
        ("jpeg",),
        note="read for ROS 1",
    ),
    Driver(
        "realsense2_camera",
        ["rgb8", "bgr8", "rgba8", "bgra8", "yuv422_yuy2", "yuv422", "mono8", "mono16"],
        [NO_LENS, WEBCAM, FISHEYE],
        "camera_color_optical_frame",
        TRANSPORT,
        ("16UC1",),
        bits=10,
        note="with use_depth, start it with align_depth.enable and enable_sync; it names every "
        "model but Kannala-Brandt plumb_bob, the inverse one of some colour cameras, too",
    ),
    Driver(
        "zed_wrapper",
        ["bgra8", "bgr8", "mono8"],
        [NO_LENS, WEBCAM, AZURE, FISHEYE,
         Info("rational_polynomial", [0.0] * 8, ("", 0))],
        "zed_left_camera_frame_optical",
        ("bgra8; jpeg compressed bgr8",),
        ("32FC1", "mono16"),
        note="mono16 is depth in millimetres in its openni mode",
    ),
    Driver(
        "orbbec_camera",
        ["rgb8", "bgra8", "rgba8", "mono8", "mono16"],
        [Info("plumb_bob", [0.0] * 8, ("", 0)), Info("plumb_bob", D8, ("plumb_bob", 8)),
         Info("equidistant", [0.11, -0.02, 0, 0, 0.004, -0.001, 0, 0], ("equidistant", 4))],
        "camera_color_optical_frame",
        TRANSPORT,
        ("16UC1",),
        bits=10,
        note="8 coefficients whatever the model; of a fisheye's, p1 and p2 are left out",
    ),
    Driver(
        "azure_kinect_ros_driver",
        ["bgra8", "mono8", "mono16"],
        [AZURE],
        "rgb_camera_link",
        ("bgra8; jpeg compressed bgr8",),
        ("16UC1", "32FC1"),
        bits=12,
        note="depth from depth_to_rgb; read for ROS 1",
    ),
    Driver(
        "depthai_ros_driver",
        ["rgb8", "bgr8", "mono8", "yuv422"],
        [AZURE, Info("rational_polynomial", [0.0] * 8, ("", 0))],
        "oak_rgb_camera_optical_frame",
        ("jpeg",),
        ("16UC1",),
        note="rational_polynomial is said of wide-angle lenses, too: rectify those",
    ),
    Driver(
        "openni2_camera",
        ["rgb8", "yuv422", "mono8"],
        [NO_LENS],
        "openni_rgb_optical_frame",
        TRANSPORT,
        ("16UC1", "32FC1"),
        note="register depth with depth_registration",
    ),
    Driver(
        "spinnaker_camera_driver",
        ["mono8", "mono16", *BAYER_8, *BAYER_16, "rgb8", "bgr8", "bgra8"],
        [WEBCAM, NOT_CALIBRATED],
        "the node's name",
        ("bayer_rggb8; jpeg compressed mono8", "bayer_rggb8; png compressed "),
        bits=12,
        note="compressed as JPEG, Bayer images are grey",
    ),
    Driver(
        "pylon_ros2_camera",
        ["mono8", "mono16", *BAYER_8, *BAYER_16, "rgb8", "bgr8", "yuv422"],
        [WEBCAM, Info("", [0.0] * 5, "not calibrated", UNCALIBRATED)],
        "pylon_camera",
        ("bayer_rggb8; jpeg compressed mono8",),
        bits=12,
        note="calibrate it, or set assume_hfov_deg",
    ),
    Driver(
        "gazebo (ros_gz_bridge)",
        ["rgb8", "rgba8", "bgra8", "bgr8", "mono8", "mono16", "rgb16", "bgr16"],
        [NO_LENS, WEBCAM, AZURE, FISHEYE, Info("equidistant", [0.0] * 4, ("equidistant", 4))],
        "as in the SDF",
        TRANSPORT,
        ("32FC1",),
        note="set optical_frame_id in the SDF: the sensor's own frame looks along x",
    ),
    Driver(
        "gazebo_ros_pkgs (Gazebo 11)",
        ["rgb8", "bgr8", "mono8", "mono16", *BAYER_8],
        [NO_LENS, WEBCAM],
        "as in the SDF",
        TRANSPORT,
        ("32FC1", "16UC1"),
        note="read for ROS 1",
    ),
    Driver(
        "isaac sim",
        ["rgb8"],
        [Info("pinhole", [], ("", 0)), NO_LENS,
         Info("rationalPolynomial", D8, ("rational_polynomial", 8)),
         Info("kannalaBrandt", FISHEYE_D, ("equidistant", 4)),
         Info("fisheyePolynomial", FISHEYE_D, "known are")],
        "sim_camera",
        (),
        ("32FC1",),
        note="the f-theta polynomial is not supported: choose OpenCV's models",
        verified=False,
    ),
    Driver(
        "image_publisher",
        ["bgr8"],
        [Info("plumb_bob", [0.0] * 5, "no lens has.*not calibrated", FOCAL_1), WEBCAM],
        "camera",
        TRANSPORT,
        note="without camera_info_url it sends a focal length of 1: set assume_hfov_deg",
    ),
]  # fmt: skip


def table() -> str:
    """The table of docs/ros.md."""
    lines = ["| driver | images | camera_info | depth | `format` | frame_id | |", "|---" * 7 + "|"]
    for driver in DRIVERS:
        names = [*dict.fromkeys(_short(name) for name in driver.encodings)]
        lenses = [*dict.fromkeys(_lens(info) for info in driver.infos)]
        cells = [
            driver.name + ("" if driver.verified else " †"),
            ", ".join(names),
            "; ".join(lenses),
            ", ".join(driver.depths),
            ", ".join(f"`{one.strip()}`" for one in driver.formats),
            driver.frame_id,
            driver.note,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _short(encoding: str) -> str:
    return f"bayer_*{encoding[10:]}" if encoding.startswith("bayer") else encoding


def _lens(info: Info) -> str:
    if info.k is not None:
        return f"**{'K of zeros' if not any(info.k) else 'focal length 1'}: refused**"
    name = (
        info.model if any(info.d) or info.becomes[0] == "equidistant" else f"{info.model}, D of 0"
    )
    if isinstance(info.becomes, str):
        return f"**{info.model}: refused**"
    return f"{name} ({len(info.d)})" if any(info.d) else name
