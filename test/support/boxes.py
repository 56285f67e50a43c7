"""A method that answers boxes; here, where the processes that `cmr evaluate` starts find it."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from cmr_ros.evaluation.methods import Method
from cmr_ros.evaluation.sample import Answer
from cmr_ros.geometry.camera import Camera

CAMERA = Camera(160, 120, np.array([[200.0, 0, 80], [0, 200, 60], [0, 0, 1]]))
#: A box of vertices around the palm, its faces counter-clockwise from outside.
CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) - 0.5
FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
     [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]
)  # fmt: skip


@dataclass(frozen=True)
class Boxes(Method):
    """Answers the truth, the further off the later the picture; misses the third."""

    name = "boxes"

    def start(self):
        def find(sample):
            number = int(sample.image.stem)
            if number == 3:
                return []
            joints = sample.joints_m + [0, 0, 0.01 * number]
            mask = np.zeros((120, 160), bool)
            mask[30:90, 50:110] = True
            return [
                Answer(
                    joints,
                    CAMERA.project(joints),
                    np.ones(21),
                    1.0,
                    sample.handedness,
                    joints[9] + CORNERS * [0.09, 0.08, 0.03],
                    mask,
                )  # fmt: skip
            ]

        return find

    def template(self):
        return SimpleNamespace(faces=[FACES])
