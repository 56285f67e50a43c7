"""The depth input: registered depth images."""

from __future__ import annotations

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from cmr_ros.errors import InputError
from cmr_ros.geometry.camera import Camera
from cmr_ros.ros import pictures
from cmr_ros.ros.pairing import WAIT_MS, Answer, Pairing

#: How far apart the stamps of an image and its depth image may lie.  Where the two sensors run
#: freely at 30 Hz, the nearest is within 17 ms; a hand moves at most a few centimetres meanwhile.
_APART_S = 0.02
#: Ends the names under which image_transport's plugin of that name publishes.
_COMPRESSED = "/compressedDepth"


class DepthInput(Pairing):
    """Subscribes to `depth`, and passes images on together with their depth images."""

    def __init__(self, node: Node, answer: Answer):
        """Pass images to `answer`, the second argument is None where no depth image fits."""
        is_compressed = node.resolve_topic_name("depth").endswith(_COMPRESSED)
        kind = CompressedImage if is_compressed else Image
        super().__init__(node, kind, "depth", _APART_S, answer)

    def read(
        self, depth: Image | CompressedImage | None, camera: Camera, frame_id: str
    ) -> np.ndarray:
        """Return z (height, width) in metres of each pixel of a picture of `camera`.

        depth: what came with the picture.  frame_id: the picture's.  Raises InputError where there
        is none, or one that is not aligned with the picture.
        """
        if depth is None:
            raise InputError(self._why_none())
        try:
            depth_m = pictures.to_depth(depth)
        except InputError as error:
            raise InputError(f"{self.topic}: {error}") from error
        # Equal sizes do not make two cameras one, but aligned pictures have a frame in common.
        height, width = depth_m.shape
        found = (width, height, depth.header.frame_id)
        if found != (camera.width, camera.height, frame_id):
            raise InputError(
                f"{self.topic} is {width}x{height} in frame "
                f"{depth.header.frame_id!r}, but the image is {camera.width}x{camera.height} in "
                f"frame {frame_id!r}: use depth that is registered to the colour image "
                "(RealSense: align_depth.enable:=true)"
            )
        return depth_m

    def _why_none(self) -> str:
        if self.is_lost:
            return (
                f"nothing arrives on {self.topic}: is the topic depth remapped, and is registered "
                "depth enabled in the camera driver (RealSense: align_depth.enable:=true)?"
            )
        return (
            f"no image on {self.topic} has a timestamp within {1e3 * _APART_S:g} ms of the colour "
            f"image's and arrives within {WAIT_MS:g} ms of it: take both from one "
            "camera, and synchronise them (RealSense: enable_sync:=true)"
        )
