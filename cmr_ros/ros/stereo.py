"""The second camera: its images, their camera_info, and where it stands beside the first one."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from cmr_ros.errors import InputError
from cmr_ros.files.pictures import BitsInUse
from cmr_ros.geometry.camera_view import CameraView, check_baseline, pose_from_calibration
from cmr_ros.geometry.exposure import why_nothing_shows
from cmr_ros.geometry.static_frames import StaticFrames
from cmr_ros.ros import messages, pictures
from cmr_ros.ros.pairing import WAIT_MS, Answer, Pairing, stamp_ns
from cmr_ros.ros.subscription import PolledSubscription

IMAGE, INFO = "right/image_raw", "right/camera_info"
_COMPRESSED = "/compressed"
#: Messages on /tf_static that are kept until they are asked for: one per publisher is usual.
_STATIC_MESSAGES = 100


class StereoInput(Pairing):
    """Subscribes to a second camera, and passes images on together with its own.

    offset_s: how much later than the first image the last second one was taken.
    """

    def __init__(self, node: Node, compressed: bool, tolerance_s: float, answer: Answer):
        """Subscribe.

        Args:
            node: to subscribe for.
            compressed: whether the images are.
            tolerance_s: how far apart in time two images may be taken.
            answer: gets each image with the second camera's, None where none fits.
        """
        kind, topic = Image, IMAGE
        base = node.resolve_topic_name(IMAGE)
        if compressed or base.endswith(_COMPRESSED):
            # Like image_transport: one remapping serves every transport.
            kind, topic = CompressedImage, base.removesuffix(_COMPRESSED) + _COMPRESSED
        super().__init__(node, kind, topic, tolerance_s, answer)
        with ExitStack() as undo:  # what is subscribed to, if what follows fails
            undo.callback(super().destroy)
            self._infos = PolledSubscription(node, CameraInfo, INFO, latched=True)
            undo.callback(self._infos.destroy)
            self._statics = PolledSubscription(
                node, TFMessage, "/tf_static", _STATIC_MESSAGES, latched=True
            )
            undo.callback(self._statics.destroy)
            self._undo = undo.pop_all()
        self._info: CameraInfo | None = None
        self._frames = StaticFrames()
        self._bits = BitsInUse()
        self.offset_s: float | None = None

    @property
    def topics(self) -> list[str]:
        """The names of the topics of the second camera."""
        return [self.topic, self._infos.topic]

    def destroy(self) -> None:
        """Subscribe to nothing any more."""
        self._undo.close()

    def adapt(self) -> None:
        """See to what publishers offer."""
        super().adapt()
        self._infos.adapt()
        self._statics.adapt()

    def read(
        self,
        message: Image | CompressedImage | None,
        first: Image | CompressedImage,
        first_info: CameraInfo | None,
        rectified: bool,
    ) -> CameraView:
        """Return the second camera's view.

        Args:
            message: its image, None where none fits the first camera's.
            first: the first camera's image.
            first_info: the first camera's, None where none is used.
            rectified: whether both images are rectified.

        Raises:
            InputError: There is none, or it or its place cannot be used.

        """
        self.offset_s = None
        if message is None:
            raise InputError(self._why_none())
        self._info = next(iter(self._infos.take()), self._info)
        if self._info is None:
            raise InputError(f"no camera_info on {self._infos.topic}: remap {INFO}")
        if isinstance(message, CompressedImage):
            picture = pictures.decompress(message, self._bits)
        else:
            picture = pictures.to_rgb(message, self._bits)
        try:
            camera = messages.to_camera(self._info, rectified)
            rotation, translation_m = self._pose(message, first, first_info, rectified)
        except InputError as error:
            raise InputError(f"camera_info on {self._infos.topic}: {error}") from error
        if picture.shape[:2] != (camera.height, camera.width):
            raise InputError(
                f"the image on {self.topic} is {picture.shape[1]}x{picture.shape[0]}, but "
                f"camera_info on {self._infos.topic} is for {camera.width}x{camera.height}: both "
                "must come from one camera"
            )
        if nothing := why_nothing_shows(picture):
            raise InputError(f"images on {self.topic} are {nothing}: check light and exposure")
        self.offset_s = 1e-9 * (stamp_ns(message) - stamp_ns(first))
        return CameraView(picture, camera, rotation, translation_m)

    def _pose(
        self,
        message: Image | CompressedImage,
        first: Image | CompressedImage,
        first_info: CameraInfo | None,
        rectified: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return R (3, 3) and t (3,): R X + t is to the second camera what X is to the first."""
        if first_info is not None:
            both = [(info.r, info.p) for info in (first_info, self._info)]
            pose = pose_from_calibration(*both, rectified=rectified)
            if pose is not None:
                return pose
        for taken in self._statics.take():
            for one in taken.transforms:
                shift, turn = one.transform.translation, one.transform.rotation
                self._frames.add(
                    one.header.frame_id,
                    one.child_frame_id,
                    np.array([shift.x, shift.y, shift.z]),
                    np.array([turn.x, turn.y, turn.z, turn.w]),
                )
        frames = message.header.frame_id, first.header.frame_id
        found = self._frames.transform(*frames) if frames[0] != frames[1] else None
        if found is None:
            raise InputError(
                "P has no baseline, and /tf_static has no transform between the images' frames "
                f"{frames[1]!r} and {frames[0]!r}: calibrate both cameras together, or publish one"
            )
        check_baseline(float(np.linalg.norm(found[1])))
        return found

    def _why_none(self) -> str:
        if self.is_lost:
            return f"nothing arrives on {self.topic}: is the camera running, is {IMAGE} remapped?"
        return (
            f"no image on {self.topic} is taken within {1e-6 * self._apart_ns:g} ms of the first "
            f"camera's (parameter stereo_tolerance_s) and arrives within {WAIT_MS:g} ms of it: "
            "synchronise the cameras"
        )
