"""Smoothing in steps: a curve that does not change with the zoom, on steps as irregular as they come.

A half-life and a window are numbers of steps, not of points. So a series that was logged at every tenth step, or that
is read in buckets, is smoothed like the one it stands for. Points that are NaN or infinite are passed over; where
nothing finite has been seen the result is NaN.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from holter.analysis import _windows
from holter.analysis._points import FloatArray, IntArray, gaps, offsets, points

_MAX_OFFSET = (1 << 64) - 1
_STRETCHES_PER_PLACE = 8
"""How many times as many stretches as places a recurrence is laid out with; a stretch costs less than a place."""


@dataclass(frozen=True, slots=True, eq=False)
class Rolling:
    """Statistics of the finite values in the window that ends at each step.

    Attributes:
        means: Shape (n,), float64; NaN where the window holds no finite value, as in all of them.
        stds: Shape (n,), float64: the population standard deviation.
        minima: Shape (n,), float64.
        maxima: Shape (n,), float64.
        counts: Shape (n,), int64: how many finite values the window holds.
    """

    means: FloatArray
    stds: FloatArray
    minima: FloatArray
    maxima: FloatArray
    counts: IntArray


def ema(
    steps: npt.ArrayLike, values: npt.ArrayLike, half_life: float, *, counts: npt.ArrayLike | None = None
) -> FloatArray:
    """Return the exponential moving average at each step.

    At step t it is Σ c v 2^(-(t-s)/half_life) / Σ c 2^(-(t-s)/half_life) over the finite values v at steps s <= t with
    counts c. The denominator is what "bias-corrected" means: the first result is the first value.

    Buckets of w steps, smoothed with their means as values and their numbers of points as `counts`, give at the
    buckets' last steps what the points give there, but for the ages within a bucket being taken as equal. With
    q = 2^((w-1)/(2 half_life)) the two differ by at most (q-1)/(q+1) times the values' range: 5 % of it for w = 64 and
    a half-life of 224 steps. (No two averages whose weights' ratios lie within a factor of q² differ by more.)

    Args:
        steps: Shape (n,), integers, strictly ascending.
        values: Shape (n,). NaN and infinities are passed over: the result there is the average so far.
        half_life: After how many steps a value weighs half. 0 smooths nothing; infinity gives the mean so far.
        counts: Shape (n,): how many points each value stands for, 0 for none. All 1 if None.

    Returns:
        Shape (n,), float64; NaN before the first finite value.

    Raises:
        TypeError: If a step is not an integer.
        ValueError: If the shapes differ, the steps do not ascend, the half-life is negative or NaN, or a count is
            negative or not finite.
    """
    step_array, value_array = points(steps, values)
    if not half_life >= 0:
        raise ValueError(f"half_life must be a number of steps and at least 0, got {half_life}")
    weights = _weights(counts, len(value_array))
    used = np.isfinite(value_array) & (weights > 0)
    if used.all():
        return _averages(step_array, value_array, weights, half_life)
    averages = _averages(step_array[used], value_array[used], weights[used], half_life)
    latest = np.cumsum(used) - 1
    result = np.full(len(value_array), np.nan)
    result[latest >= 0] = averages[latest[latest >= 0]]
    return result


def rolling(steps: npt.ArrayLike, values: npt.ArrayLike, window: float) -> Rolling:
    """Return the statistics of the trailing window of steps (step - window, step] at each step.

    They equal `numpy.mean`, `std`, `min` and `max` of the window's finite values to rounding, whatever passed by
    before.

    Args:
        steps: Shape (n,), integers, strictly ascending.
        values: Shape (n,).
        window: How many steps the window covers, more than 0; infinity for all so far.

    Raises:
        TypeError: If a step is not an integer.
        ValueError: If the shapes differ, the steps do not ascend, or the window is not more than 0.
    """
    finite, lefts, rights = trailing(steps, values, window)
    with np.errstate(over="ignore", invalid="ignore"):
        means, stds = _windows.moments(finite, lefts, rights)
    minima, maxima = _windows.extremes(finite, lefts, rights)
    return Rolling(means, stds, minima, maxima, rights - lefts)


def trailing(steps: npt.ArrayLike, values: npt.ArrayLike, window: float) -> tuple[FloatArray, IntArray, IntArray]:
    """Return the finite values, and for each step which of them its trailing window holds, as [left, right).

    Raises:
        TypeError: If a step is not an integer.
        ValueError: As for `rolling`.
    """
    step_array, value_array = points(steps, values)
    if not window > 0:
        raise ValueError(f"window must be a number of steps and more than 0, got {window}")
    behind = np.uint64(_MAX_OFFSET if window >= _MAX_OFFSET else math.ceil(window) - 1)
    is_finite = np.isfinite(value_array)
    ends = offsets(step_array)
    starts = np.where(ends > behind, ends - behind, np.uint64(0))
    lefts = np.searchsorted(ends[is_finite], starts)
    rights = np.cumsum(is_finite)
    return value_array[is_finite], np.minimum(lefts, rights), rights


def _weights(counts: npt.ArrayLike | None, length: int) -> FloatArray:
    if counts is None:
        return np.ones(length)
    weights = np.asarray(counts, np.float64)
    if weights.shape != (length,):
        raise ValueError(f"counts must have one number for each of the {length} values, got shape {weights.shape}")
    if not np.all((weights >= 0) & (weights < np.inf)):
        raise ValueError("counts must be finite and at least 0")
    return weights


def _averages(steps: IntArray, values: FloatArray, weights: FloatArray, half_life: float) -> FloatArray:
    """The average at each step, of values that are all finite and weights above 0.

    The recurrence is that of the average itself, a mean of the last average and the value: sums of large values could
    overflow, and an average between two values stays between them.
    """
    if not len(steps):
        return np.zeros(0)
    kept = np.zeros(len(steps))
    with np.errstate(under="ignore"):
        decays = np.zeros(len(steps))
        if half_life > 0:
            np.exp2(gaps(steps) / -half_life, out=decays[1:])
        totals = _recurrence(decays, weights)
        np.multiply(decays[1:], totals[:-1] / totals[1:], out=kept[1:])
        return _recurrence(kept, values * (weights / totals))


def _recurrence(decays: FloatArray, inputs: FloatArray) -> FloatArray:
    """Return x with x[i] = decays[i] x[i-1] + inputs[i] and x[-1] = 0, as one would in a loop, in about √n numpy calls.

    The array is cut into stretches, which are run side by side from 0; then each is given what its predecessor ended
    with. Nothing is divided by a power of the decay, so nothing overflows, however long the series is.
    """
    length = len(inputs)
    width = math.isqrt(length // _STRETCHES_PER_PLACE) + 1
    stretches = -(-length // width)
    x, decay = np.zeros((2, width, stretches))
    for table, array in ((x, inputs), (decay, decays)):
        whole = length // width
        table[:, :whole] = array[: whole * width].reshape(whole, width).T
        table[: length - whole * width, whole:] = array[whole * width :, np.newaxis]
    step = np.empty(stretches)
    for place in range(1, width):
        np.multiply(decay[place], x[place - 1], out=step)
        x[place] += step
        decay[place] *= decay[place - 1]
    carry = [0.0]
    for end, kept in zip(x[-1, :-1].tolist(), decay[-1, :-1].tolist(), strict=True):
        carry.append(end + kept * carry[-1])
    x += decay * carry
    return x.T.reshape(-1)[:length]
