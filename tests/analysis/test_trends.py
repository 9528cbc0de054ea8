"""Trends are distinguished from noise, and differences between curves from agreement."""

import math

import numpy as np
import pytest

import training_noise
from holter import analysis


def test_line_has_slope_and_ends():
    found = analysis.trend(range(0, 10_000, 100), 5 - 0.002 * np.arange(0, 10_000, 100))
    assert found.slope_per_1000_steps == pytest.approx(-2)
    assert found.start == pytest.approx(5 - 0.002 * 450)
    assert found.end == pytest.approx(5 - 0.002 * 9450)
    assert found.is_significant
    assert found.count == 100


def test_trend_ignores_outliers_and_nonfinite_values():
    values = 3.0 * np.arange(1000)
    values[::10] = 1e9
    values[1::10] = math.nan
    values[2::10] = -math.inf
    found = analysis.trend(range(1000), values)
    assert found.slope_per_1000_steps == pytest.approx(3000)
    assert found.count == 800


@pytest.mark.parametrize("kind", ["white", "AR(0.8)", "Cauchy", "lognormal"])
@pytest.mark.parametrize("n", [30, 200, 3000])
def test_noise_has_no_trend_in_90_of_100_seeds(kind, n):
    """5 are expected; the estimate of the autocorrelation comes from few points."""
    steps = np.arange(n)
    found = [analysis.trend(steps, training_noise.series(kind, n, seed)) for seed in range(100)]
    assert sum(trend.is_significant for trend in found) <= 10


@pytest.mark.parametrize("kind", ["white", "AR(0.8)"])
def test_trend_of_twice_the_noise_is_found(kind):
    steps = np.arange(1000)
    values = [training_noise.series(kind, 1000, seed) - 2 * steps / 1000 for seed in range(20)]
    assert sum(analysis.trend(steps, value).is_significant for value in values) >= 18


def test_smooth_monotonic_curve_is_trend():
    """Its residuals are as autocorrelated as those of slow noise."""
    decay = np.exp(-np.arange(21) / 5)
    assert analysis.trend(range(21), 328 - 16 * decay).is_significant


def test_few_points_and_equal_values_are_not_significant():
    assert analysis.trend([], []) is None
    assert analysis.trend([1], [math.nan]) is None
    assert not analysis.trend([1, 2, 3], [1.0, 2.0, 3.0]).is_significant
    constant = analysis.trend(range(50), np.full(50, 2.0))
    assert (constant.p_value, constant.slope_per_1000_steps) == (1.0, 0.0)
    (single,) = [analysis.trend([7], [2.5])]
    assert (single.start, single.end, single.slope_per_1000_steps) == (2.5, 2.5, 0.0)


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [(328.3, 311.8, "328 → 312"), (12.345, 9.8765, "12.3 → 9.88"), (0.0123, -4000.4, "0.0123 → -4000")],
)
def test_text_of_trend(start, end, text):
    assert analysis.trend([0, 1], [start, end]).text == text


def test_rank_trend_of_layers():
    """Six layers around the means 328, 318 and 312."""
    steps = [3000, 4000, 5000]
    layers = [(steps, np.array([328.0, 318.0, 312.0]) + offset) for offset in (-25, -10, 0, 5, 10, 20)]
    found = analysis.rank_trend(layers)
    assert found.text == "328 → 312"
    assert not found.is_significant  # three points


def test_family_mean_is_plain_mean_if_all_members_are_present():
    random = np.random.default_rng(0)
    table = random.normal(size=(50, 5)) * [1, 10, 100, 1, 1]
    steps, means = analysis.family_mean([(range(50), column) for column in table.T])
    assert steps.tolist() == list(range(50))
    np.testing.assert_allclose(means, table.mean(axis=1), atol=1e-12)


def test_missing_layer_does_not_cause_jump():
    steps, means = analysis.family_mean([(range(10), np.full(10, 1.0)), (range(5), np.full(5, 101.0))])
    assert len(steps) == 10
    np.testing.assert_allclose(means, 51.0)
    empty_steps, empty_means = analysis.family_mean([])
    assert (len(empty_steps), len(empty_means)) == (0, 0)
    assert np.isnan(analysis.family_mean([([1], [math.nan])])[1]).all()


def test_share_above_counts_common_finite_steps():
    share = analysis.share_above([0, 1, 2, 3, 4, 5], [2, 2, 2, 0, math.nan, 2], [1, 2, 3, 4, 5, 9], [1, 2, 1, 1, 1, 1])
    assert share == pytest.approx(2 / 4)  # at 1 and 5, of 1, 2, 3 and 5
    assert math.isnan(analysis.share_above([1], [1.0], [2], [0.0]))


@pytest.mark.parametrize(
    ("a", "b", "tolerance", "step"),
    [
        ([1, 1, 1, 1], [1, 1, 1, 1], 0, None),
        ([1, 1, 1, 1], [1, 1, 2, 2], 0, 20),
        ([1, 1, 1, 1], [2, 2, 2, 2], 0, 0),
        ([1, 1, 1, 1], [2, 2, 1, 2], 0, 30),  # equal again at step 20
        ([1, 1, 1, 1], [2, 2, 2, 1], 0, None),
        ([1, 1, 1, 1], [1, 1.005, 1.02, 1.03], 0.01, 20),
        ([0, 0, 0, 0], [0, 0, 1e-300, 1e-300], 0.01, 20),
        ([1, 1, math.nan, math.nan], [1, 1, 1, 1], 0.5, 20),
        ([1, math.nan, math.inf, 3], [1, math.nan, math.inf, 3], 0, None),
        ([1, 1, math.inf, math.inf], [1, 1, -math.inf, -math.inf], 0.5, 20),
    ],
)
def test_divergence_step(a, b, tolerance, step):
    steps = [0, 10, 20, 30]
    assert analysis.divergence_step(steps, a, steps, b, tolerance=tolerance) == step


def test_divergence_considers_only_common_steps():
    assert analysis.divergence_step([0, 1, 2, 9], [1, 5, 1, 7], [0, 2, 3, 9], [1, 1, 4, 8], tolerance=0) == 9
    assert analysis.divergence_step([0], [1], [1], [2]) is None


@pytest.mark.parametrize("tolerance", [-1, math.nan])
def test_invalid_tolerance_raises(tolerance):
    with pytest.raises(ValueError, match="tolerance must be at least 0"):
        analysis.divergence_step([0], [1], [0], [1], tolerance=tolerance)
