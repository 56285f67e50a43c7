"""Shows pictures and hands in the Rerun viewer (package `rerun-sdk`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.playback import FoundHand, Frame
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.mesh import vertex_normals
from cmr_ros.geometry.skeleton import BONES, Handedness
from cmr_ros.viewing.drawing import MESH_COLORS


class RerunViewer:
    """Streams to the Rerun viewer, which it opens, or to an .rrd file.

    camera: of the pictures.  Raises InputError where rerun-sdk is not installed.
    """

    def __init__(self, camera: Camera, save: Path | None = None):
        try:
            import rerun
        except ModuleNotFoundError as error:
            raise InputError("the Rerun viewer is not installed: pip install rerun-sdk") from error
        self._rerun = rerun
        rerun.init("cmr_ros", spawn=save is None)
        if save is not None:
            save.parent.mkdir(parents=True, exist_ok=True)
            rerun.save(save)
        rerun.log("camera", rerun.ViewCoordinates.RDF, static=True)
        pinhole = rerun.Pinhole(
            image_from_camera=camera.matrix,
            resolution=[camera.width, camera.height],
            image_plane_distance=0.8,
        )
        rerun.log("camera/picture", pinhole, static=True)
        self._lens = _pinhole_map(camera)
        self._shown: set[str] = set()

    def show(self, frame: Frame, hands: Sequence[FoundHand], faces: np.ndarray):
        """Show a frame with its truth and the hands found in it.

        faces: (F, 3) of the template, a right hand.
        """
        rr = self._rerun
        rr.set_time("camera", timestamp=frame.stamp_ns * 1e-9)
        picture = cv2.remap(frame.picture(), *self._lens, cv2.INTER_LINEAR)
        rr.log("camera/picture", rr.Image(picture).compress(jpeg_quality=80))
        shown = set()
        for hand in hands:
            name = f"camera/hand_{hand.track_id}"
            shown.add(name)
            color = MESH_COLORS[hand.handedness]
            outward = faces[:, ::-1] if hand.handedness is Handedness.LEFT else faces
            mesh = rr.Mesh3D(
                vertex_positions=hand.vertices_m,
                triangle_indices=outward,
                vertex_normals=vertex_normals(hand.vertices_m, outward),
                albedo_factor=color,
            )
            rr.log(f"{name}/mesh", mesh)
            rr.log(f"{name}/bones", rr.LineStrips3D(_bones(hand.joints_m), colors=[color]))
        for name in self._shown - shown:
            rr.log(name, rr.Clear(recursive=True))
        self._shown = shown
        bones = [bone for joints in frame.truth for bone in _bones(joints)]
        rr.log("camera/truth", rr.LineStrips3D(bones, colors=[(60, 200, 90)], radii=0.001))


def _pinhole_map(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return where a pinhole camera's pixels lie in the camera's picture, for cv2.remap.

    The viewer knows no lens distortion: without it, mesh and picture agree.
    """
    pinhole = Camera(camera.width, camera.height, camera.matrix)
    grid = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), axis=-1)
    x, y = np.moveaxis(camera.project(pinhole.rays(grid)).astype(np.float32), -1, 0)
    return x, y


def _bones(joints: np.ndarray) -> list[np.ndarray]:
    return [joints[list(bone)] for bone in BONES]
