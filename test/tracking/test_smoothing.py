"""The one-euro filter and the smoothing of hands."""

import numpy as np
import pytest

from cmr_ros.tracking.smoothing import OneEuro, Smoother


def test_one_euro_calms_a_hand_at_rest_and_follows_a_fast_one():
    rng = np.random.default_rng(0)
    stamps = np.arange(0, 3, 1 / 30)
    jitter = rng.normal(0, 0.005, (len(stamps), 3))
    calm = OneEuro(10.0)
    smooth = np.array(
        [calm(value, stamp, 1.0) for value, stamp in zip(jitter, stamps, strict=True)]
    )
    assert smooth[30:].std() < 0.5 * jitter[30:].std()
    swift = OneEuro(10.0)
    path = 2.0 * stamps[:, None] * [1.0, 0, 0]  # 2 m/s
    lag = path - [swift(value, stamp, 1.0) for value, stamp in zip(path, stamps, strict=True)]
    assert np.abs(lag[30:]).max() < 0.02


@pytest.mark.parametrize("stamp_s", [10.0, 9.0, 12.0])
def test_one_euro_starts_anew_when_time_jumps(stamp_s):
    filter_ = OneEuro(0.0)
    filter_(np.zeros(3), 9.9, 1.0)
    assert np.abs(filter_(np.ones(3), 10.0, 1.0)).max() < 0.6
    np.testing.assert_array_equal(filter_(np.full(3, 5.0), stamp_s, 1.0), np.full(3, 5.0))


def test_smoothing_leaves_the_direction_of_the_root_alone():
    smoother = Smoother()
    rng = np.random.default_rng(0)
    for stamp in np.arange(0, 1, 1 / 30):
        root = np.array([0.1, -0.05, 0.5]) + rng.normal(0, [0.001, 0.001, 0.01])
        smooth, pose = smoother(root, np.zeros((5, 3)), stamp, 1.0)
        np.testing.assert_allclose(smooth[:2] / smooth[2], root[:2] / root[2])
    assert abs(smooth[2] - 0.5) < 0.01 and pose.shape == (5, 3)


def test_an_uncertain_distance_is_smoothed_more_at_rest_and_not_in_motion():
    rng = np.random.default_rng(3)
    stamps = np.arange(0, 4, 1 / 30)
    still = 0.5 * np.exp(rng.normal(0, 0.002, len(stamps)))
    moving = 0.3 * np.exp(0.5 * stamps)

    def smoothed(depths_m, certainty):
        smoother = Smoother()
        return np.array([
            smoother(np.array([0, 0, z]), np.zeros((1, 3)), stamp, 3.0, certainty)[0][2]
            for z, stamp in zip(depths_m, stamps, strict=True)
        ])  # fmt: skip

    assert smoothed(still, 0.1)[30:].std() < 0.7 * smoothed(still, 1.0)[30:].std()
    assert np.abs(np.log(smoothed(moving, 0.1) / moving))[30:].max() < 0.016
