"""What cameras send to the node: images, camera_info, and depth or a second camera's images."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header

from cmr_ros.errors import InputError
from cmr_ros.files.pictures import BitsInUse
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.camera_view import CameraView
from cmr_ros.ros import messages, pictures
from cmr_ros.ros.depth import DepthInput
from cmr_ros.ros.health import Health
from cmr_ros.ros.pairing import Answer, Pairing
from cmr_ros.ros.parameters import Parameters
from cmr_ros.ros.stereo import StereoInput
from cmr_ros.ros.subscription import NewestSubscription, PolledSubscription
from cmr_ros.tracking.finder import MOST_PLACES, Box

#: Seconds for which missing images, camera_info or depth are not reported.
_SILENCE_GRACE_S, _GRACE_S = 5.0, 2.0
_COMPRESSED = "/compressed"
#: Where a serialised message goes on behind its stamp, which is the first of its header.
_BEHIND_STAMP = 12


class Inputs:
    """Subscribes to a camera's topics and reads what they bring.

    Images are read only while the inputs are open.
    """

    def __init__(
        self,
        node: Node,
        parameters: Parameters,
        health: Health,
        answer: Answer,
    ):
        """Subscribe.

        Args:
            node: to subscribe for.
            parameters: what to subscribe to.
            health: where to report what is missing.
            answer: gets each image with the depth image, or the second camera's image, that
                belongs to it, or None.

        Raises:
            InputError: for parameters that exclude each other.
        """
        if parameters.use_depth and parameters.use_stereo:
            raise InputError("use_depth and use_stereo: depth needs no second camera, choose one")
        self._node, self._health, self._answer = node, health, answer
        # Like image_transport: one remapping of image_raw serves every transport.
        base = node.resolve_topic_name("image_raw")
        compressed = parameters.transport == "compressed" or base.endswith(_COMPRESSED)
        base = base.removesuffix(_COMPRESSED)
        if compressed:
            self._kind, topic = CompressedImage, base + _COMPRESSED
            self._other, self._other_transport = base, "raw"
        else:
            self._kind, topic = Image, "image_raw"
            self._other, self._other_transport = base + _COMPRESSED, "compressed"
        self._info: CameraInfo | None = None
        self._raw_info = b""
        self._bits = BitsInUse()
        self._beside: Pairing | None = None
        self._regions: PolledSubscription | None = None
        with ExitStack() as undo:  # what is subscribed to, if what follows fails
            self._images = NewestSubscription(node, self._kind, topic, self._on_image)
            undo.callback(self._images.destroy)
            self._infos = PolledSubscription(node, CameraInfo, "camera_info", latched=True)
            undo.callback(self._infos.destroy)
            if parameters.use_depth:
                self._beside = DepthInput(node, answer)
            elif parameters.use_stereo:
                tolerance_s = parameters.stereo_tolerance_s
                self._beside = StereoInput(node, compressed, tolerance_s, answer)
            if self._beside:
                undo.callback(self._beside.destroy)
            if parameters.regions != "none":
                self._regions = PolledSubscription(node, RegionOfInterest, "~/regions", MOST_PLACES)
                undo.callback(self._regions.destroy)
            self._undo = undo.pop_all()
        self.topics = [self._images.topic, self._infos.topic]
        if self._beside:
            self.topics += self._beside.topics
        health.topic = self._images.topic
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether images are read."""
        return self._images.is_open

    def open(self) -> None:
        """Read images, from the next one on."""
        self._images.open()
        if self._beside:
            self._beside.open()
        self._health.clear("silence")

    def close(self) -> None:
        """Leave images unread; camera_info, which may be sent only once, is kept."""
        self._images.close()
        if self._beside:
            self._beside.close()

    def destroy(self) -> None:
        """Subscribe to nothing any more."""
        self._undo.close()

    def look(self) -> None:
        """See to what publishers offer, and report images that do not come; once a second."""
        self._images.adapt()
        self._infos.adapt()
        if self._beside:
            self._beside.adapt()
        if self._regions:
            self._regions.adapt()
        images = self._images.published()
        self._health.received(images)
        if self.is_open and not images:
            self._health.trouble("silence", self._why_silent(), _SILENCE_GRACE_S)

    def read(self, message: Image | CompressedImage) -> np.ndarray:
        """Return an image (height, width, 3) RGB uint8; InputError where it cannot be read."""
        if isinstance(message, CompressedImage):
            return pictures.decompress(message, self._bits)
        return pictures.to_rgb(message, self._bits)

    def camera(
        self, width: int, height: int, header: Header, parameters: Parameters
    ) -> Camera | None:
        """Return an image's camera, None as long as it is not known.

        Args:
            width: of the image, in pixels.
            height: of the image, in pixels.
            header: the image's.
            parameters: what to assume of the camera.

        Raises:
            InputError: for a camera_info that does not describe the image's camera.

        """
        if parameters.assume_hfov_deg > 0:
            self._health.clear("camera_info")
            self._health.clear("frames")
            return Camera.from_fov(width, height, parameters.assume_hfov_deg)
        for newest in self._infos.take(raw=True):
            # They come with every image, and only their stamps differ.
            if newest[_BEHIND_STAMP:] != self._raw_info[_BEHIND_STAMP:]:
                self._info = deserialize_message(newest, CameraInfo)
            self._raw_info = newest
        topic = self._infos.topic
        remedy = "calibrate the camera, or set assume_hfov_deg to its horizontal field of view"
        if self._info is None:
            text = f"no camera_info on {topic}, so no hands: remap camera_info, {remedy}"
            self._health.trouble("camera_info", text, _GRACE_S)
            return None
        self._health.clear("camera_info")
        try:
            camera = messages.to_camera(self._info, parameters.rectified)
        except InputError as error:
            raise InputError(f"camera_info on {topic}: {error}; {remedy}") from error
        if (camera.width, camera.height) != (width, height):
            raise InputError(
                f"the image on {self._images.topic} is {width}x{height}, but camera_info on "
                f"{topic} is for {camera.width}x{camera.height}: both must come from one camera"
            )
        self._compare_frames(self._info.header.frame_id, header.frame_id)
        return camera

    def depth_m(
        self, message: Image | CompressedImage | None, camera: Camera, header: Header
    ) -> np.ndarray | None:
        """Return z of each pixel of an image; None, and a warning, where it is not known."""
        if not isinstance(self._beside, DepthInput):
            return None
        with self._health.guard(
            "depth", "hands are placed without depth: ", _GRACE_S, degraded=True
        ):
            return self._beside.read(message, camera, header.frame_id)
        return None

    def second_view(
        self,
        message: Image | CompressedImage | None,
        first: Image | CompressedImage,
        parameters: Parameters,
    ) -> CameraView | None:
        """Return the second camera's view; None, and a warning, where there is none to be used.

        Args:
            message: the second camera's image, None where none fits.
            first: the first camera's.
            parameters: what to assume of the cameras.
        """
        if not isinstance(self._beside, StereoInput):
            return None
        info = None if parameters.assume_hfov_deg > 0 else self._info
        with self._health.guard(
            "stereo", "hands are placed by one view: ", _GRACE_S, degraded=True
        ):
            view = self._beside.read(message, first, info, parameters.rectified)
            self._health.offset(self._beside.offset_s)
            return view
        return None

    def places(self) -> list[Box]:
        """Return the boxes that have come since the last call, as the pipeline wants them."""
        boxes = self._regions.take() if self._regions else []
        return [(box.x_offset, box.y_offset, box.width, box.height) for box in boxes]

    def forget(self) -> None:
        """Forget images that wait."""
        if self._beside:
            self._beside.forget()

    def _on_image(self, message: Image | CompressedImage) -> None:
        self._health.clear("silence")
        if self._beside is None:
            self._answer(message, None)
        else:
            self._beside.pair(message)

    def _compare_frames(self, info: str, image: str) -> None:
        if info and image and info != image:
            text = (
                f"camera_info on {self._infos.topic} is in frame {info!r}, but images on "
                f"{self._images.topic} are in frame {image!r}: hands are in the wrong place if "
                "they come from two cameras"
            )
            self._health.trouble("frames", text, degraded=True)
        else:
            self._health.clear("frames")

    def _why_silent(self) -> str:
        topic, kind = self._images.topic, f"sensor_msgs/msg/{self._kind.__name__}"
        publishers = self._node.get_publishers_info_by_topic(topic)
        others = {publisher.topic_type for publisher in publishers} - {kind}
        if others:
            return (
                f"no images on {topic}: it is published as {', '.join(others)}, not as {kind}; "
                "image_transport's republish converts what the node does not read"
            )
        if publishers:
            return f"no images on {topic}, though it has a publisher: is the camera running?"
        if self._node.count_publishers(self._other):
            return (
                f"no images on {topic}, but {self._other} is published: set "
                f"transport:={self._other_transport}"
            )
        return f"no images on {topic}: is the camera running, is image_raw remapped?"
