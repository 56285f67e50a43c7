"""Figures of an evaluation, drawn of made-up answers."""

from dataclasses import dataclass
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from cmr_ros.evaluation.measure import measure, stack
from cmr_ros.evaluation.methods import Method
from cmr_ros.evaluation.runs import measure_all
from cmr_ros.evaluation.sample import Answer, Sample
from cmr_ros.evaluation.summary import summarise
from cmr_ros.files.pictures import read_picture, write_picture
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.skeleton import Handedness
from support.made_up_hands import flat_right_hand

pytest.importorskip("matplotlib")

from cmr_ros.evaluation.figures import draw_curves  # noqa: E402
from cmr_ros.evaluation.panels import draw_panels  # noqa: E402

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


def test_figures_are_drawn(tmp_path):
    samples = []
    for index in range(5):
        picture = np.full((120, 160, 3), 120, np.uint8)
        cv2.circle(picture, (80, 60), 30, (200, 160, 140), -1)
        write_picture(tmp_path / f"{index}.png", picture)
        side = Handedness.LEFT if index % 2 else Handedness.RIGHT
        joints = flat_right_hand(0.2) + [-0.08, 0, 0.4 + 0.05 * index]
        samples.append(Sample(tmp_path / f"{index}.png", CAMERA, side, joints))
    method, folder = Boxes(), tmp_path / "figures"
    columns = measure_all(method, samples)
    draw_curves(folder, [summarise("boxes", columns)], {"boxes": columns})
    draw_panels(folder, method, samples, columns)
    names = {"pck.png", "depth.png", "panels_0.png", "worst.png"}
    assert {path.name for path in folder.iterdir()} == names
    for name in names:
        assert read_picture(folder / name).std() > 10


def test_a_set_without_answers_has_figures(tmp_path):
    sample = Sample(tmp_path / "0.png", CAMERA, Handedness.LEFT, flat_right_hand() + [0, 0, 0.5])
    columns = stack([measure(None, sample)] * 3)
    draw_curves(tmp_path, [summarise("x", columns)], {"x": columns})
    assert (tmp_path / "pck.png").exists()
