"""Shows images and hands in the Rerun viewer (package `rerun-sdk`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.output import PendingFile
from cmr_ros.files.playback import FoundHand
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.mesh import vertex_normals
from cmr_ros.geometry.skeleton import BONES, Handedness
from cmr_ros.hand import Hand, frame_names
from cmr_ros.sources import SourceImage
from cmr_ros.viewing.drawing import FINGER_COLORS, MESH_COLORS, label, mesh_outlines

#: Of what is drawn, 3D below the camera and 2D below the image.
_CAMERA, _IMAGE, _DEPTH, _SCORE = "camera", "camera/image", "depth", "confidence"
_BONES = np.array(BONES)
_BONE_COLORS = [FINGER_COLORS[bone // 4] for bone in range(len(BONES))]
#: How far from the camera its image is shown: nearer than hands, which it would hide.
_IMAGE_DISTANCE_M = 0.12
_TRUTH_COLOR = (60, 200, 90)


class RerunViewer:
    """Streams to the Rerun viewer, which it opens, or to an .rrd file; a context manager.

    Raises InputError where rerun-sdk is not installed or the file cannot be written.
    """

    def __init__(self, faces: np.ndarray, save: Path | None = None):
        """Take the template's faces (F, 3), a right hand's, and the file to write, if any."""
        try:
            import rerun
        except ModuleNotFoundError as error:
            raise InputError("the Rerun viewer is not installed: pip install rerun-sdk") from error
        self._rerun, self._faces = rerun, faces
        self._target = None if save is None else PendingFile(save, b"RR")
        rerun.init("cmr_ros", spawn=save is None)
        if self._target is not None:
            rerun.save(self._target.partial)
        rerun.send_blueprint(_blueprint(rerun.blueprint))
        rerun.log(_CAMERA, rerun.ViewCoordinates.RDF, static=True)
        self._camera: Camera | None = None
        self._known: set[str] = set()
        self._shown: set[str] = set()
        self._has_truth = False
        self._start_ns: int | None = None

    def __enter__(self) -> RerunViewer:
        return self

    def __exit__(self, *error: Any) -> None:
        """Wait until all is shown or written; without a single image there is no file."""
        self._rerun.disconnect()
        if self._target is not None and self._start_ns is not None:
            self._target.finish()
        elif self._target is not None:
            self._target.abandon()

    def add(self, image: SourceImage, camera: Camera, hands: Sequence[Hand]) -> None:
        """Show an image and the hands found in it."""
        self.show(image.picture, image.stamp_ns, camera, hands)

    def show(
        self,
        picture: np.ndarray,
        stamp_ns: int,
        camera: Camera,
        hands: Sequence[Hand | FoundHand],
        truth: Sequence[np.ndarray] = (),
        is_drawn: bool = False,
    ) -> None:
        """Show an image, the hands found in it, and true ones.

        Args:
            picture: RGB (height, width, 3) uint8.
            stamp_ns: of the image.
            camera: the image's.
            hands: found in it.
            truth: joints (21, 3) in metres of each true hand, where known.
            is_drawn: whether the hands are drawn into the image already.

        """
        rr = self._rerun
        if self._start_ns is None:
            self._start_ns = stamp_ns
        rr.set_time("time", duration=(stamp_ns - self._start_ns) * 1e-9)
        self._use(camera)
        flat = cv2.remap(picture, *self._lens, cv2.INTER_LINEAR)
        rr.log(_IMAGE, rr.Image(flat).compress(jpeg_quality=80))
        names = frame_names(hands)
        for name, hand in zip(names, hands, strict=True):
            if name not in self._known:
                self._known.add(name)
                line = rr.SeriesLines(colors=[MESH_COLORS[hand.handedness]], names=name)
                rr.log(f"{_DEPTH}/{name}", line, static=True)
                rr.log(f"{_SCORE}/{name}", line, static=True)
            self._show_hand(name, hand)
            if not is_drawn:
                self._draw_hand(name, hand)
        for name in self._shown.difference(names):
            for parent in (_CAMERA, _IMAGE):
                rr.log(f"{parent}/{name}", rr.Clear(recursive=True))
            for parent in (_DEPTH, _SCORE):
                rr.log(f"{parent}/{name}", rr.Scalars(np.nan))  # ends the line
        self._shown = set(names)
        if truth or self._has_truth:
            bones = [bone for joints in truth for bone in joints[_BONES]]
            strips = rr.LineStrips3D(bones, colors=[_TRUTH_COLOR], radii=0.001)
            rr.log(f"{_CAMERA}/truth", strips)
            self._has_truth = True

    def _use(self, camera: Camera) -> None:
        if camera is self._camera:
            return
        self._camera, self._pinhole = camera, Camera(camera.width, camera.height, camera.matrix)
        self._lens = _pinhole_map(camera, self._pinhole)
        pinhole = self._rerun.Pinhole(
            image_from_camera=camera.matrix,
            resolution=[camera.width, camera.height],
            image_plane_distance=_IMAGE_DISTANCE_M,
        )
        self._rerun.log(_IMAGE, pinhole)

    def _show_hand(self, name: str, hand: Hand | FoundHand) -> None:
        rr, color = self._rerun, MESH_COLORS[hand.handedness]
        outward = self._outward(hand)
        mesh = rr.Mesh3D(
            vertex_positions=hand.vertices_m,
            triangle_indices=outward,
            vertex_normals=vertex_normals(hand.vertices_m, outward),
            albedo_factor=color,
        )
        rr.log(f"{_CAMERA}/{name}/mesh", mesh)
        strips = rr.LineStrips3D(hand.joints_m[_BONES], colors=_BONE_COLORS, radii=0.0015)
        rr.log(f"{_CAMERA}/{name}/bones", strips)

        rr.log(f"{_DEPTH}/{name}", rr.Scalars(hand.joints_m[0, 2]))
        rr.log(f"{_SCORE}/{name}", rr.Scalars(hand.score))

    def _draw_hand(self, name: str, hand: Hand | FoundHand) -> None:
        rr, color = self._rerun, MESH_COLORS[hand.handedness]
        joints_px = self._pinhole.project(hand.joints_m)
        outward = self._outward(hand)
        outlines = mesh_outlines(hand.vertices_m, outward, self._pinhole)
        closed = [np.vstack([outline, outline[:1]]) for outline in outlines]
        rr.log(f"{_IMAGE}/{name}/outline", rr.LineStrips2D(closed, colors=[(255, 255, 255)]))
        rr.log(f"{_IMAGE}/{name}/bones", rr.LineStrips2D(joints_px[_BONES], colors=_BONE_COLORS))
        points = np.concatenate([joints_px, *outlines])
        below = [points[:, 0].mean(), points[:, 1].max()]
        text = rr.Points2D(
            [below], labels=["  ".join(label(hand))], colors=[color], radii=0, show_labels=True
        )
        rr.log(f"{_IMAGE}/{name}/label", text)

    def _outward(self, hand: Hand | FoundHand) -> np.ndarray:
        return self._faces[:, ::-1] if hand.handedness is Handedness.LEFT else self._faces


def _blueprint(rrb: Any) -> Any:
    """Return the layout: a large 3D view from beside the camera, the image, depth and confidence.

    rrb: the module rerun.blueprint.
    """
    scene = rrb.Spatial3DView(
        origin=_CAMERA,
        contents=["+ $origin/**", f"- /{_IMAGE}/**", f"+ /{_IMAGE}"],
        name="Scene",
        eye_controls=rrb.EyeControls3D(
            position=(-0.36, -0.3, -0.1), look_target=(0.02, 0.0, 0.4), eye_up=(0, -1, 0)
        ),
    )
    image = rrb.Spatial2DView(origin=_IMAGE, name="Camera")
    depth = rrb.TimeSeriesView(origin=_DEPTH, name="Depth of the wrist (m)")
    score = rrb.TimeSeriesView(
        origin=_SCORE, name="Confidence", axis_y=rrb.ScalarAxis(range=(0.0, 1.05))
    )
    side = rrb.Vertical(image, rrb.Horizontal(depth, score), row_shares=[3, 2])
    return rrb.Blueprint(rrb.Horizontal(scene, side, column_shares=[3, 2]), collapse_panels=True)


def _pinhole_map(camera: Camera, pinhole: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return where a pinhole camera's pixels lie in the camera's picture, for cv2.remap.

    The viewer knows no lens distortion: without it, mesh and picture agree.
    """
    grid = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), axis=-1)
    x, y = np.moveaxis(camera.project(pinhole.rays(grid)).astype(np.float32), -1, 0)
    return x, y
