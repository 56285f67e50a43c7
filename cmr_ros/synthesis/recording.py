"""The demonstration's recordings: a webcam's pictures of moving hands with their true joints.

Topics: /camera/image_raw/compressed (sensor_msgs/CompressedImage, JPEG), /camera/camera_info
(plumb_bob distortion, fx != fy, off-centre) and /truth/hand_0, /truth/hand_1 and so on, in "hands"
a right and a left one: geometry_msgs/PoseArray, the 21 joints in JOINT_NAMES order in metres, in
the frame of the pictures, without orientation, sent with each picture that shows the hand: whole,
and at most half of it behind something.  In stereo also /camera/right/image_raw/compressed and
/camera/right/camera_info, whose P has the baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from cmr_ros.files.bag import BagWriter, Messages
from cmr_ros.files.playback import (
    IMAGE_TOPIC,
    INFO_TOPIC,
    RIGHT_IMAGE_TOPIC,
    RIGHT_INFO_TOPIC,
    TRUTH_PREFIX,
)
from cmr_ros.geometry.camera import Camera
from cmr_ros.hand_model.model import HandModel
from cmr_ros.synthesis import scene
from cmr_ros.synthesis.backgrounds import Clutter
from cmr_ros.synthesis.encounters import ENCOUNTERS
from cmr_ros.synthesis.environment import load_environments, procedural_environment
from cmr_ros.synthesis.hand_paths import HandPath, Shot, random_paths, under_conditions
from cmr_ros.synthesis.person import SHIRT, held_can, person
from cmr_ros.synthesis.placed_hand import HandPlacer, PlacedHand
from cmr_ros.synthesis.placement import project, rotation
from cmr_ros.synthesis.renderer import Renderer
from cmr_ros.synthesis.rendering_jobs import Studio
from cmr_ros.synthesis.surfaces import Layers, Material

FRAME_ID, RIGHT_FRAME_ID = "camera_optical_frame", "camera_right_optical_frame"
RATE_HZ, DURATION_S = 25, 6.0
#: What is so much nearer than a joint hides it: other hands, but no finger of its own hand and
#: nothing in it.
_HIDES_M = 0.08
#: Of the recording in stereo every third picture is enough.
_STEREO_STEP = 3
_START_S = 1_700_000_000
_JPEG_QUALITY = 78
_CAMERA = Camera(
    640, 480, np.array([[601.3, 0, 326.8], [0, 598.2, 235.1], [0, 0, 1]]),
    np.array([0.092, -0.214, 0.0011, -0.0008, 0.071]), "plumb_bob",
)  # fmt: skip
#: The camera beside it, parallel, and how far to the right it stands.
_RIGHT = Camera(
    640, 480, np.array([[597.8, 0, 315.4], [0, 600.6, 243.7], [0, 0, 1]]),
    np.array([0.085, -0.201, -0.0006, 0.0009, 0.064]), "plumb_bob",
)  # fmt: skip
BASELINE_M = 0.12
#: The pinhole camera that is rendered; wide enough for the distorted picture's corners.
_WIDTH, _HEIGHT = 720, 544
_PINHOLE = np.array([[600.0, 0, (_WIDTH - 1) / 2], [0, 600.0, (_HEIGHT - 1) / 2], [0, 0, 1]])


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of the recording and its truth."""

    stamp_s: float
    picture: np.ndarray  # (h, w, 3) uint8 RGB
    right: np.ndarray | None  # the same of the second camera, if there is one
    joints: dict[int, np.ndarray]  # number of the hand -> (21, 3) metres, optical frame


def _both_hands(model: HandModel, rng: np.random.Generator) -> list[Shot]:
    return [Shot(DURATION_S, random_paths(model, rng))]


_Act = Callable[[HandModel, np.random.Generator], list[Shot]]


def _one(encounter: Callable[[HandModel, np.random.Generator], Shot]) -> _Act:
    return lambda model, rng: [encounter(model, rng)]


