"""A picture of a data set with its truth, and a method's answer to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.pictures import read_picture
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.camera_view import CameraView
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand import Hand
from cmr_ros.viewing.drawing import hand_mask


@dataclass(frozen=True, eq=False)
class Beside:
    """The image that a second camera took at the same moment; R X + t takes points to its frame."""

    image: Path
    camera: Camera
    rotation: np.ndarray  # (3, 3)
    translation_m: np.ndarray  # (3,)

    def view(self) -> CameraView:
        """Return what the camera shows; InputError when it cannot be used."""
        picture = read_picture(self.image)
        return CameraView(picture, self.camera, self.rotation, self.translation_m)


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with one true hand (or body), in the camera's optical frame."""

    image: Path
    camera: Camera
    handedness: Handedness
    joints_m: np.ndarray  # (J, 3), joint 0 is the root; hands in the order of JOINT_NAMES
    vertices_m: np.ndarray | None = None  # (V, 3)
    mask: Path | None = None  # image whose values within `mask_values` lie on the hand
    mask_values: tuple[int, int] = (1, 255)  # first and last
    beside: Beside | None = None

    def picture(self) -> np.ndarray:
        """Return the picture, RGB (height, width, 3) uint8; InputError when it cannot be used."""
        picture = read_picture(self.image)
        if picture.shape[:2] != (self.camera.height, self.camera.width):
            raise InputError(
                f"{self.image}: {picture.shape[1]}x{picture.shape[0]} pixels, but its camera has "
                f"{self.camera.width}x{self.camera.height}"
            )
        return picture

    def fingerprint(self) -> bytes:
        """Return what tells this sample from any other, but for what its files hold."""
        camera, beside = self.camera, self.beside
        parts = [self.image.resolve(), self.mask and self.mask.resolve(), self.mask_values]
        parts += [self.handedness.name, *_told(camera)]
        parts += [
            None if array is None else array.tolist() for array in (self.joints_m, self.vertices_m)
        ]
        if beside is not None:
            parts += [beside.image.resolve(), *_told(beside.camera)]
            parts += [beside.rotation.tolist(), beside.translation_m.tolist()]
        return repr(parts).encode()

    def true_mask(self) -> np.ndarray | None:
        """Return where the hand is seen, (height, width) bool, or None if nobody knows."""
        if self.mask is None:
            return None
        mask = read_picture(self.mask, cv2.IMREAD_GRAYSCALE)
        if mask.shape != (self.camera.height, self.camera.width):
            raise InputError(f"{self.mask}: expected a mask as large as {self.image.name}")
        low, high = self.mask_values
        return (mask >= low) & (mask <= high)


def _told(camera: Camera) -> list[Any]:
    """Return a camera as plain values."""
    calibration = camera.matrix.tolist(), camera.distortion.tolist(), camera.distortion_model
    return [camera.width, camera.height, *calibration]


@dataclass(frozen=True, eq=False)
class Answer:
    """A method's prediction of one hand, in the camera's optical frame."""

    joints_m: np.ndarray  # (J, 3)
    joints_px: np.ndarray  # (J, 2) the method's 2D joints in image pixels
    confidence: np.ndarray  # (J,) of the 2D joints, in [0, 1]
    score: float = 1.0  # probability in [0, 1] that it is a hand
    handedness: Handedness = Handedness.UNKNOWN
    vertices_m: np.ndarray | None = None  # (V, 3), of methods that have meshes
    mask: np.ndarray | None = None  # (height, width) bool, of methods that have masks
    joint_covariances_m2: np.ndarray | None = None  # (J, 3, 3), of methods that have them
    was_told_side: bool = False  # so that handedness is no answer

    @classmethod
    def of(cls, hand: Hand, camera: Camera) -> Answer:
        """Return a hand of the pipeline as an answer."""
        return cls(
            joints_m=hand.joints_m,
            joints_px=hand.joints_px,
            confidence=hand.joint_confidence,
            score=hand.score,
            handedness=hand.handedness,
            vertices_m=hand.vertices_m,
            mask=hand_mask([hand], camera) > 0,
            joint_covariances_m2=hand.joint_covariances_m2,
        )


def nearest(answers: list[Answer], sample: Sample) -> Answer | None:
    """Return the answer whose 2D joints lie nearest to the true ones; None when there is none."""
    true_px = sample.camera.project(sample.joints_m)
    return min(
        answers,
        key=lambda answer: np.linalg.norm(answer.joints_px - true_px, axis=-1).mean(),
        default=None,
    )
