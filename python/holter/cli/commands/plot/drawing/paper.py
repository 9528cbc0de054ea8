"""What charts are drawn on, the pieces that a line of text is made of, and the scales of the axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from holter.cli.text import value_text

if TYPE_CHECKING:
    from holter.plots import Chart
    from holter.plots.build.chart import FloatArray

__all__ = [
    "ALARM",
    "LABEL_LIMIT",
    "NONFINITE",
    "QUIET",
    "Paper",
    "Scale",
    "Segment",
    "as_numbers",
    "x_labels",
    "x_scale",
]

NONFINITE = "×"
ALARM, QUIET = "red", "dim"
LABEL_LIMIT = 60
LARGEST_EXPONENT = 308.0
"""Of a float, in round numbers: the room around a constant may reach beyond."""
MICROS_OF_A_DAY = 86_400e6


class Segment(NamedTuple):
    """A piece of a line of text, and rich's style for it."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Paper:
    """What is drawn on.

    Attributes:
        columns: Characters across.
        rows: Characters down, for the picture itself.
        is_coloured: Whether colours are seen.
        draws_boxes: Whether the frame may be of box drawing characters.
    """

    columns: int
    rows: int
    is_coloured: bool
    draws_boxes: bool


class Scale(NamedTuple):
    """What of an axis is shown; its ends are logarithms if the axis is logarithmic."""

    low: float
    high: float
    is_log: bool = False

    def places(self, values: Any, count: int) -> FloatArray:
        """Where values stand on an axis of `count` places, not yet rounded; NaN for what has no place."""
        with np.errstate(all="ignore"):
            scaled = np.log10(np.where(values > 0, values, np.nan)) if self.is_log else values
            # Halved, so that the range of all floats is no infinity.
            shares = (scaled / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        placed: FloatArray = shares * (count - 1)
        return placed

    def at(self, share: float) -> float:
        """The value at a share of the axis."""
        value = self.low * (1 - share) + self.high * share
        return 10.0 ** min(value, LARGEST_EXPONENT) if self.is_log else value


def as_numbers(x: Any) -> FloatArray:
    """Return x as floats: a date as its microseconds since the epoch."""
    if x.dtype.kind != "M":
        return np.asarray(x, np.float64)
    return np.where(np.isnat(x), np.nan, x.astype("datetime64[us]").astype(np.int64).astype(np.float64))


def x_scale(chart: Chart) -> Scale:
    """Return the scale on which everything of a chart has its place."""
    placed = [as_numbers(x) for line in chart.lines for x in (line.x, line.nonfinite.x)]
    if chart.heatmap is not None:
        placed.append(as_numbers(chart.heatmap.x))
    known = np.concatenate([np.empty(0), *placed])
    known = known[np.isfinite(known)]
    if not len(known):
        return Scale(0.0, 1.0)
    low, high = float(known.min()), float(known.max())
    return Scale(low, high if high > low else low + 1.0)


def x_labels(chart: Chart, scale: Scale, columns: int) -> str:
    """Return what stands below the axis: its two ends, and between them what it shows."""
    begin, end = _x_text(chart, scale.low, scale), _x_text(chart, scale.high, scale)
    room = columns - len(begin) - len(end)
    middle = chart.x_label if room >= len(chart.x_label) + 2 else ""
    return begin + middle.center(max(room, 1)) + end


def _x_text(chart: Chart, value: float, scale: Scale) -> str:
    if chart.x_label == "step":
        return f"{value:.0f}"  # a bucket is drawn in its middle, which need not be a step
    if chart.x_kind != "date":
        return value_text(value)
    time = np.datetime64(int(value), "us").astype("datetime64[s]").item()
    return f"{time:%H:%M:%S}" if scale.high - scale.low < MICROS_OF_A_DAY else f"{time:%Y-%m-%d %H:%M}"
