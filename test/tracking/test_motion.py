"""Where hands are expected, and the assignment against scipy's."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from cmr_ros.tracking.motion import Motion, Sight, assign

PERIOD_S = 1 / 30


def followed(points, noise=0.5, scale=100.0):
    motion = Motion.start(Sight(points[0], noise, scale), 0.0)
    for image, point in enumerate(points[1:], start=1):
        motion = motion.updated(Sight(point, noise, scale), image * PERIOD_S)
    return motion


def test_a_steady_motion_goes_on_for_a_moment_and_is_unknown_after_a_while():
    motion = followed(np.arange(0, 60, 4.0)[:, None] * [1.0, -0.5])
    soon, late = motion.expected(motion.seen_s + PERIOD_S), motion.expected(motion.seen_s + 5.0)
    np.testing.assert_allclose(soon.mean[0], motion.mean[0] + [4.0, -2.0], atol=0.3)
    assert np.abs(late.mean[1]).max() < 1.0
    assert late.covariance[0, 0] > 100 * soon.covariance[0, 0]


def test_surprise_is_that_of_the_motion_that_is_assumed():
    """Squared Mahalanobis distances of D coordinates are D on average, seen or hidden."""
    rng = np.random.default_rng(0)
    noise, speed, steady_s, scale, step_s = 0.03, 3.0, 0.6, 1.0, 0.002
    kept = np.exp(-step_s / steady_s)
    off = {1: [], 12: []}
    for _ in range(200):
        velocity = speed * rng.standard_normal(2)
        place, motion, now_s = np.zeros(2), None, 0.0
        for image in range(31):
            seen = Sight(place + noise * rng.standard_normal(2), noise, scale)
            if image == 30:
                off[12].append(motion.misfit(seen, now_s)[0])
            elif image < 19:
                if motion is not None:
                    off[1].append(motion.misfit(seen, now_s)[0])
                motion = (
                    motion.updated(seen, now_s)
                    if motion else Motion.start(seen, now_s)
                )  # fmt: skip
            for _ in range(20):
                place = place + velocity * step_s
                velocity = kept * velocity + speed * np.sqrt(1 - kept**2) * rng.standard_normal(2)
            now_s += 20 * step_s
    for values in off.values():
        assert np.mean(values) == pytest.approx(2.0, rel=0.15)


def test_no_assignment_is_cheaper_and_none_has_more_pairs():
    rng = np.random.default_rng(5)
    for _ in range(60):
        costs = rng.normal(0, 10, rng.integers(1, 11, 2))
        costs[rng.random(costs.shape) < rng.choice([0, 0.6])] = np.inf
        pairs = assign(costs)
        dear = np.where(np.isfinite(costs), costs, 1e4)
        best = dear[linear_sum_assignment(dear)]
        assert all(np.isfinite(costs[pair]) for pair in pairs)
        assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
        assert len(pairs) == (best < 1e4).sum()
        total = sum(costs[pair] for pair in pairs)
        assert total == pytest.approx(best[best < 1e4].sum(), abs=1e-3)


@pytest.mark.parametrize("costs", [np.empty((0, 3)), np.empty((3, 0)), np.full((2, 2), np.inf)])
def test_there_may_be_nothing_to_assign(costs):
    assert assign(costs) == []
