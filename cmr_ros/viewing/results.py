"""What is kept of the hands in images: overlays, JSON lines, meshes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from cmr_ros.files.animation import GifWriter
from cmr_ros.files.output import PendingFile, write_glb, write_ply
from cmr_ros.files.pictures import write_picture
from cmr_ros.files.video import VideoWriter
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.skeleton import JOINT_NAMES
from cmr_ros.hand import Hand
from cmr_ros.model.template import HandTemplate
from cmr_ros.sources import SourceImage
from cmr_ros.viewing.drawing import MESH_COLORS, outward_faces, overlay
from cmr_ros.viewing.scene_view import scene_view

_GIF_HEIGHT_PX = 300
#: The 3D view's eye goes to and fro, which shows depth.
_SWAY_RAD, _SWAY_S = 0.25, 6.0


class Result(Protocol):
    """Takes images with their hands, one after the other; a context manager that ends it."""

    def __enter__(self) -> Any: ...

    def __exit__(self, *error: Any) -> None: ...

    def add(self, image: SourceImage, camera: Camera, hands: Sequence[Hand]) -> None:
        """Keep what there is to keep of an image; InputError where that is not possible."""


class _Files:
    """A result of whole files: there is nothing to end."""

    def __init__(self, path: Path, template: HandTemplate):
        self._path, self._template = path, template

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: Any) -> None: ...


class OverlayPicture(_Files):
    """The only image with its hands drawn in, as one file."""

    def add(self, image: SourceImage, camera: Camera, hands: Sequence[Hand]) -> None:
        """Write it."""
        write_picture(self._path, overlay(image.picture, hands, self._template, camera))


class OverlayFolder(_Files):
    """Each image with its hands drawn in, as NAME_hands.png in a folder."""

    def add(self, image: SourceImage, camera: Camera, hands: Sequence[Hand]) -> None:
        """Write an image."""
        path = self._path / f"{image.name}_hands.png"
        write_picture(path, overlay(image.picture, hands, self._template, camera))


class OverlayVideo:
    """A video of images with their hands drawn in, and on request a view of the hands in 3D.

    As an .mp4, or as a .gif for a page, whose images are smaller.
    """

    def __init__(self, path: Path, template: HandTemplate, with_scene: bool):
        self._is_gif = path.suffix == ".gif"
        self._video = GifWriter(path) if self._is_gif else VideoWriter(path)
        self._template, self._with_scene = template, with_scene
        self._start_ns: int | None = None

    def __enter__(self) -> OverlayVideo:
        return self

    def __exit__(self, *error: Any) -> None:
        """Finish the video."""
        self._video.__exit__(*error)

    def add(self, image: SourceImage, camera: Camera, hands: Sequence[Hand]) -> None:
        """Add an image."""
        drawn = overlay(image.picture, hands, self._template, camera)
        height, width = drawn.shape[:2]
        if self._is_gif:
            width, height = round(_GIF_HEIGHT_PX * width / height), _GIF_HEIGHT_PX
            drawn = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA)
        if self._with_scene:
            if self._start_ns is None:
                self._start_ns = image.stamp_ns
            angle = 2 * np.pi * (image.stamp_ns - self._start_ns) * 1e-9 / _SWAY_S
            turn_rad = _SWAY_RAD * np.sin(angle)
            scene = scene_view(hands, self._template, camera, (width, height), turn_rad)
            drawn = np.hstack([drawn, scene])
        self._video.write(drawn, image.stamp_ns)


class JsonLines:
    """One line of JSON an image."""

    def __init__(self, path: Path):
        self._target = PendingFile(path, b"{")
        self._is_empty = True
        with self._target.writing():
            self._file = self._target.partial.open("w")

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *error: Any) -> None:
        """Finish the file; without a single image there is none."""
        with self._target.writing():
            self._file.close()
        if self._is_empty:
            self._target.abandon()
        else:
            self._target.finish()

    def add(self, image: SourceImage, camera: Camera, hands: Sequence[Hand]) -> None:
        """Add a line."""
        line = {
            "image": str(image.path or image.name),
            "stamp_s": image.stamp_ns * 1e-9,
            "width": camera.width,
            "height": camera.height,
            "hands": [_entry(hand) for hand in hands],
        }
        with self._target.writing():
            self._file.write(json.dumps(line) + "\n")
        self._is_empty = False


def _entry(hand: Hand) -> dict[str, Any]:
    """Return a hand for JSON: metres in the camera's optical frame, pixels of the picture."""
    return {
        "track_id": hand.track_id,
        "handedness": hand.handedness.name.lower(),
        "score": hand.score,
        "joint_names": list(JOINT_NAMES),
        "joints_m": hand.joints_m.tolist(),
        "joints_px": hand.joints_px.tolist(),
        "joint_confidence": hand.joint_confidence.tolist(),
        "root_covariance_m2": hand.root_covariance_m2.tolist(),
        "rms_px": hand.rms_px,
        "registration": hand.registration,
    }


class Meshes(_Files):
    """A mesh for each hand, NAME_hand_ID, as PLY (camera's optical frame) or GLB (y upwards)."""

    def __init__(self, folder: Path, template: HandTemplate, kind: str):
        super().__init__(folder, template)
        self._kind = kind

    def add(self, image: SourceImage, camera: Camera, hands: Sequence[Hand]) -> None:
        """Write the meshes of an image."""
        for hand in hands:
            path = self._path / f"{image.name}_hand_{hand.track_id}.{self._kind}"
            faces = outward_faces(self._template, hand)
            if self._kind == "ply":
                write_ply(path, hand.vertices_m, faces)
            else:
                write_glb(path, hand.vertices_m, faces, MESH_COLORS[hand.handedness])
