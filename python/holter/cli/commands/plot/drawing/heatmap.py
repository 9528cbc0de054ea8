"""A heatmap: a line of cells for each series, with the last layer on top as in all of Holter's heatmaps."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from holter._text import shortened, visible
from holter.cli.commands.plot.drawing.canvas import ALARM, LABEL_LIMIT, MIN_COLUMNS, NONFINITE, QUIET, Canvas, Segment
from holter.cli.commands.plot.drawing.scale import Scale, as_numbers, x_labels, x_scale
from holter.cli.text import value_text
from holter.plots.build.palette import resolved, theme_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holter.plots import Chart, Heatmap
    from holter.plots.build.chart import FloatArray

__all__ = ["draw_heatmap"]

SHADES = " .:-=+*#%@"


def draw_heatmap(chart: Chart, heatmap: Heatmap, canvas: Canvas) -> Iterator[list[Segment]]:
    """Return the rows of a heatmap, the labels of its steps, and the legend of its colors or shades."""
    labels = [shortened(visible(label), LABEL_LIMIT) for label in heatmap.row_labels]
    margin = max(map(len, labels), default=0)
    columns = max(canvas.columns - margin - 2, MIN_COLUMNS)
    xs = x_scale(chart)
    places = xs.places(as_numbers(heatmap.x), columns)
    shown = _nearest(places, columns)
    for row in reversed(range(len(labels))):
        shares = _shades(heatmap).places(heatmap.values[row], 2)
        cells = [Segment(" ") if index < 0 else _cell(float(shares[index]), canvas) for index in shown]
        for place in places[heatmap.is_nonfinite[row]].tolist():
            cells[round(place)] = Segment(NONFINITE, ALARM)
        groups = itertools.groupby(cells, key=lambda cell: cell.style)
        joined = [Segment("".join(cell.text for cell in group), style) for style, group in groups]
        edge = "  " if canvas.has_color else " |"
        yield [Segment(f"{labels[row]:>{margin}}{edge}", QUIET), *joined]
    yield [Segment(" " * (margin + 2) + x_labels(chart, xs, columns), QUIET)]
    low, high = _cell(0.0, canvas), _cell(1.0, canvas)
    yield [
        Segment(" " * (margin + 2)),
        Segment(f"'{low.text}'" if not canvas.has_color else low.text, low.style),
        Segment(f" {value_text(heatmap.low)}    "),
        Segment(f"'{high.text}'" if not canvas.has_color else high.text, high.style),
        Segment(f" {value_text(heatmap.high)}"),
    ]


def _nearest(places: FloatArray, columns: int) -> list[int]:
    """The nearest column of the heatmap for each character; -1 if it is farther than columns usually are apart."""
    if not len(places):
        return [-1] * columns
    reach = max(0.5, 0.75 * float(np.median(np.diff(places)))) if len(places) > 1 else 0.5
    characters = np.arange(columns, dtype=np.float64)
    after = np.searchsorted(places, characters).clip(max=len(places) - 1)
    before = (after - 1).clip(min=0)
    nearest = np.where(abs(places[before] - characters) <= abs(places[after] - characters), before, after)
    found: list[int] = np.where(abs(places[nearest] - characters) <= reach, nearest, -1).tolist()
    return found


def _shades(heatmap: Heatmap) -> Scale:
    low, high, is_log = heatmap.low, heatmap.high, heatmap.is_log and heatmap.low > 0
    if is_log:
        low, high = math.log10(low), math.log10(high)
    return Scale(low, high if high > low else low + 1.0, is_log)


def _cell(share: float, canvas: Canvas) -> Segment:
    if math.isnan(share):
        return Segment(" ")
    share = min(max(share, 0.0), 1.0)
    if canvas.has_color:
        return Segment(" ", f"on {resolved(share, theme_named('dark'))}")
    return Segment(SHADES[min(int(share * len(SHADES)), len(SHADES) - 1)])
