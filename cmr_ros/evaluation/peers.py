"""Other people's hand trackers on the same pictures, placed by the same registration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.evaluation.sample import Answer, Sample
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.hand import Cues
from cmr_ros.registration import RootEstimate, register

#: Where peers are installed, and what is.
PREFIX = Path(sys.prefix) / "peers"
MEDIAPIPE = "mediapipe>=0.10.14,<0.10.30"
_REMEDY = f"`make peers`, or python3 -m venv {PREFIX} && {PREFIX}/bin/pip install '{MEDIAPIPE}'"
_SIZE_PX = 224
#: Side of the crop that registration works in, over that of the joints' box; nothing is cut out.
_MARGIN = 1.5


class MediaPipe:
    """MediaPipe Hands: 2D joints and a root-relative hand.

    Zhang et al., arXiv 2006.10214.  It predicts neither its joints' quality nor a silhouette,
    so the joints alone, all alike, place the hand.  It requires an older numpy than OpenCV 5, so
    it runs in an environment of its own.  Raises InputError where that is missing.
    """

    def __init__(self, kind: str = "photographs", complexity: int = 1, most_hands: int = 2):
        """Start it.

        Args:
            kind: "photographs", each of its own, or "video", in which hands are followed.
            complexity: of its model, 0: lite, 1: full.
            most_hands: to look for.
        """
        python = PREFIX / "bin/python"
        if not python.exists():
            raise InputError(f"the peer 'mediapipe' is not installed; {_REMEDY}")
        # Isolated: what PYTHONPATH brings into this process is not for that one.
        script = Path(__file__).with_name("mediapipe_hands.py")
        command = [python, "-I", script, kind, str(complexity), str(most_hands)]
        quiet = os.environ | {"GLOG_minloglevel": "2", "TF_CPP_MIN_LOG_LEVEL": "2"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=quiet
        )

    def __call__(self, sample: Sample) -> list[Answer]:
        """Return the hands it sees."""
        camera = sample.camera
        answers = []
        for seen in self.answer(sample.picture())["hands"]:
            # Its coordinates run from edge to edge, and its names are those of a mirror's picture.
            joints_px = np.array(seen["landmarks"]) * [camera.width, camera.height] - 0.5
            side = Handedness.RIGHT if seen["label"] == "Left" else Handedness.LEFT
            answer = place(np.array(seen["world_m"]), joints_px, camera, seen["score"], side)
            answers += [answer] if answer else []
        return answers

    def close(self) -> None:
        """End its process."""
        self._process.stdin.close()
        self._process.wait()

    def answer(self, picture: np.ndarray) -> dict:
        """Return what the process answers to an RGB picture; its errors go to the terminal."""
        try:
            self._process.stdin.write(b"%d %d\n" % picture.shape[:2] + picture.tobytes())
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())
        except (OSError, ValueError):
            raise InputError(f"the peer 'mediapipe' does not run, see above; {_REMEDY}") from None


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