#: By their names.
ACTS: dict[str, _Act] = {
    "hands": _both_hands,
    "conditions": under_conditions,
    **{name: _one(encounter) for name, encounter in ENCOUNTERS.items()},
}


class _Stage:
    """One person in one room before one camera."""

    def __init__(self, studio: Studio, act: str):
        self._rng = rng = np.random.default_rng(studio.seed)
        self._model = model = studio.hand()
        self._placer = HandPlacer(model, studio.skins, studio.settings.skin)
        self._settings = settings = studio.settings
        self._clutter = Clutter(
            settings.clutter_pictures, settings.skin_colored, settings.clutter_style
        )
        self._renderer = Renderer(_WIDTH, _HEIGHT)
        rooms = load_environments(studio.panoramas) if studio.panoramas else []
        if rooms:
            room = rooms[rng.integers(len(rooms))]
        else:
            room = procedural_environment(rng, settings.room)
        gaze = np.diag([1.0, -1, 1]) @ rotation([0, 1, 0], rng.uniform(-np.pi, np.pi))
        self._light = room.light(gaze, brightness=0.75, neutral=0.8)
        wall = room.view(gaze, 0.62, _WIDTH, self._light.exposure)
        wall = wall[(_WIDTH - _HEIGHT) // 2 :][:_HEIGHT]
        self._wall = cv2.GaussianBlur(wall, (0, 0), 1.5)
        self._shape = model.sample_shape(rng)
        self._skin = self._placer.skin.material(rng, 0.0)
        self._skin_tint = _mean_color(self._skin)
        self._sleeve_seed = int(rng.integers(1 << 31))
        self.shots = ACTS[act](model, rng)
        self._lenses = {camera: _lens_map(camera) for camera in (_CAMERA, _RIGHT)}

    def hand(self, path: HandPath, time_s: float) -> PlacedHand:
        """Return a hand at a time."""
        return self._placer.place(*path.at(self._model, self._shape, time_s), self._skin)

    def photograph(
        self, hands: list[PlacedHand], shot: Shot, stereo: bool
    ) -> tuple[list[np.ndarray], list[bool]]:
        """Return the pictures (h, w, 3) uint8 that one camera, or two, take of a shot's hands.

        Also whether the first one shows each hand.
        """
        meshes = list(shot.things)
        for hand in hands:
            # The same seed gives the same sleeve in each picture.
            rng = np.random.default_rng(self._sleeve_seed)
            wrist = hand.joints[0]
            sleeve = scene.sleeve(
                hand.mesh, wrist, hand.elbow_side, self._settings.things, rng, self._clutter
            )
            if shot.has_person:
                sleeve = replace(sleeve, material=SHIRT)
                reach = (hand.mesh.vertices - wrist) @ hand.elbow_side
                elbow = wrist + hand.elbow_side * reach.max()
                meshes += person(wrist, elbow, self._skin_tint)
            meshes += [hand.mesh, sleeve]
            if shot.holds_can:
                meshes.append(held_can(hand.joints))
        layers = self._renderer.render(meshes, _PINHOLE, self._light)
        shown = [_shows(layers.depth_m, hand.joints) for hand in hands]
        pictures = [self._picture(layers, _CAMERA, shot.is_grey)]
        if stereo:
            shift_m = np.array([BASELINE_M, 0, 0])
            meshes = [replace(mesh, vertices=mesh.vertices - shift_m) for mesh in meshes]
            layers = self._renderer.render(meshes, _PINHOLE, self._light)
            pictures.append(self._picture(layers, _RIGHT, shot.is_grey))
        return pictures, shown

    def _picture(self, layers: Layers, camera: Camera, is_grey: bool) -> np.ndarray:
        ideal = layers.color + self._wall * (1 - layers.alpha[..., None])
        picture = cv2.remap(ideal.astype(np.float32), *self._lenses[camera], cv2.INTER_LINEAR)
        if is_grey:
            picture[:] = picture.mean(axis=2, keepdims=True)
        picture += self._rng.normal(0, 1.5, (*picture.shape[:2], 1))
        return np.clip(picture, 0, 255).astype(np.uint8)


def record_frames(studio: Studio, act: str = "hands", stereo: bool = False) -> Iterator[Frame]:
    """Yield the frames of one of the `ACTS` in order; in stereo every third."""
    stage = _Stage(studio, act)
    count = 0
    for shot in stage.shots:
        for k in range(0, round(RATE_HZ * shot.duration_s), _STEREO_STEP if stereo else 1):
            time_s = k / RATE_HZ
            hands = {
                i: stage.hand(path, time_s)
                for i, path in enumerate(shot.paths)
                if path.times[0] <= time_s <= path.times[-1]
            }
            pictures, shown = stage.photograph(list(hands.values()), shot, stereo)
            seen = {i: hands[i].joints for i, shows in zip(hands, shown, strict=True) if shows}
            stamp_s = count / RATE_HZ + time_s
            yield Frame(stamp_s, pictures[0], pictures[1] if stereo else None, seen)
        count += round(RATE_HZ * shot.duration_s)


def write_recording(studio: Studio, file: Path, act: str = "hands", stereo: bool = False) -> None:
    """Write an act as one MCAP file; an existing one is replaced.

    Args:
        studio: what is filmed.
        file: to write.
        act: one of `ACTS`.
        stereo: whether a second camera films, too.
    """
    with BagWriter(file) as bag:
        for frame in tqdm(record_frames(studio, act, stereo), unit="image", desc="recording"):
            stamp_ns = _START_S * 10**9 + round(frame.stamp_s * 1e9)
            messages = Messages(bag.store, stamp_ns, FRAME_ID)
            bag.write(INFO_TOPIC, messages.camera_info(_CAMERA), stamp_ns)
            bag.write(IMAGE_TOPIC, messages.picture(frame.picture, _JPEG_QUALITY), stamp_ns)
            for number, joints in frame.joints.items():
                bag.write(f"{TRUTH_PREFIX}hand_{number}", _truth(messages, joints), stamp_ns)
            if frame.right is not None:
                messages = Messages(bag.store, stamp_ns, RIGHT_FRAME_ID)
                info = messages.camera_info(_RIGHT, BASELINE_M)
                bag.write(RIGHT_INFO_TOPIC, info, stamp_ns)
                picture = messages.picture(frame.right, _JPEG_QUALITY)
                bag.write(RIGHT_IMAGE_TOPIC, picture, stamp_ns)


def _truth(messages: Messages, joints: np.ndarray) -> Any:
    upright = messages.new("geometry_msgs/msg/Quaternion", 0.0, 0.0, 0.0, 1.0)
    poses = [
        messages.new("geometry_msgs/msg/Pose", point, upright) for point in messages.points(joints)
    ]
    return messages.new("geometry_msgs/msg/PoseArray", messages.header, poses)


def _mean_color(skin: Material) -> np.ndarray:
    linear = (skin.texture.pixels[::8, ::8].reshape(-1, 3) / 255) ** 2.2
    return skin.tint * (linear**skin.contrast).mean(axis=0)


def _shows(depth_m: np.ndarray, joints: np.ndarray) -> bool:
    """Return whether the first camera shows a whole hand, at most half of it behind something."""
    pixels = _CAMERA.project(joints)
    if not ((pixels > 0) & (pixels < [_CAMERA.width - 1, _CAMERA.height - 1])).all():
        return False
    column, row = np.rint(project(joints, _PINHOLE)).astype(int).T
    hidden = (depth_m[row, column] > 0) & (depth_m[row, column] < joints[:, 2] - _HIDES_M)
    return bool(hidden.mean() <= 0.5)


def _lens_map(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return for each pixel of a recorded picture where the pinhole picture shows its ray."""
    grid = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), axis=-1)
    pixels = camera.rays(grid) @ _PINHOLE.T
    return tuple(np.moveaxis(pixels[..., :2].astype(np.float32), -1, 0))
