"""Smoothing equals its formula on irregular steps and does not depend on the zoom."""

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from holter import analysis

MIN_STEP, MAX_STEP = -(1 << 63), (1 << 63) - 1
VALUES = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf])
POINTS = st.dictionaries(st.integers(-60, 60) | st.integers(MIN_STEP, MAX_STEP), VALUES, max_size=40)


def split(points):
    steps = sorted(points)
    return np.array(steps, np.int64), np.array([points[step] for step in steps], np.float64)


def naive_ema(points, half_life, counts):
    result = []
    for now in sorted(points):
        weights = {
            step: counts[step] * (2.0 ** (-(now - step) / half_life) if half_life else float(step == now))
            for step in points
            if step <= now and math.isfinite(points[step])
        }
        # If all weights underflow, the latest value remains the average.
        latest = max((step for step in weights if counts[step]), default=None)
        if latest is None:
            result.append(math.nan)
            continue
        weights = {
            step: counts[step] * (2.0 ** (-(latest - step) / half_life) if half_life else float(step == latest))
            for step in weights
            if step <= latest
        }
        result.append(sum(w * points[step] for step, w in weights.items()) / sum(weights.values()))
    return result


@hypothesis.given(POINTS, st.sampled_from([0, 1e-3, 0.5, 3, 40, 1e9, math.inf]), st.randoms(use_true_random=False))
def test_ema_equals_its_formula(points, half_life, random):
    counts = {step: random.choice([0, 1, 1, 2, 64]) for step in points}
    steps, values = split(points)
    smoothed = analysis.ema(steps, values, half_life, counts=[counts[step] for step in sorted(points)])
    np.testing.assert_allclose(smoothed, naive_ema(points, half_life, counts), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("half_life", [0.01, 1, 30, 1e4])
@pytest.mark.parametrize("count", [1, 2, 7, 1000, 1001])
def test_ema_equals_the_loop_on_many_points(half_life, count):
    random = np.random.default_rng(count)
    steps = np.cumsum(random.integers(1, 50, count))
    values = random.standard_cauchy(count)
    total = weight = 0.0
    looped = []
    for i in range(count):
        decay = 2.0 ** (-(steps[i] - steps[i - 1]) / half_life) if i else 0.0
        total, weight = total * decay + values[i], weight * decay + 1
        looped.append(total / weight)
    np.testing.assert_allclose(analysis.ema(steps, values, half_life), looped, rtol=1e-9)


def test_constant_is_unchanged_and_first_result_is_first_value():
    steps = np.arange(0, 100_000, 3)
    np.testing.assert_allclose(analysis.ema(steps, np.full(len(steps), 0.1), 17), 0.1, rtol=1e-13)
    assert analysis.ema([5, 6], [7.0, 9.0], 100)[0] == 7.0


def test_step_response_is_half_after_half_life():
    values = np.r_[np.zeros(100_000), np.ones(1001)]
    smoothed = analysis.ema(np.arange(len(values)), values, 1000)
    assert smoothed[100_000 + 999] == pytest.approx(0.5, abs=1e-9)


def test_half_life_counts_steps_not_points():
    steps = np.arange(0, 3000)
    values = np.sin(steps / 500)
    sparse = analysis.ema(steps[::10], values[::10], 200)
    np.testing.assert_allclose(sparse, analysis.ema(steps, values, 200)[::10], atol=0.01)


def test_nonfinite_values_are_ignored():
    smoothed = analysis.ema([1, 2, 3, 4], [math.nan, 2.0, math.inf, math.nan], 1)
    np.testing.assert_array_equal(smoothed, [math.nan, 2.0, 2.0, 2.0])


def test_old_spike_leaves_no_error():
    values = np.r_[1e300, np.full(5000, 1e-3)]
    assert analysis.ema(np.arange(5001), values, 1)[-1] == pytest.approx(1e-3, rel=1e-13)


@pytest.mark.parametrize("half_life", [50, 224, 2000])
def test_buckets_approximate_points_within_bound(half_life):
    """Checks the bound in the docstring of `ema` on 20 series of white noise and random walks."""
    width = 64
    q = 2 ** ((width - 1) / (2 * half_life))
    for seed in range(20):
        random = np.random.default_rng(seed)
        steps = np.sort(random.choice(40_000, 15_000, replace=False))
        noise = random.normal(size=len(steps))
        values = noise if seed % 2 else np.cumsum(noise) / 20
        bucket = steps // width
        first = np.flatnonzero(np.r_[True, np.diff(bucket) > 0])
        counts = np.diff(np.r_[first, len(steps)])
        means = np.add.reduceat(values, first) / counts
        last = first + counts - 1
        smoothed = analysis.ema(steps[last], means, half_life, counts=counts)
        off = np.abs(smoothed - analysis.ema(steps, values, half_life)[last])
        assert off.max() <= (q - 1) / (q + 1) * np.ptp(values)
    assert off.max() > 0


def test_counts_weight_buckets():
    steps, values, counts = [63, 64], [0.0, 1.0], [64, 1]
    assert analysis.ema(steps, values, 1000, counts=counts)[1] == pytest.approx(1 / 65, abs=1e-3)
    assert analysis.ema(steps, values, 1000)[1] == pytest.approx(1 / 2, abs=1e-3)


@hypothesis.given(POINTS, st.sampled_from([0.5, 1, 2.5, 40, 1e18, 1e30, math.inf]))
def test_rolling_equals_numpy_on_each_window(points, window):
    steps, values = split(points)
    found = analysis.rolling(steps, values, window)
    for i, now in enumerate(steps.tolist()):
        inside = [points[s] for s in points if 0 <= now - s < window and math.isfinite(points[s])]
        assert found.counts[i] == len(inside)
        got = (found.means[i], found.stds[i], found.minima[i], found.maxima[i])
        if inside:
            scale = max(1e-300, *map(abs, inside))
            expected = (np.mean(inside), np.std(inside), np.min(inside), np.max(inside))
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * scale)
        else:
            assert np.isnan(got).all()


