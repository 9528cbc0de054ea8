"""Trends and comparisons of two curves, with a significance corrected for autocorrelated noise.

The noise of training curves is autocorrelated, so n points carry less evidence than n independent points.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from holter.analysis._points import FloatArray, IntArray, median, points, stretch_medians
from holter.analysis.bands import across

_MAX_POINTS = 200
"""A longer series is reduced to the medians of this many stretches, since all pairs of points are compared."""
_SIGNIFICANT = 0.05
_ONE_WAY = 0.75
_ENDS = 10
"""Start and end are medians of the first and last 1/10 of the values."""


@dataclass(frozen=True, slots=True)
class Trend:
    """Start, end and slope of a curve.

    Attributes:
        start: The median of the first tenth of the finite values.
        end: The median of the last tenth.
        slope_per_1000_steps: The Theil-Sen slope: the median of the slopes between all pairs of points.
        p_value: The probability that noise of this autocorrelation without a trend rises or falls as steadily; 1 for
            fewer than 4 points.
        count: The number of finite values.
    """

    start: float
    end: float
    slope_per_1000_steps: float
    p_value: float
    count: int

    @property
    def is_significant(self) -> bool:
        """Whether the p-value is below 0.05."""
        return self.p_value < _SIGNIFICANT

    @property
    def text(self) -> str:
        """Start and end for a table: "328 → 312"."""
        return f"{_three_digits(self.start)} → {_three_digits(self.end)}"


def trend(steps: npt.ArrayLike, values: npt.ArrayLike) -> Trend | None:
    """Return the trend of a series; None if no value is finite.

    The slope is Sen's (1968). The p-value is twice the smaller one of two tests: Mann and Kendall's (1945), with the
    variance of its statistic multiplied by (1+ρ)/(1-ρ) for the autocorrelation ρ of neighboring residuals, as for a
    mean of an AR(1) process; and, since the residuals of a smooth curve are autocorrelated too, a sign test of the
    share of steps in one direction against 3/4, the share in noise whose peaks rise fast and fall slowly.

    Args:
        steps: Shape (n,), integers, strictly ascending.
        values: Shape (n,); NaN and infinities are ignored.

    Raises:
        TypeError: If a step is not an integer.
        ValueError: If the shapes differ or the steps do not ascend.
    """
    step_array, value_array = points(steps, values)
    is_finite = np.isfinite(value_array)
    step_array, value_array = step_array[is_finite], value_array[is_finite]
    count = len(value_array)
    if not count:
        return None
    end = max(1, count // _ENDS)
    x, y = _medians(step_array, value_array)
    slope = _theil_sen(x, y)
    return Trend(
        start=median(value_array[:end]),
        end=median(value_array[-end:]),
        slope_per_1000_steps=1000 * slope,
        p_value=min(1.0, 2 * min(_mann_kendall(y, y - slope * x), _one_way(y))),
        count=count,
    )


def rank_trend(members: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]]) -> Trend | None:
    """Return the trend of the mean over layers, such as `effective_rank/*`, with a `text` such as "328 → 312".

    Args:
        members: Steps and values of each layer, at least one.

    Raises:
        TypeError: If a step is not an integer.
        ValueError: If shapes differ or steps do not ascend.
    """
    return trend(*family_mean(members))


def family_mean(members: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]]) -> tuple[IntArray, FloatArray]:
    """Return the steps of a family and its mean at each step.

    Where all members have a finite value it is the plain mean. Where some have none, it is the mean of the members'
    medians plus the mean deviation of the others from their medians, so that a layer with large values that is missing
    at a step does not cause a jump. NaN where no member has a finite value.

    Args:
        members: Steps and values of each member, as for `across`.

    Raises:
        TypeError: If a step is not an integer.
        ValueError: If shapes differ or steps do not ascend.
    """
    centered, levels = [], []
    for member in members:
        steps, values = points(*member)
        finite = values[np.isfinite(values)]
        level = median(finite) if len(finite) else 0.0
        centered.append((steps, values - level))
        if len(finite):
            levels.append(level)
    band = across(centered, "minmax")
    return band.steps, band.centers + (float(np.mean(levels)) if levels else 0.0)


def share_above(
    a_steps: npt.ArrayLike, a_values: npt.ArrayLike, b_steps: npt.ArrayLike, b_values: npt.ArrayLike
) -> float:
    """Return the share of the common steps at which a is greater than b, such as training loss above validation loss.

    Steps at which either is NaN or infinite are ignored. NaN if there is no common step.

    Args:
        a_steps: Shape (n,), integers, strictly ascending.
        a_values: Shape (n,).
        b_steps: Shape (m,), integers, strictly ascending.
        b_values: Shape (m,).

    Raises:
        TypeError: If a step is not an integer.
        ValueError: If the shapes differ or the steps do not ascend.
    """
    _, a, b = _common(points(a_steps, a_values), points(b_steps, b_values))
    both = np.isfinite(a) & np.isfinite(b)
    return float(np.mean(a[both] > b[both])) if both.any() else math.nan


def divergence_step(
    a_steps: npt.ArrayLike,
    a_values: npt.ArrayLike,
    b_steps: npt.ArrayLike,
    b_values: npt.ArrayLike,
    *,
    tolerance: float = 0.01,
) -> int | None:
    """Return the first common step from which two curves differ at every step; None if they agree at the last.

    Values differ if their distance exceeds `tolerance` times the larger magnitude, or if one is NaN or infinite and the
    other is not the same. Smooth noisy curves first, with `ema` and the same half-life.

    Args:
        a_steps: Shape (n,), integers, strictly ascending.
        a_values: Shape (n,).
        b_steps: Shape (m,), integers, strictly ascending.
        b_values: Shape (m,).
        tolerance: The relative tolerance; 0 for exact equality, which two runs with the same seed should have.

    Raises:
        TypeError: If a step is not an integer.
        ValueError: If the shapes differ, the steps do not ascend, or the tolerance is negative or NaN.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be at least 0, got {tolerance}")
    steps, a, b = _common(points(a_steps, a_values), points(b_steps, b_values))
    with np.errstate(invalid="ignore", over="ignore"):
        is_close = np.abs(a - b) <= tolerance * np.maximum(np.abs(a), np.abs(b))
    is_finite = np.isfinite(a) & np.isfinite(b)
    agrees = np.where(is_finite, is_close, (a == b) | (np.isnan(a) & np.isnan(b)))
    first = int(np.flatnonzero(agrees)[-1]) + 1 if agrees.any() else 0
    return int(steps[first]) if first < len(steps) else None


