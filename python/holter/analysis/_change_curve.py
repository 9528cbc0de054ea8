"""A series made ready for the search for changes: short, without spikes, in units of its own noise.

A long series is cut into stretches of equal counts, whose medians stand for it. A series that was once ten times what
it mostly is, and never a tenth of it, such as a perplexity, is looked at through its logarithm. The noise's size may
drift over the run, so it is a smooth function of the place, estimated from the differences of neighbors: a level, a
slope and a smooth decay hardly change these.
"""

from dataclasses import dataclass

import numpy as np

from holter.analysis._points import FloatArray, IntArray, median, stretch_medians

MAX_PLACES = 200
"""A series is shortened to at most so many values; all that follows takes time by their square."""
_LOG_RATIO = 10
_MAD_TO_STD = 1.4826
_SPIKE = 4
"""Values further than so many sizes of the noise from the running median of five are cut off there."""
_FLOOR = 1e-3
"""What is less than this part of the curve's range counts as noise: smooth curves without any exist."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What is searched: `values[i]` stands for the points `bounds[i]` to `bounds[i + 1]`.

    Attributes:
        times: Shape (n,), float64: where on the run, from 0 to 1 in steps.
        values: Shape (n,), float64: in units of the noise's size.
        sizes: Shape (n,), float64: the noise's size, in units of the curve.
        floor: The part of the noise's variance that is not the curve's but ours, from 0 to 1.
        bounds: Shape (n + 1,), int64: positions in the finite points of the series.
    """

    times: FloatArray
    values: FloatArray
    sizes: FloatArray
    floor: float
    bounds: IntArray


def curve(steps: IntArray, values: FloatArray) -> Curve | None:
    """Return the series made ready; None if all its values are equal. All of them must be finite."""
    bounds = np.linspace(0, len(values), min(len(values), MAX_PLACES) + 1).astype(np.int64)
    medians = stretch_medians(values, bounds)
    lowest, highest = float(medians.min()), float(medians.max())
    if lowest == highest:
        return None
    middle = median(medians)
    if lowest > middle / _LOG_RATIO > 0 and highest / _LOG_RATIO > middle:
        medians = np.log(medians)
    else:  # brought near 1, so that neither squares nor differences overflow
        medians = medians / max(abs(lowest), abs(highest))
    low, high = np.quantile(medians, (0.05, 0.95))
    floor = _FLOOR * (high - low) + np.finfo(np.float64).tiny
    sizes = _noise_sizes(medians, floor)
    smooth = running_median(medians, 2)
    medians = smooth + np.clip(medians - smooth, -_SPIKE * sizes, _SPIKE * sizes)
    middles = (steps[(bounds[:-1] + bounds[1:]) // 2]).astype(np.float64)
    times = (middles - middles[0]) / (middles[-1] - middles[0])
    return Curve(times, medians / sizes, sizes, float(np.mean((floor / sizes) ** 2)), bounds)


def running_median(values: FloatArray, reach: int) -> FloatArray:
    """Return the median of each value and `reach` neighbors on either side; the ends are repeated."""
    padded = np.pad(values, reach, mode="edge")
    median: FloatArray = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=1)
    return median


def _noise_sizes(values: FloatArray, floor: float) -> FloatArray:
    """The noise's standard deviation at each place, from a smooth fit to the logarithm of the neighbors' differences.

    `floor` is added to it.
    """
    count = len(values)
    differences = np.diff(values)
    deviations = np.abs(differences - running_median(differences, max(5, count // 16)))
    typical = float(np.median(deviations))
    times = (np.arange(count - 1) + 0.5) / count
    terms = [np.ones(count - 1), times]
    if count >= 120:
        terms += [times**2, np.exp(-20 * times)]
    design = np.stack(terms, axis=1)
    logs = np.log(np.maximum(deviations, max(0.05 * typical, 0.1 * floor)))
    fitted = design @ np.linalg.lstsq(design, logs, rcond=None)[0]
    drift = np.exp(np.clip(fitted - np.median(fitted), -3, 3))
    sizes: FloatArray = np.append(drift, drift[-1:]) * (_MAD_TO_STD / np.sqrt(2) * typical) + floor
    return sizes
