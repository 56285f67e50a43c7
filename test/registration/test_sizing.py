"""The length of a hand from images of it at rest."""

from dataclasses import replace

import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.registration.sizing import SizeMeasurement
from cmr_ros.settings import POPULATIONS, PipelineSettings
from support.made_up_hands import hand
from support.shared import ROOT


def seen(images=20, jitter=0.01, **changes):
    """A measurement of a hand believed to be 0.186 m long, 0.6 m away."""
    measurement, rng = SizeMeasurement(), np.random.default_rng(4)
    for _ in range(images):
        made = hand(handedness=Handedness.RIGHT, depth_m=0.6)
        factor = 1 + jitter * rng.standard_normal()
        measurement.see([replace(made, joints_m=made.joints_m * factor, **changes)])
    return measurement


def test_a_hand_is_as_long_as_it_is_far_away():
    size = seen().size(0.66, scale_log_sd=0.03)
    assert size.length_m == pytest.approx(0.186 * 1.1, rel=0.01)
    assert size.deviation == pytest.approx(np.hypot(0.03, 0.01 / 0.66), rel=0.2)
    assert seen(jitter=0.05).size(0.66, 0.03).deviation > 1.3 * size.deviation


def test_depth_images_have_measured_it_already():
    size = seen(registration="joints+depth", length_m=0.2, length_deviation_m=0.004).size(0, 0.05)
    assert size.length_m == pytest.approx(0.2) and size.deviation == pytest.approx(0.02)


def test_what_cannot_be_measured_is_said():
    with pytest.raises(InputError, match="3 images, 5 are needed"):
        seen(images=3).size(0.5, 0.03)
    with pytest.raises(InputError, match="moved"):
        seen(jitter=0.2).size(0.5, 0.03)
    with pytest.raises(InputError, match="give wrist_depth_m"):
        seen().size(0, 0.03)
    crowd = SizeMeasurement()
    for _ in range(9):
        crowd.see([hand(1), hand(2)])
    with pytest.raises(InputError, match="more than one hand"):
        crowd.size(0.5, 0.03)


@pytest.mark.parametrize(
    "name, length_mm, deviation_mm", [("man", 193, 10), ("woman", 181, 10), ("child", 147, 15)]
)
def test_populations_are_as_the_page_says_that_cites_the_surveys(name, length_mm, deviation_mm):
    size = POPULATIONS[name]
    assert size.length_m == length_mm / 1000
    assert round(1000 * size.length_m * size.deviation) == deviation_mm
    page = (ROOT / "docs/ros.md").read_text(encoding="utf-8")
    assert f"| `{name}` | {length_mm} mm +- {deviation_mm} mm |" in page


def test_a_population_is_believed_until_more_is_known():
    men, learned = POPULATIONS["man"], POPULATIONS["woman"]
    assert PipelineSettings(population="man").hand_size(None) is men
    assert PipelineSettings(population="man").hand_size(learned) is learned
    known = PipelineSettings(hand_length_m=0.2, hand_length_deviation_m=0.01).hand_size(learned)
    assert (known.length_m, known.deviation) == (0.2, pytest.approx(0.05))
    with pytest.raises(InputError, match="population 'elf'.*adult, man, woman, child"):
        PipelineSettings(population="elf")
