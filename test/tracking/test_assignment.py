"""The assignment against scipy's and against trying everything."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from cmr_ros.tracking.assignment import assign


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 7), (7, 3), (10, 10), (10, 4)])
def test_no_assignment_is_cheaper(shape):
    rng = np.random.default_rng(sum(shape))
    for _ in range(30):
        costs = rng.random(shape)
        pairs = assign(costs)
        assert len(pairs) == min(shape)
        assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
        best = costs[linear_sum_assignment(costs)].sum()
        assert sum(costs[pair] for pair in pairs) == pytest.approx(best, abs=1e-5)


def test_what_is_impossible_is_left_out():
    rng = np.random.default_rng(5)
    for _ in range(60):
        costs = rng.random((6, 5))
        costs[rng.random(costs.shape) < 0.6] = np.inf
        pairs = assign(costs)
        assert all(np.isfinite(costs[pair]) for pair in pairs)
        dear = np.where(np.isfinite(costs), costs, 100)
        best = dear[linear_sum_assignment(dear)]
        assert len(pairs) == (best < 100).sum()
        assert sum(costs[pair] for pair in pairs) == pytest.approx(best[best < 100].sum(), abs=1e-5)


@pytest.mark.parametrize("costs", [np.empty((0, 3)), np.empty((3, 0)), np.full((2, 2), np.inf)])
def test_there_may_be_nothing_to_assign(costs):
    assert assign(costs) == []
