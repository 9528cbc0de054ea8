"""Statistics of many windows of one array at once, in time independent of the window lengths.

A window is a range of positions [left, right). No statistic is a difference of running sums, which loses precision
after a large value: means and squares are merged from blocks of 2, 4, 8, ... values, extremes come from two blocks that
cover the window, and the k-th smallest value is located bit by bit of its rank.
"""

from collections.abc import Sequence

import numpy as np

from holter.analysis._points import FloatArray, IntArray


def moments(values: FloatArray, lefts: IntArray, rights: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean and the population standard deviation of each window; NaN for an empty one.

    Blocks are merged as in Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979), formula 2.1.
    """
    lengths = rights - lefts
    means = np.zeros(len(lengths))
    squares = np.zeros(len(lengths))
    merged = np.zeros(len(lengths), np.int64)
    block_means, block_squares = values, np.zeros(len(values))
    for level in range(_bits(lengths)):
        size = 1 << level
        chosen = np.flatnonzero(lengths & size)
        count = merged[chosen]
        begin = lefts[chosen] + count
        delta = block_means[begin] - means[chosen]
        share = size / (count + size)
        means[chosen] += delta * share
        squares[chosen] += block_squares[begin] + delta * delta * (count * share)
        merged[chosen] += size
        first, second = block_means[:-size], block_means[size:]
        delta = second - first
        block_squares = block_squares[:-size] + block_squares[size:] + delta * delta * (size / 2)
        block_means = 0.5 * first + 0.5 * second
    empty = lengths == 0
    means[empty] = np.nan
    stds = np.sqrt(squares / np.maximum(lengths, 1))
    stds[empty] = np.nan
    return means, stds


def extremes(values: FloatArray, lefts: IntArray, rights: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the smallest and the largest value of each window; NaN for an empty one."""
    lengths = rights - lefts
    minima = np.full(len(lengths), np.nan)
    maxima = np.full(len(lengths), np.nan)
    block_minima = block_maxima = values
    for level in range(_bits(lengths)):
        size = 1 << level
        chosen = np.flatnonzero((lengths >> level) == 1)
        begin, end = lefts[chosen], rights[chosen] - size
        minima[chosen] = np.minimum(block_minima[begin], block_minima[end])
        maxima[chosen] = np.maximum(block_maxima[begin], block_maxima[end])
        block_minima = np.minimum(block_minima[:-size], block_minima[size:])
        block_maxima = np.maximum(block_maxima[:-size], block_maxima[size:])
    return minima, maxima


def quantiles(values: FloatArray, lefts: IntArray, rights: IntArray, orders: Sequence[float]) -> FloatArray:
    """Return the quantiles of each window by numpy's linear method, shape (orders, windows); NaN for an empty one."""
    lengths = rights - lefts
    filled = np.flatnonzero(lengths)
    found = np.full((len(orders), len(lengths)), np.nan)
    lower, upper, weights = places(lengths[filled], orders)
    both = np.concatenate([lower, upper])
    smaller, larger = np.split(_smallest(values, lefts[filled], rights[filled], both), 2)
    found[:, filled] = between(smaller, larger, weights)
    return found


def places(counts: IntArray, orders: Sequence[float]) -> tuple[IntArray, IntArray, FloatArray]:
    """Return the indices of the two sorted values around each quantile, and its position between them from 0 to 1.

    Args:
        counts: Shape (windows,): the number of values of each window, at least 1.
        orders: The orders of the quantiles.

    Returns:
        Three arrays of shape (orders, windows).
    """
    exact = np.multiply.outer(np.asarray(orders, np.float64), counts - 1)
    lower = np.floor(exact).astype(np.int64)
    return lower, np.minimum(lower + 1, counts - 1), exact - lower


def between(smaller: FloatArray, larger: FloatArray, weights: FloatArray) -> FloatArray:
    """Interpolate linearly between two values, computed from the nearer one, as `numpy.quantile` does."""
    way = larger - smaller
    return np.where(weights < 0.5, smaller + way * weights, larger - way * (1 - weights))


def _smallest(values: FloatArray, lefts: IntArray, rights: IntArray, ranks: IntArray) -> FloatArray:
    """Return the value of each rank (0 is the smallest) in each window; `ranks` has shape (any, windows).

    Uses a wavelet matrix (Claude and Navarro, 2012), one level in memory at a time: at each bit, from the highest, the
    values without the bit precede those with it, and a window is a range in one of the two groups.
    """
    order = np.argsort(values, kind="stable")
    level = np.empty(len(values), np.int64)
    level[order] = np.arange(len(values))
    found = np.zeros(ranks.shape, np.int64)
    left, right = np.broadcast_to(lefts, ranks.shape), np.broadcast_to(rights, ranks.shape)
    for bit in reversed(range(_bits(level))):
        has_bit = (level >> bit & 1).astype(np.bool_)
        without_before = np.concatenate([[0], np.cumsum(~has_bit)])
        left_without, right_without = without_before[left], without_before[right]
        is_set = ranks >= right_without - left_without
        found += is_set.astype(np.int64) << bit
        ranks = np.where(is_set, ranks - (right_without - left_without), ranks)
        left = np.where(is_set, without_before[-1] + left - left_without, left_without)
        right = np.where(is_set, without_before[-1] + right - right_without, right_without)
        level = np.concatenate([level[~has_bit], level[has_bit]])
    return values[order[found]]


def _bits(numbers: IntArray) -> int:
    return int(numbers.max()).bit_length() if len(numbers) else 0
