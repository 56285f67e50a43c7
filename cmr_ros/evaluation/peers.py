"""Other people's hand trackers on the same pictures, placed by the same registration."""

from __future__ import annotations

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.evaluation.sample import Answer, Sample
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand import Cues
from cmr_ros.registration import RootEstimate, register

_SIZE_PX = 224
#: Side of the crop that registration works in, over that of the joints' box; nothing is cut out.
_MARGIN = 1.5


class MediaPipe:
    """MediaPipe Hands, full model, on single pictures: 2D joints and a root-relative hand.

    Zhang et al., arXiv 2006.10214.  It predicts neither its joints' quality nor a silhouette,
    so the joints alone, all alike, place the hand.  Raises InputError where it is not installed.
    """

    def __init__(self):
        try:
            import mediapipe
        except ModuleNotFoundError as error:
            if error.name != "mediapipe":
                raise
            raise InputError(
                "the peer 'mediapipe' is not installed; in an environment of its own, for it needs "
                "an older numpy: pip install 'cmr_ros[evaluate,cpu,peers]'"
            ) from None
        self._hands = mediapipe.solutions.hands.Hands(static_image_mode=True, max_num_hands=2)

    def __call__(self, sample: Sample) -> list[Answer]:
        """Return the hands it sees."""
        picture, camera = sample.picture(), sample.camera
        seen = self._hands.process(picture)
        found = zip(
            seen.multi_hand_landmarks or (),
            seen.multi_hand_world_landmarks or (),
            seen.multi_handedness or (),
            strict=True,
        )
        answers = []
        for landmarks, world, side in found:
            # Its coordinates run from edge to edge, and its names are those of a mirror's picture.
            shares = np.array([[point.x, point.y] for point in landmarks.landmark])
            joints_px = shares * [camera.width, camera.height] - 0.5
            joints_m = np.array([[point.x, point.y, point.z] for point in world.landmark])
            label = side.classification[0]
            hand = Handedness.RIGHT if label.label == "Left" else Handedness.LEFT
            answer = place(joints_m, joints_px, camera, float(label.score), hand)
            answers += [answer] if answer else []
        return answers


def place(
    joints_m: np.ndarray,
    joints_px: np.ndarray,
    camera: Camera,
    score: float,
    handedness: Handedness,
) -> Answer | None:
    """Return a hand, seen along the ray to it, at its place in camera space.

    Args:
        joints_m: (21, 3) in any place, as seen by a camera that looks at the hand.
        joints_px: (21, 2) in the image.
        camera: of the image.
        score: of the hand, handed on.
        handedness: handed on.

    Returns:
        The hand, or None where registration fails.
    """
    low, high = joints_px.min(axis=0), joints_px.max(axis=0)
    center, size = (low + high) / 2, max(float((high - low).max()), 1.0)
    region = Region((float(center[0]), float(center[1])), _MARGIN * size)
    crop = CropCamera.looking_at(camera, region, _SIZE_PX)
    at_root = joints_m - joints_m[0]
    ones, nothing = np.ones(len(joints_m)), np.zeros((8, 8))
    cues = Cues(crop.from_picture(joints_px), ones, ones, nothing)
    (root,) = register(
        at_root[None], at_root[None], [cues], crop.matrix[None], _SIZE_PX, scheme="joints"
    )
    if not isinstance(root, RootEstimate):
        return None
    placed = crop.to_camera(root.scale * at_root + root.translation_m)
    return Answer(placed, joints_px, ones, score, handedness)
