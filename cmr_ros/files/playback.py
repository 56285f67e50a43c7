"""The recording that comes with the package: pictures of a camera and the true joints of hands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files import mcap
from cmr_ros.files.pictures import decode
from cmr_ros.files.stamps import nanoseconds
from cmr_ros.files.untrusted import reading
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.camera_view import pose_from_calibration
from cmr_ros.geometry.skeleton import JOINT_NAMES, Handedness

IMAGE_TOPIC = "/camera/image_raw/compressed"
INFO_TOPIC = "/camera/camera_info"
#: Of a camera beside it, in recordings in stereo.
RIGHT_IMAGE_TOPIC = "/camera/right/image_raw/compressed"
RIGHT_INFO_TOPIC = "/camera/right/camera_info"
#: `/truth/...`: geometry_msgs/PoseArray, the 21 joints of one hand in the frame of the pictures.
TRUTH_PREFIX = "/truth/"
_TYPES = tuple(
    f"{package}/msg/{name}"
    for package, name in (
        ("sensor_msgs", "CompressedImage"),
        ("sensor_msgs", "CameraInfo"),
        ("geometry_msgs", "PoseArray"),
    )
)
_REMEDY = f"expected a bag with {IMAGE_TOPIC} and {INFO_TOPIC}, as `cmr synth recording` writes"
#: Half an hour at 30 images a second, with the camera and two hands for each.
_MAX_MESSAGES = 200_000
#: Between two recordings that are played as one.
_PAUSE_NS = 40_000_000
#: A found hand farther than this from a true one, on average over its joints, is another hand:
#: metres, or a share of the distance.
_SAME_HAND_M, _SAME_HAND_SHARE = 0.25, 0.2


@dataclass(eq=False)
class Frame:
    """One image, and what belongs to it."""

    stamp_ns: int
    jpeg: np.ndarray | None = None  # (bytes,) uint8
    #: by topic, true joints (21, 3) in metres of each hand
    hands: dict[str, np.ndarray] = field(default_factory=dict)
    #: topic, type and serialised message (CDR) of what the camera sent, in order
    messages: list[tuple[str, str, bytes]] = field(default_factory=list)
    right_jpeg: np.ndarray | None = None  # of a second camera, if there is one

    @property
    def truth(self) -> list[np.ndarray]:
        """The true joints (21, 3) in metres of each hand."""
        return list(self.hands.values())

    def picture(self) -> np.ndarray:
        """Return the picture (height, width, 3) uint8 RGB; InputError if it is none."""
        return self._decoded(self.jpeg)

    def right_picture(self) -> np.ndarray:
        """Return the second camera's picture, as `picture` does the first one's."""
        return self._decoded(self.right_jpeg)

    def _decoded(self, jpeg: np.ndarray | None) -> np.ndarray:
        try:
            return cv2.cvtColor(decode(jpeg), cv2.COLOR_BGR2RGB)
        except InputError as error:
            raise InputError(f"recording: the image at {self.stamp_ns} ns: {error}") from None


def read(path: Path) -> tuple[Camera, list[Frame]]:
    """Return the camera and the frames, by stamp, of a recording in MCAP.

    Raises InputError for a file that is no such recording.
    """
    infos, frames = _read(path)
    with reading(path, "recording in MCAP", _REMEDY):
        return _camera(infos[INFO_TOPIC]), frames


def read_stereo(path: Path) -> tuple[list[Camera], np.ndarray, np.ndarray, list[Frame]]:
    """Return both cameras, where the second one stands, and the frames that both have.

    The second camera is at R (3, 3) and t (3,): what is X to the first is R X + t to it.  Raises
    InputError for a file that is no recording of two cameras.
    """
    infos, frames = _read(path)
    pairs = [frame for frame in frames if frame.right_jpeg is not None]
    if RIGHT_INFO_TOPIC not in infos or not pairs:
        raise InputError(f"{path}: no {RIGHT_IMAGE_TOPIC} or {RIGHT_INFO_TOPIC}, so not in stereo")
    both = infos[INFO_TOPIC], infos[RIGHT_INFO_TOPIC]
    with reading(path, "recording in MCAP", _REMEDY):
        pose = pose_from_calibration(*((info.r, info.p) for info in both), rectified=False)
        if pose is None:
            raise InputError(f"P of {RIGHT_INFO_TOPIC} has no baseline")
        return [_camera(info) for info in both], *pose, pairs


def _read(path: Path) -> tuple[dict[str, Any], list[Frame]]:
    """Return the first CameraInfo of each topic, and the frames, by stamp."""
    frames: dict[int, Frame] = {}
    infos: dict[str, Any] = {}
    with reading(path, "recording in MCAP", _REMEDY):
        for topic, kind, message, raw in _messages(path):
            stamp_ns = nanoseconds(message.header.stamp)
            frame = frames.setdefault(stamp_ns, Frame(stamp_ns))
            if topic.startswith(TRUTH_PREFIX):
                frame.hands[topic] = _joints(message)
                continue
            frame.messages.append((topic, kind, raw))
            if topic == IMAGE_TOPIC:
                frame.jpeg = message.data
            elif topic == RIGHT_IMAGE_TOPIC:
                frame.right_jpeg = message.data
            else:
                infos.setdefault(topic, message)
    whole = [frames[stamp] for stamp in sorted(frames) if frames[stamp].jpeg is not None]
    if INFO_TOPIC not in infos or not whole:
        raise InputError(f"{path}: no image or no camera; {_REMEDY}")
    return infos, whole


def _camera(info: Any) -> Camera:
    return Camera.from_calibration(info.width, info.height, info.k, info.d, info.distortion_model)


def read_all(paths: Sequence[Path]) -> tuple[Camera, list[Frame]]:
    """Return the camera and the frames of recordings of one camera, one after the other.

    Raises InputError for a file that is no such recording, and for different cameras.
    """
    camera, frames = read(paths[0])
    for path in paths[1:]:
        other, more = read(path)
        if not (
            (other.width, other.height) == (camera.width, camera.height)
            and np.array_equal(other.matrix, camera.matrix)
            and np.array_equal(other.distortion, camera.distortion)
        ):
            raise InputError(f"{path}: of another camera than {paths[0]}; play it by itself")
        later_ns = frames[-1].stamp_ns + _PAUSE_NS - more[0].stamp_ns
        frames += [replace(frame, stamp_ns=frame.stamp_ns + later_ns) for frame in more]
    return camera, frames


def _joints(message: Any) -> np.ndarray:
    joints = np.array([[p.position.x, p.position.y, p.position.z] for p in message.poses])
    if joints.shape != (len(JOINT_NAMES), 3) or not np.isfinite(joints).all():
        raise InputError(f"a true hand of shape {joints.shape}, expected {len(JOINT_NAMES)} joints")
    return joints


def _messages(path: Path) -> Iterator[tuple]:
    """Yield topic, type, message and its bytes of all that belongs to the recording."""
    try:
        from rosbags.typesys import Stores, get_typestore
    except ModuleNotFoundError as error:
        raise InputError(
            "recordings need the Python package 'rosbags': pip install rosbags"
        ) from error

    store = get_typestore(Stores.ROS2_HUMBLE)
    kinds = dict.fromkeys((IMAGE_TOPIC, RIGHT_IMAGE_TOPIC), _TYPES[0])
    kinds |= dict.fromkeys((INFO_TOPIC, RIGHT_INFO_TOPIC), _TYPES[1])
    count = 0
    for topic, kind, raw in mcap.messages(path, _REMEDY):
        if not topic.startswith(TRUTH_PREFIX) and topic not in kinds:
            continue
        if kind != kinds.get(topic, _TYPES[2]):
            raise InputError(f"{topic} is of type {kind}")
        count += 1
        if count > _MAX_MESSAGES:
            raise InputError(f"it has over {_MAX_MESSAGES} images, cameras and poses")
        yield topic, kind, store.deserialize_cdr(raw, kind), raw


@dataclass(frozen=True, eq=False)
class FoundHand:
    """A hand as a listener sees it, in camera space."""

    track_id: int
    handedness: Handedness
    score: float
    joints_m: np.ndarray  # (21, 3)
    vertices_m: np.ndarray  # (V, 3)
    root_covariance_m2: np.ndarray  # (3, 3) of the wrist


@dataclass(frozen=True)
class Answer:
    """What came back for one frame, compared with the truth."""

    latency_s: float  # from sending the image to having its hands
    depths_m: list[float]  # of the hands' wrists
    errors_mm: list[float]  # mean camera-space distance of the joints, per true hand found
    errors_share: list[float]  # the same as shares of the true wrist's distance from the camera
    missed: int  # true hands without a found one
    extra: int  # found hands without a true one


def answer(latency_s: float, found: Sequence[FoundHand], truth: Sequence[np.ndarray]) -> Answer:
    """Compare found hands with true joints (21, 3) in metres.

    The nearest go together first, as long as their joints are near each other on average.
    """
    distance = np.array(
        [[np.linalg.norm(f.joints_m - t, axis=1).mean() for t in truth] for f in found]
    ).reshape(len(found), len(truth))
    far_m = np.array([np.linalg.norm(joints[0]) for joints in truth])
    errors_mm, errors_share = [], []
    while distance.size:
        allowed_m = np.maximum(_SAME_HAND_M, _SAME_HAND_SHARE * far_m)
        row, column = np.unravel_index(np.argmin(distance / allowed_m), distance.shape)
        error_m = float(distance[row, column])
        if error_m >= allowed_m[column]:
            break
        errors_mm.append(1000 * error_m)
        errors_share.append(error_m / max(float(far_m[column]), 1e-3))
        distance = np.delete(np.delete(distance, row, axis=0), column, axis=1)
        far_m = np.delete(far_m, column)
    same = len(errors_mm)
    depths = [float(hand.joints_m[0, 2]) for hand in found]
    missed, extra = len(truth) - same, len(found) - same
    return Answer(latency_s, depths, errors_mm, errors_share, missed, extra)


@dataclass(frozen=True)
class Summary:
    """Figures of a stretch of frames; NaN where there is nothing to take a median of."""

    sent: int  # frames
    dropped: int  # frames without an answer
    hands: int  # found, over all answers
    missed: int  # true hands without a found one
    extra: int  # found hands without a true one
    depth_m: float  # median
    error_mm: float  # median
    error_share: float  # median, of the distance
    latency_ms: float  # median
    latency_p90_ms: float


def summarise(answers: Sequence[Answer | None]) -> Summary:
    """Return the figures of frames of which some got no answer."""
    got = [one for one in answers if one is not None]
    depths = [depth for one in got for depth in one.depths_m]
    errors = [error for one in got for error in one.errors_mm]
    shares = [share for one in got for share in one.errors_share]
    latencies = [1000 * one.latency_s for one in got]
    return Summary(
        sent=len(answers),
        dropped=len(answers) - len(got),
        hands=len(depths),
        missed=sum(one.missed for one in got),
        extra=sum(one.extra for one in got),
        depth_m=_percentile(depths, 50),
        error_mm=_percentile(errors, 50),
        error_share=_percentile(shares, 50),
        latency_ms=_percentile(latencies, 50),
        latency_p90_ms=_percentile(latencies, 90),
    )


def _percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else float("nan")
