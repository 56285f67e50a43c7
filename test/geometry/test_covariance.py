import numpy as np
import pytest
from scipy.stats import chi2

from cmr_ros.geometry.covariance import RADIUS_90, inside_90


def test_the_radii_are_quantiles_of_the_chi_distribution():
    np.testing.assert_allclose(np.square(RADIUS_90), chi2.ppf(0.9, [1, 2, 3]), rtol=1e-4)


@pytest.mark.parametrize("scale, expected", [(1, 0.9), (1e6, 1), (1e-6, 0)])
def test_coverage_is_the_share_of_errors_inside_their_ellipsoids(scale, expected):
    rng = np.random.default_rng(3)
    spread = rng.normal(0, 1, (20_000, 3, 3))
    errors = (spread @ rng.normal(0, 1, (20_000, 3, 1)))[..., 0]
    covariances = scale * spread @ spread.swapaxes(1, 2)
    assert inside_90(errors, covariances).mean() == pytest.approx(expected, abs=0.01)
