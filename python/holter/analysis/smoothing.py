"""Smoothing in steps: independent of the zoom level and of the spacing of the steps.

Half-lives and windows are numbers of steps, not of points. A series that was logged at every tenth step, or is read in
buckets, is therefore smoothed like the full series. NaN and infinite points are ignored; before the first finite value
the result is NaN.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from holter.analysis import _windows
from holter.analysis._points import FloatArray, IntArray, gaps, offsets, points

_MAX_OFFSET = (1 << 64) - 1
_STRETCHES_PER_PLACE = 8
"""The ratio of stretches to places per stretch in the layout of a recurrence; a stretch costs less than a place."""


@dataclass(frozen=True, slots=True, eq=False)
class Rolling:
    """Statistics of the finite values in the window that ends at each step; NaN for a window without any.

    Attributes:
        means: Shape (n,), float64.
        stds: Shape (n,), float64: population standard deviations.
        minima: Shape (n,), float64.
        maxima: Shape (n,), float64.
        counts: Shape (n,), int64: number of finite values in the window.
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
    counts c. The denominator corrects the bias: the first result is the first value.

    To smooth buckets of w steps, pass their means as values, their last steps as steps and their numbers of points as
    `counts`. The result approximates that of the points, since it treats all points of a bucket as equally old: with
    q = 2^((w-1)/(2 half_life)) the two differ by at most (q-1)/(q+1) times the range of the values, 5 % for w = 64 and
    a half-life of 224 steps. (Two averages whose weights differ by at most a factor of q² cannot differ by more.)

    Args:
        steps: Shape (n,), integers, strictly ascending.
        values: Shape (n,). NaN and infinities are ignored: the result there is the average so far.
        half_life: The number of steps after which a weight halves. 0 disables smoothing; infinity is the mean so far.
        counts: Shape (n,): the number of points that each value represents. All 1 if None.

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

    They equal `numpy.mean`, `std`, `min` and `max` of the window's finite values up to rounding; values before the
    window have no influence.

    Args:
        steps: Shape (n,), integers, strictly ascending.
        values: Shape (n,).
        window: The length of the window in steps, more than 0; infinity for all steps so far.

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
    """Return the finite values, and the range [left, right) of them in the trailing window of each step.

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
        raise ValueError(f"counts must have one number per value, shape ({length},), got shape {weights.shape}")
    if not np.all((weights >= 0) & (weights < np.inf)):
        raise ValueError("counts must be finite and at least 0")
    return weights


def _averages(steps: IntArray, values: FloatArray, weights: FloatArray, half_life: float) -> FloatArray:
    """The average at each step, for finite values and positive weights.

    The recurrence is that of the average, a weighted mean of the previous average and the value: unlike sums of large
    values, it cannot overflow, and the average stays within the range of the values.
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
    """Return x with x[i] = decays[i] x[i-1] + inputs[i] and x[-1] = 0, in about √n numpy calls.

    Computes stretches of the array in parallel, each from 0, then adds the decayed end of the previous stretch. It
    never divides by a power of the decay, so series of any length do not overflow.
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
