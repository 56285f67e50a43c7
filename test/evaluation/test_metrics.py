"""Metrics on cases whose answers are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation

from cmr_ros.evaluation.metrics import auc, distances_mm, f_score, pck, procrustes


def cloud(seed=0, count=21):
    return np.random.default_rng(seed).normal(0, 0.05, (count, 3))


@given(st.integers(0, 2**31), st.floats(0.1, 5), st.floats(-2, 2))
@settings(max_examples=30)
def test_procrustes_undoes_similarity(seed, scale, shift):
    points = cloud(seed)
    turn = Rotation.random(random_state=seed).as_matrix()
    target = scale * points @ turn.T + [shift, -shift, 1]
    np.testing.assert_allclose(procrustes(points, target), target, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_procrustes_agrees_with_scipy(seed):
    points, target = cloud(seed), cloud(seed + 100)
    centred, goal = points - points.mean(0), target - target.mean(0)
    turn, total = orthogonal_procrustes(centred, goal)
    if np.linalg.det(turn) < 0:  # scipy allows reflections; an even one is the same problem
        target[:, 0] *= -1
        goal = target - target.mean(0)
        turn, total = orthogonal_procrustes(centred, goal)
    assert np.linalg.det(turn) > 0
    expected = total / (centred**2).sum() * centred @ turn + target.mean(0)
    np.testing.assert_allclose(procrustes(points, target), expected, atol=1e-12)


def test_procrustes_never_reflects():
    points = cloud()
    mirrored = points * [-1, 1, 1]
    assert distances_mm(procrustes(points, mirrored), mirrored).mean() > 5


def test_procrustes_takes_batches_and_single_points():
    points, target = np.stack([cloud(1), cloud(2)]), np.stack([cloud(3), cloud(4)])
    one_by_one = [procrustes(*pair) for pair in zip(points, target, strict=True)]
    np.testing.assert_allclose(procrustes(points, target), one_by_one)
    np.testing.assert_allclose(procrustes(np.zeros((4, 3)), cloud(count=4)).std(axis=0), 0)


def test_distances_are_in_millimetres():
    assert distances_mm(np.zeros(3), np.array([0.003, 0, 0.004])) == pytest.approx(5)


def test_pck_counts_errors_on_the_threshold():
    np.testing.assert_allclose(pck([1, 2, 3, 4], np.array([0, 1, 2.5, 4])), [0, 0.25, 0.5, 1])


@pytest.mark.parametrize(
    "errors, expected",
    [
        ([0, 0], 1),
        ([50.1, 99], 0),
        # A step in the middle: by trapezoids, between samples 49 and 50 of 0 to 99.
        ([25], 0.5),
        ([0, 99], 0.5),
    ],
)
def test_auc_of_steps(errors, expected):
    assert auc(errors) == pytest.approx(expected, abs=1e-9)


def test_auc_between_20_and_50_mm_forgives_20():
    assert auc([20, 20], 20, 50) == pytest.approx(1)
    assert auc([20, 20], 0, 50) < 0.61


def test_f_score_of_a_shifted_and_of_a_partial_cloud():
    grid = np.stack(np.meshgrid(*[np.arange(4) * 0.1] * 3), axis=-1).reshape(-1, 3)
    assert f_score(grid + [0.004, 0, 0], grid, 5) == 1
    assert f_score(grid + [0.006, 0, 0], grid, 5) == 0
    # Half of the cloud: all precise, half recalled, 2 * 1 * 0.5 / 1.5.
    assert f_score(grid[: len(grid) // 2], grid, 5) == pytest.approx(2 / 3)