def test_rolling_has_no_rounding_errors_after_spike():
    """Differences of running sums would retain rounding errors of the spike's size."""
    values = np.r_[np.full(500, 0.1), 1e17, np.full(500, 0.1)]
    found = analysis.rolling(np.arange(1001), values, 10)
    np.testing.assert_allclose(found.means[511:], 0.1, rtol=1e-14)
    np.testing.assert_allclose(found.stds[511:], 0.0, atol=1e-15)


def test_no_points_give_empty_results():
    assert len(analysis.ema([], [], 1)) == 0
    assert len(analysis.rolling([], [], 1).means) == 0
    assert np.isnan(analysis.ema([1], [math.nan], 1)).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: analysis.ema([1, 2], [1.0], 1), ValueError, "same length, got 2 and 1"),
        (lambda: analysis.ema([2, 1], [1.0, 2.0], 1), ValueError, "ascend strictly"),
        (lambda: analysis.ema([1, 1], [1.0, 2.0], 1), ValueError, "ascend strictly"),
        (lambda: analysis.ema([0.5], [1.0], 1), TypeError, "steps must be integers, got float64"),
        (lambda: analysis.ema([1], ["a"], 1), TypeError, "values must be real numbers"),
        (lambda: analysis.ema([[1]], [[1.0]], 1), ValueError, "one-dimensional"),
        (lambda: analysis.ema([1], [1.0], -1), ValueError, "half_life must be"),
        (lambda: analysis.ema([1], [1.0], math.nan), ValueError, "half_life must be"),
        (
            lambda: analysis.ema([1], [1.0], 1, counts=[1, 2]),
            ValueError,
            r"one number per value, shape \(1,\), got shape \(2,\)",
        ),
        (lambda: analysis.ema([1], [1.0], 1, counts=[-1]), ValueError, "at least 0"),
        (lambda: analysis.ema([1], [1.0], 1, counts=[math.nan]), ValueError, "at least 0"),
        (lambda: analysis.rolling([1], [1.0], 0), ValueError, "window must be"),
        (lambda: analysis.rolling([1], [1.0], math.nan), ValueError, "window must be"),
    ],
)
def test_invalid_arguments_raise(call, error, message):
    with pytest.raises(error, match=message):
        call()
