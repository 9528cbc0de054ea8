"""Preprocessing for the search for changes: a short series without spikes, in units of its own noise.

A long series is replaced by the medians of stretches of equal counts. A series whose maximum exceeds ten times its
median and whose minimum exceeds a tenth of it, such as a perplexity, is replaced by its logarithm. The noise scale may
drift over the run, so it is a smooth function of the position, estimated from the differences of neighboring values,
which a level, a slope and a smooth decay hardly affect.
"""

from dataclasses import dataclass

import numpy as np

from holter.analysis._points import FloatArray, IntArray, median, stretch_medians

MAX_PLACES = 200
"""Maximum number of values of a curve; the search takes time proportional to its square."""
_LOG_RATIO = 10
_MAD_TO_STD = 1.4826
_SPIKE = 4
"""Values are clipped to this many noise scales around the running median of five."""
_FLOOR = 1e-3
"""Minimum noise scale as a share of the curve's range, since smooth curves without noise exist."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The preprocessed curve; `values[i]` represents the points `bounds[i]` to `bounds[i + 1]`.

    Attributes:
        times: Shape (n,), float64: position in the run, from 0 to 1, linear in steps.
        values: Shape (n,), float64, in units of the noise scale.
        sizes: Shape (n,), float64: the noise scale, in units of the curve.
        floor: The share of the noise variance that `_FLOOR` adds, from 0 to 1.
        bounds: Shape (n + 1,), int64: positions in the finite points of the series.
    """

    times: FloatArray
    values: FloatArray
    sizes: FloatArray
    floor: float
    bounds: IntArray


def curve(steps: IntArray, values: FloatArray) -> Curve | None:
    """Return the preprocessed series; None if all values are equal. All values must be finite."""
    bounds = np.linspace(0, len(values), min(len(values), MAX_PLACES) + 1).astype(np.int64)
    medians = stretch_medians(values, bounds)
    lowest, highest = float(medians.min()), float(medians.max())
    if lowest == highest:
        return None
    middle = median(medians)
    if lowest > middle / _LOG_RATIO > 0 and highest / _LOG_RATIO > middle:
        medians = np.log(medians)
    else:  # scaled to about 1, so that neither squares nor differences overflow
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
    """Return the median of each value and `reach` neighbors on either side, with the end values repeated."""
    padded = np.pad(values, reach, mode="edge")
    median: FloatArray = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=1)
    return median


def _noise_sizes(values: FloatArray, floor: float) -> FloatArray:
    """The noise's standard deviation at each position plus `floor`.

    Comes from a smooth fit to the logarithm of the differences of neighboring values.
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
