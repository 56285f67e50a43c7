"""Renders and photographs compared: by the trunk of the shipped network, and as a user does it."""

import cv2
import numpy as np
import pytest

from cmr_ros.cli import main
from cmr_ros.files.pictures import write_picture
from cmr_ros.labelling.crops import Crop
from cmr_ros.model import weights
from cmr_ros.synthesis.settings import TRAINING
from cmr_ros.training.comparison import compare
from support.scenes import frames_of

FOLDER = weights.hand_network(None)


@pytest.fixture(scope="module")
def crops(needs_egl, hand_model):
    from cmr_ros.model.inference import load_network
    from cmr_ros.synthesis.generator import Generator

    generator, network = Generator(hand_model, 9, TRAINING), load_network(FOLDER)
    return [Crop.seen(generator.sample(i).picture, network) for i in range(16)]


def test_a_set_is_not_told_from_itself_but_from_visibly_other_pictures(crops):
    collections = {"a": crops[0::2], "b": crops[1::2]}
    for areas in compare(collections, crops, FOLDER).areas.values():
        assert np.mean([*areas.values()]) == pytest.approx(0.5, abs=0.02)
    others = [
        Crop(cv2.GaussianBlur(255 - c.picture, (0, 0), 3), c.hand, c.joints_px, c.presence)
        for c in crops
    ]
    found = compare(collections, others, FOLDER)
    for name in ("figures", "x2", "x4", "x8"):  # deeper ones would need more than sixteen crops
        assert np.mean([*found.areas[name].values()]) > 0.85, name
    photographs, renders, area = found.statistics["skin: detail of 1 px"]
    assert renders < photographs and area < 0.2
    assert {id(c) for c in found.renders} == {id(c) for c in others}


def test_compare_prints_areas_and_writes_a_sheet(needs_egl, tmp_path, capsys):
    _, frames = frames_of(1, 12)
    for number, frame in enumerate((*frames[:2], *frames[-2:])):
        write_picture(tmp_path / f"in/{'ab'[number % 2]}/{number}.png", frame.picture())
    command = ["synth", "compare", str(tmp_path / "in"), "--count", "4"]
    assert main([*command, "-o", str(tmp_path / "sheet.png")]) == 0
    printed = capsys.readouterr().out
    assert (
        "4 crops of each kind" in printed and "pooled" in printed and "skin: lightness" in printed
    )
    assert (tmp_path / "sheet.png").stat().st_size > 10000


def test_compare_wants_two_collections(needs_egl, tmp_path, capsys):
    assert main(["synth", "compare", str(tmp_path), "-o", str(tmp_path / "s.png")]) == 2
    assert "two folders" in capsys.readouterr().err
