"""Trends and comparisons of two curves, with a significance that takes the noise into account.

Training curves' noise is autocorrelated: neighboring points err alike, so n points carry less than n points'
evidence. The significance here is corrected for it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from holter.analysis._points import FloatArray, IntArray, median, points, stretch_medians
from holter.analysis.bands import across

_MAX_POINTS = 200
"""Medians of so many stretches stand for a longer series: its pairs are compared one by one."""
_SIGNIFICANT = 0.05
_ONE_WAY = 0.75
_ENDS = 10
"""Start and end are medians of one part in so many."""


@dataclass(frozen=True, slots=True)
class Trend:
    """Where a curve came from and where it went.

    Attributes:
        start: The median of the first tenth of the finite values.
        end: The median of the last tenth.
        slope_per_1000_steps: Theil-Sen's: the median of the slopes between all pairs of points.
        p_value: How often noise of this autocorrelation without a trend would go as steadily up or down; 1 for fewer
            than 4 points.
        count: How many finite values there are.
    """

    start: float
    end: float
    slope_per_1000_steps: float
    p_value: float
    count: int

    @property
    def is_significant(self) -> bool:
        """Whether noise alone would do this in less than 5 of 100 series."""
        return self.p_value < _SIGNIFICANT

    @property
    def text(self) -> str:
        """Start and end for a table: "328 → 312"."""
        return f"{_three_digits(self.start)} → {_three_digits(self.end)}"


def trend(steps: npt.ArrayLike, values: npt.ArrayLike) -> Trend | None:
    """Return the trend of a series; None if no value is finite.

    The slope is Sen's (1968). The significance is the better of two tests, doubled: Mann and Kendall's (1945) with the
    variance of its statistic multiplied by (1+ρ)/(1-ρ), ρ being the autocorrelation of neighboring residuals, as
    for a mean of an AR(1) process; and, since a smooth curve's residuals hang together as well, one of how many of the
    steps go one way, against the three of four that noise may show whose peaks rise fast and fall slowly.

    Args:
        steps: Shape (n,), integers, strictly ascending.
        values: Shape (n,); NaN and infinities are passed over.

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
    """Return the trend of the mean over the layers, such as of `effective_rank/*`; its `text` is "328 → 312".

    Args:
        members: Steps and values of each layer; one of them is fine.

    Raises:
        TypeError: If a step is not an integer.
        ValueError: If shapes differ or steps do not ascend.
    """
    return trend(*family_mean(members))


def family_mean(members: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]]) -> tuple[IntArray, FloatArray]:
    """Return the steps and the mean of a family at each.

    Where all members have a finite value it is the plain mean. Where some have none, the mean of the others'
    differences from their own medians stands for all: that a layer with large values was not logged at a step is no
    jump of the family. NaN where no member has a finite value.

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

    Steps at which either is NaN or infinite do not count. NaN if there is no common step.

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
    """Return the first of the common steps from which on two curves differ at each; None if they agree at the last.

    They differ where their distance is more than `tolerance` of the larger magnitude, or where one is NaN or infinite
    and the other is something else. Noisy curves are better smoothed before, with `ema` and one half-life.

    Args:
        a_steps: Shape (n,), integers, strictly ascending.
        a_values: Shape (n,).
        b_steps: Shape (m,), integers, strictly ascending.
        b_values: Shape (m,).
        tolerance: Relative. 0 asks from where on they are not equal, as two runs of one seed should be.

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
    """The steps, counted from the first, and the values; medians of stretches where there are too many."""
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
    """The two-sided significance of the trend in `y`."""
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
    """How often, of so many steps, so many would go one way if three of four did by chance; both ways counted."""
    steps = np.diff(y)
    one_way = max(int((steps > 0).sum()), int((steps < 0).sum()))
    count = len(steps)
    return 2 * sum(math.comb(count, k) * _ONE_WAY**k * (1 - _ONE_WAY) ** (count - k) for k in range(one_way, count + 1))


def _inflation(residuals: FloatArray) -> float:
    """By how much autocorrelation multiplies the variance of a mean: (1+ρ)/(1-ρ), at least 1.

    ρ is that of the residuals' ranks, since a single outlier would hide it, and corrected for the bias that the
    estimate has where a line was taken off few points (Marriott and Pope, 1954).
    """
    count = len(residuals)
    ranks = np.argsort(np.argsort(residuals, kind="stable"), kind="stable") - (count - 1) / 2
    correlation = float(ranks[1:] @ ranks[:-1]) / float(ranks @ ranks)
    correlation = min(0.95, correlation + (2 + 4 * correlation) / count)
    return max(1.0, (1 + correlation) / (1 - correlation))


def _three_digits(value: float) -> str:
    """Three significant digits, and all of an integer part; no exponent for what a rank or a norm would be."""
    return f"{value:.0f}" if 100 <= abs(value) < 1e7 else f"{value:.3g}"
