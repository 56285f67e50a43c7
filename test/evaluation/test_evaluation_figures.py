"""Figures of an evaluation, drawn of made-up answers."""

import cv2
import numpy as np
import pytest

from cmr_ros.evaluation.measure import measure, stack
from cmr_ros.evaluation.runs import measure_all
from cmr_ros.evaluation.sample import Sample
from cmr_ros.evaluation.summary import summarise
from cmr_ros.files.pictures import read_picture, write_picture
from cmr_ros.geometry.skeleton import Handedness
from support.boxes import CAMERA, Boxes
from support.made_up_hands import flat_right_hand

pytest.importorskip("matplotlib")

from cmr_ros.evaluation.figures import draw_curves  # noqa: E402
from cmr_ros.evaluation.panels import draw_panels  # noqa: E402


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
