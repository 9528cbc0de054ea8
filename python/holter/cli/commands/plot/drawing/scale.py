"""The scales of the axes, and the labels below the horizontal one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from holter.cli.text import value_text

if TYPE_CHECKING:
    from holter.plots import Chart
    from holter.plots.build.chart import FloatArray

__all__ = ["Scale", "as_numbers", "x_labels", "x_scale"]

MAX_EXPONENT = 308.0
"""Of a float, rounded: the margin around a constant may exceed it."""
MICROS_PER_DAY = 86_400e6


class Scale(NamedTuple):
    """The visible range of an axis, as logarithms if the axis is logarithmic."""

    low: float
    high: float
    is_log: bool = False

    def places(self, values: Any, count: int) -> FloatArray:
        """Return the positions of values on an axis of `count` places, unrounded; NaN for values without one."""
        with np.errstate(all="ignore"):
            scaled = np.log10(np.where(values > 0, values, np.nan)) if self.is_log else values
            # Halved, so that the range of all floats does not overflow.
            shares = (scaled / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        placed: FloatArray = shares * (count - 1)
        return placed

    def at(self, share: float) -> float:
        """Return the value at a share of the axis."""
        value = self.low * (1 - share) + self.high * share
        return 10.0 ** min(value, MAX_EXPONENT) if self.is_log else value


def as_numbers(x: Any) -> FloatArray:
    """Return x as floats: dates as microseconds since the epoch."""
    if x.dtype.kind != "M":
        return np.asarray(x, np.float64)
    return np.where(np.isnat(x), np.nan, x.astype("datetime64[us]").astype(np.int64).astype(np.float64))


def x_scale(chart: Chart) -> Scale:
    """Return the scale that covers all x of a chart."""
    arrays = [as_numbers(x) for line in chart.lines for x in (line.x, line.nonfinite.x)]
    if chart.heatmap is not None:
        arrays.append(as_numbers(chart.heatmap.x))
    values = np.concatenate([np.empty(0), *arrays])
    values = values[np.isfinite(values)]
    if not len(values):
        return Scale(0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    return Scale(low, high if high > low else low + 1.0)


def x_labels(chart: Chart, scale: Scale, columns: int) -> str:
    """Return the line below the axis: its two ends, and between them its label if there is room."""
    first, last = _x_text(chart, scale.low, scale), _x_text(chart, scale.high, scale)
    room = columns - len(first) - len(last)
    middle = chart.x_label if room >= len(chart.x_label) + 2 else ""
    return first + middle.center(max(room, 1)) + last


def _x_text(chart: Chart, value: float, scale: Scale) -> str:
    if chart.x_label == "step":
        return f"{value:.0f}"  # a bucket is drawn at its center, which may be fractional
    if chart.x_kind != "date":
        return value_text(value)
    time = np.datetime64(int(value), "us").astype("datetime64[s]").item()
    return f"{time:%H:%M:%S}" if scale.high - scale.low < MICROS_PER_DAY else f"{time:%Y-%m-%d %H:%M}"