def _common(a: tuple[IntArray, FloatArray], b: tuple[IntArray, FloatArray]) -> tuple[IntArray, FloatArray, FloatArray]:
    steps, of_a, of_b = np.intersect1d(a[0], b[0], assume_unique=True, return_indices=True)
    return steps, a[1][of_a], b[1][of_b]


def _medians(steps: IntArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Steps relative to the first, and values; medians of stretches for long series."""
    x = (steps - steps[0]).astype(np.float64)
    if len(values) <= _MAX_POINTS:
        return x, values
    bounds = np.linspace(0, len(values), _MAX_POINTS + 1).astype(np.int64)
    return stretch_medians(x, bounds), stretch_medians(values, bounds)


def _theil_sen(x: FloatArray, y: FloatArray) -> float:
    later, earlier = np.tril_indices(len(x), -1)
    if not len(later):
        return 0.0
    return float(np.median((y[later] - y[earlier]) / (x[later] - x[earlier])))


def _mann_kendall(y: FloatArray, residuals: FloatArray) -> float:
    """The two-sided p-value of the trend in `y`."""
    count = len(y)
    if count < 4:
        return 1.0
    later, earlier = np.tril_indices(count, -1)
    score = float(np.sign(y[later] - y[earlier]).sum())
    ties = np.unique(y, return_counts=True)[1].astype(np.float64)
    variance = (count * (count - 1.0) * (2.0 * count + 5.0) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    if variance <= 0:  # all values are equal
        return 1.0
    z = max(0.0, abs(score) - 1) / math.sqrt(variance * _inflation(residuals))
    return math.erfc(z / math.sqrt(2))


def _one_way(y: FloatArray) -> float:
    """The two-sided p-value of the number of steps in one direction, if each has it with probability 3/4."""
    steps = np.diff(y)
    one_way = max(int((steps > 0).sum()), int((steps < 0).sum()))
    count = len(steps)
    return 2 * sum(math.comb(count, k) * _ONE_WAY**k * (1 - _ONE_WAY) ** (count - k) for k in range(one_way, count + 1))


def _inflation(residuals: FloatArray) -> float:
    """The factor by which autocorrelation increases the variance of a mean: (1+ρ)/(1-ρ), at least 1.

    ρ is the autocorrelation of the residuals' ranks, because a single outlier would mask that of their values,
    corrected for the bias of the estimate after detrending few points (Marriott and Pope, 1954).
    """
    count = len(residuals)
    ranks = np.argsort(np.argsort(residuals, kind="stable"), kind="stable") - (count - 1) / 2
    correlation = float(ranks[1:] @ ranks[:-1]) / float(ranks @ ranks)
    correlation = min(0.95, correlation + (2 + 4 * correlation) / count)
    return max(1.0, (1 + correlation) / (1 - correlation))


def _three_digits(value: float) -> str:
    """Three significant digits and a complete integer part, without an exponent for values below 10 million."""
    return f"{value:.0f}" if 100 <= abs(value) < 1e7 else f"{value:.3g}"
