"""Lens models as drivers and calibration tools name them."""

import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.geometry.lens import lens

K8 = [0.5, -2.4, 1e-3, -4e-4, 1.4, 0.4, -2.2, 1.3]
K14 = [*K8, 1e-3, -2e-3, 5e-4, 1e-3, 0.01, -0.02]


@pytest.mark.parametrize("name", ["plumb_bob", "rational_polynomial"])
@pytest.mark.parametrize("count", [4, 5, 8, 12, 14])
def test_both_polynomial_names_take_what_opencv_takes(name, count):
    model, coefficients = lens(name, np.array(K14[:count]))
    assert (model, coefficients.tolist()) == (name, K14[:count])


@pytest.mark.parametrize(
    "name, given, expected",
    [
        ("plumb_bob", [0.1, 0.2, 0, 0, 0.3, 0, 0, 0], 8),
        ("plumb_bob", [0.1, 0.2, 0, 0, 0.3, 0], 5),
        ("plumb_bob", [0.1, 0, 0, 0, 0, 0, 0], 5),
        ("rational_polynomial", [*K14, 0, 0], 14),
        ("rational_polynomial", K8[:5], 5),
        ("equidistant", [0.1, -0.02, 0.003, 0.01, 0], 4),
        ("equidistant", [0.1, -0.02, 0.003, 0.01, 0, 0, 0, 0], 4),
    ],
)
def test_zeros_too_many_are_dropped(name, given, expected):
    assert lens(name, np.array(given))[1].tolist() == given[:expected]


def test_orbbec_puts_a_fisheye_into_eight_numbers():
    given = np.array([0.1, -0.02, 0, 0, 0.003, 0.01, 0, 0])
    assert lens("equidistant", given)[1].tolist() == [0.1, -0.02, 0.003, 0.01]


@pytest.mark.parametrize(
    "name, count, model",
    [
        ("radtan", 4, "plumb_bob"),
        ("Brown-Conrady", 5, "plumb_bob"),
        ("Brown Conrady", 5, "plumb_bob"),
        ("distortion.brown_conrady", 5, "plumb_bob"),
        ("PLUMB_BOB", 5, "plumb_bob"),
        ("plumb bob", 5, "plumb_bob"),
        ("rational", 8, "rational_polynomial"),
        ("Brown Conrady K6", 8, "rational_polynomial"),
        ("fisheye", 4, "equidistant"),
        ("equi", 4, "equidistant"),
        ("Kannala Brandt4", 4, "equidistant"),
        ("kannala_brandt", 4, "equidistant"),
        ("", 5, "plumb_bob"),
        ("", 8, "plumb_bob"),
    ],
)
def test_names_mean_what_those_who_use_them_mean(name, count, model):
    found, coefficients = lens(name, np.array(K8[:count]))
    assert (found, coefficients.tolist()) == (model, K8[:count])


@pytest.mark.parametrize("name", ["", "none", "None", "pinhole", "perspective", "plumb_bob",
                                  "rational_polynomial", "radtan", "inverse_brown_conrady",
                                  "Modified Brown Conrady"])  # fmt: skip
@pytest.mark.parametrize("count", [0, 1, 5, 8, 30])
def test_a_lens_of_zeros_is_none(name, count):
    model, coefficients = lens(name, np.zeros(count))
    assert (model, coefficients.size) == ("", 0)


@pytest.mark.parametrize("name", ["equidistant", "fisheye", "Kannala Brandt4"])
@pytest.mark.parametrize("count", [0, 4, 5, 8])
def test_an_equidistant_lens_of_zeros_stays_one(name, count):
    model, coefficients = lens(name, np.zeros(count))
    assert (model, coefficients.tolist()) == ("equidistant", [0, 0, 0, 0])


@pytest.mark.parametrize(
    "name, given, words",
    [
        ("plumb_bob", [0.1, 0.2], "'plumb_bob' does not take the 2 coefficients"),
        ("plumb_bob", K8[:6], "6 coefficients"),
        ("rational_polynomial", [*K14, 1], "15 coefficients"),
        ("equidistant", K8, "8 coefficients"),
        ("equidistant", K8[:3], "3 coefficients"),
        ("none", K8[:5], "'none' does not take"),
        ("pinhole", K8[:4], "'pinhole' does not take"),
        ("", K8[:4], "without a model may be plumb_bob or equidistant"),
        ("Inverse Brown Conrady", K8[:5], "'Inverse Brown Conrady' does not take"),
        ("fov", [0.9], "'fov': known are plumb_bob, rational_polynomial, equidistant"),
        ("mystery", [], "'mystery': known are"),
    ],
)
def test_what_has_no_one_meaning_is_refused(name, given, words):
    with pytest.raises(InputError, match=words):
        lens(name, np.array(given))
