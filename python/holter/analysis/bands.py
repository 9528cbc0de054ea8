"""Bands: center and spread of a group of series, or of one series around its smoothed curve.

A group is, for example, the layers of a family or the runs of one setting. At each step only the members with a finite
value count; nothing is interpolated. Center and borders equal what numpy computes from these values:

    std       mean, mean - std, mean + std         population standard deviation
    quantile  median and two quantiles             numpy's linear method
    minmax    mean, minimum, maximum
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from holter.analysis import _windows
from holter.analysis._points import BoolArray, FloatArray, IntArray, points
from holter.analysis.smoothing import trailing

BandKind: TypeAlias = Literal["std", "quantile", "minmax"]

_CHUNK_VALUES = 1 << 22
"""Values per table: 32 MB, independent of the number of members."""
_MAX_SPARSITY = 8
"""The union of the steps is computed with a lookup table if there are at most this many steps per point."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Center and borders at each step.

    Attributes:
        steps: Shape (n,), int64, strictly ascending.
        centers: Shape (n,), float64; NaN, like the borders, if no member has a finite value.
        lowers: Shape (n,), float64.
        uppers: Shape (n,), float64.
        counts: Shape (n,), int64: members with a finite value at the step, or finite values in the window.
        kind: The definition of center and borders.
    """

    steps: IntArray
    centers: FloatArray
    lowers: FloatArray
    uppers: FloatArray
    counts: IntArray
    kind: BandKind


def across(
    members: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
    kind: BandKind = "std",
    *,
    quantiles: tuple[float, float] = (0.1, 0.9),
) -> Band:
    """Return the band over several series, such as the layers of a family or the runs of one setting.

    Args:
        members: Steps and values of each member: shape (n,), strictly ascending integer steps. The steps of members
            may differ.
        kind: The definition of center and borders.
        quantiles: The orders of the borders of a quantile band, between 0 and 1.

    Returns:
        The band at every step at which any member has a point. A step with only NaN or infinite values has count 0.

    Raises:
        TypeError: If a step is not an integer.
        ValueError: If steps and values differ in shape, steps do not ascend, or kind or quantiles are invalid.
    """
    _check(kind, quantiles)
    checked = [points(*member) for member in members]
    if len(checked) > 1 and all(np.array_equal(member_steps, checked[0][0]) for member_steps, _ in checked[1:]):
        return _across_aligned(checked[0][0], [values for _, values in checked], kind, quantiles)
    steps, all_positions = _union([member_steps for member_steps, _ in checked])
    placed = [_placed(*member) for member in zip(all_positions, (values for _, values in checked), strict=True)]
    counts = np.zeros(len(steps), np.int64)
    for positions, _ in placed:
        counts[positions] += 1
    with np.errstate(over="ignore", invalid="ignore"):
        if kind == "quantile":
            return Band(steps, *_quantiles_across(placed, counts, quantiles), counts, kind)
        means = _means_across(placed, counts)
        if kind == "std":
            stds = _stds_across(placed, counts, means)
            return Band(steps, means, means - stds, means + stds, counts, kind)
    return Band(steps, means, *_extremes_across(placed, counts), counts, kind)


def over_window(
    steps: npt.ArrayLike,
    values: npt.ArrayLike,
    window: float,
    kind: BandKind = "std",
    *,
    quantiles: tuple[float, float] = (0.1, 0.9),
) -> Band:
    """Return the band of one series around its smoothed curve, over the trailing window (step - window, step].

    Args:
        steps: Shape (n,), integers, strictly ascending.
        values: Shape (n,); NaN and infinities are ignored.
        window: The length of the window in steps, more than 0.
        kind: The definition of center and borders.
        quantiles: The orders of the borders of a quantile band, between 0 and 1.

    Raises:
        TypeError: If a step is not an integer.
        ValueError: If steps and values differ in shape, steps do not ascend, or window, kind or quantiles are invalid.
    """
    _check(kind, quantiles)
    finite, lefts, rights = trailing(steps, values, window)
    own_steps = np.asarray(steps, np.int64)
    counts = rights - lefts
    with np.errstate(over="ignore", invalid="ignore"):
        if kind == "quantile":
            lowers, medians, uppers = _windows.quantiles(finite, lefts, rights, (quantiles[0], 0.5, quantiles[1]))
            return Band(own_steps, medians, lowers, uppers, counts, kind)
        means, stds = _windows.moments(finite, lefts, rights)
        if kind == "std":
            return Band(own_steps, means, means - stds, means + stds, counts, kind)
    return Band(own_steps, means, *_windows.extremes(finite, lefts, rights), counts, kind)


_Placed: TypeAlias = tuple[IntArray, FloatArray]
"""Positions of a member's finite values in the band's steps, and these values."""


def _check(kind: str, quantiles: tuple[float, float]) -> None:
    if kind not in get_args(BandKind):
        raise ValueError(f"kind must be one of {', '.join(get_args(BandKind))}, got {kind!r}")
    lower, upper = quantiles
    if not 0 <= lower <= upper <= 1:
        raise ValueError(f"quantiles must be two ascending numbers between 0 and 1, got {quantiles}")


def _across_aligned(
    steps: IntArray, all_values: list[FloatArray], kind: BandKind, quantiles: tuple[float, float]
) -> Band:
    """The band over members with identical steps, which most families have; one table per chunk of steps."""
    columns, counts = np.empty((3, len(steps))), np.empty(len(steps), np.int64)
    width = max(1, _CHUNK_VALUES // len(all_values))
    for start in range(0, len(steps), width):
        chunk = slice(start, start + width)
        table = np.array([values[chunk] for values in all_values])
        is_finite = np.isfinite(table)
        counts[chunk] = is_finite.sum(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            columns[:, chunk] = _columns_of_table(table, is_finite, counts[chunk], kind, quantiles)
    centers, lowers, uppers = columns
    return Band(steps, centers, lowers, uppers, counts, kind)


def _columns_of_table(
    table: FloatArray, is_finite: BoolArray, counts: IntArray, kind: BandKind, quantiles: tuple[float, float]
) -> tuple[FloatArray, FloatArray, FloatArray] | FloatArray:
    """Center and borders of each column of a table with one row per member."""
    if kind == "quantile":
        return _sorted_quantiles(np.where(is_finite, table, np.inf).T.copy(), counts, quantiles)
    means = _divided(table.sum(axis=0, where=is_finite), counts)
    if kind == "std":
        stds = np.sqrt(_divided(((table - means) ** 2).sum(axis=0, where=is_finite), counts))
        return means, means - stds, means + stds
    finite = np.where(is_finite, table, np.nan)
    return means, np.fmin.reduce(finite, axis=0, initial=np.nan), np.fmax.reduce(finite, axis=0, initial=np.nan)


def _sorted_quantiles(table: FloatArray, counts: IntArray, orders: tuple[float, float]) -> FloatArray:
    """Median and quantiles of each row, shape (3, n). Sorts the table; cells without a value must be infinite."""
    found = np.full((3, len(counts)), np.nan)
    table.sort(axis=1)
    rows = np.flatnonzero(counts)
    lower, upper, weights = _windows.places(counts[rows], (0.5, *orders))
    found[:, rows] = _windows.between(table[rows, lower], table[rows, upper], weights)
    return found


def _union(all_steps: list[IntArray]) -> tuple[IntArray, list[IntArray]]:
    """The sorted union of the members' steps, and the positions of each member's steps in it."""
    filled = [steps for steps in all_steps if len(steps)]
    if not filled:
        return np.empty(0, np.int64), [np.empty(0, np.int64) for _ in all_steps]
    first, last = min(int(steps[0]) for steps in filled), max(int(steps[-1]) for steps in filled)
    if last - first < _MAX_SPARSITY * sum(map(len, filled)):  # a lookup is several times faster than a binary search
        is_present = np.zeros(last - first + 1, np.bool_)
        for steps in filled:
            is_present[steps - first] = True
        places = np.cumsum(is_present) - 1
        return np.flatnonzero(is_present) + first, [places[steps - first] for steps in all_steps]
    union = np.unique(np.concatenate(filled))
    return union, [np.searchsorted(union, steps) for steps in all_steps]


def _placed(positions: IntArray, values: FloatArray) -> _Placed:
    is_finite = np.isfinite(values)
    return (positions, values) if is_finite.all() else (positions[is_finite], values[is_finite])


def _means_across(placed: list[_Placed], counts: IntArray) -> FloatArray:
    sums = np.zeros(len(counts))
    for positions, values in placed:
        sums[positions] += values
    return _divided(sums, counts)


def _stds_across(placed: list[_Placed], counts: IntArray, means: FloatArray) -> FloatArray:
    squares = np.zeros(len(counts))
    for positions, values in placed:
        squares[positions] += (values - means[positions]) ** 2
    return np.sqrt(_divided(squares, counts))


def _extremes_across(placed: list[_Placed], counts: IntArray) -> tuple[FloatArray, FloatArray]:
    minima = np.full(len(counts), np.nan)
    maxima = np.full(len(counts), np.nan)
    for positions, values in placed:
        minima[positions] = np.fmin(minima[positions], values)
        maxima[positions] = np.fmax(maxima[positions], values)
    return minima, maxima


def _quantiles_across(
    placed: list[_Placed], counts: IntArray, orders: tuple[float, float]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Medians, lower and upper quantiles, computed in chunks of steps."""
    found = np.full((3, len(counts)), np.nan)
    width = max(1, _CHUNK_VALUES // max(1, len(placed)))
    for start in range(0, len(counts), width):
        chunk = slice(start, start + width)
        table = np.full((len(counts[chunk]), len(placed)), np.inf)  # absent values sort last
        for column, (positions, values) in enumerate(placed):
            first, end = np.searchsorted(positions, (start, start + width))
            table[positions[first:end] - start, column] = values[first:end]
        found[:, chunk] = _sorted_quantiles(table, counts[chunk], orders)
    medians, lowers, uppers = found
    return medians, lowers, uppers


def _divided(sums: FloatArray, counts: IntArray) -> FloatArray:
    quotients = np.full(len(sums), np.nan)
    np.divide(sums, counts, out=quotients, where=counts > 0)
    return quotients
