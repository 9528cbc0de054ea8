"""Lines and bands in a frame: braille, the scale on the left, steps below, non-finite values on the bottom line."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from holter.cli.commands.plot.drawing.braille import BrailleGrid
from holter.cli.commands.plot.drawing.canvas import ALARM, MIN_COLUMNS, NONFINITE, QUIET, Canvas, Segment
from holter.cli.commands.plot.drawing.scale import Scale, as_numbers, x_labels, x_scale
from holter.cli.text import value_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holter.plots import Chart, Line
    from holter.plots.build.chart import FloatArray

__all__ = ["draw_frame", "y_scale"]

NUM_Y_LABELS = 4
DASH_DOTS = 3


def y_scale(chart: Chart) -> Scale:
    """Return the scale that covers all lines of a chart, with a margin around a constant."""
    low, high = math.inf, -math.inf
    if chart.y_range is not None:
        low, high = chart.y_range
    else:
        for column in itertools.chain.from_iterable(line.columns for line in chart.lines):
            shown = column[np.isfinite(column) & ((column > 0) | (not chart.log_y))]
            if len(shown):
                low, high = min(low, float(shown.min())), max(high, float(shown.max()))
    if low > high:
        low = high = 1.0
    if chart.log_y:
        low, high = math.log10(low), math.log10(high)
    if low == high:
        margin = abs(low) / 10 or 1.0
        low, high = low - margin, high + margin
    return Scale(low, high, chart.log_y)


def draw_frame(chart: Chart, lines: Sequence[Line], canvas: Canvas) -> Iterator[list[Segment]]:
    """Return the frame with these lines of the chart."""
    ys, xs = y_scale(chart), x_scale(chart)
    shares = np.linspace(0.0, 1.0, min(NUM_Y_LABELS, canvas.rows)).tolist()
    labels = {round((canvas.rows - 1) * (1 - share)): value_text(ys.at(share)) for share in shares}
    margin = max(map(len, labels.values()))
    grid = BrailleGrid(max(canvas.columns - margin - 2, MIN_COLUMNS), canvas.rows)
    for mark in chart.marks:
        _draw_mark(grid, float(xs.places(as_numbers(np.asarray([mark.x])), grid.width)[0]))
    for line in lines:
        _draw_line(grid, line, xs, ys)
    side, corner, rule = ("│", "└", "─") if canvas.has_boxes else ("|", "+", "-")
    for row in range(canvas.rows):
        cells = [Segment(*grid.character(row, column)) for column in range(grid.columns)]
        yield [Segment(f"{labels.get(row, ''):>{margin}} {side}", QUIET), *_joined(cells)]
    bottom = [Segment(rule, QUIET)] * grid.columns
    for line in lines:
        for place in xs.places(as_numbers(line.nonfinite.x), grid.columns).tolist():
            if math.isfinite(place) and 0 <= round(place) < grid.columns:
                bottom[round(place)] = Segment(NONFINITE, ALARM)
    yield [Segment(" " * margin + f" {corner}", QUIET), *_joined(bottom)]
    yield [Segment(" " * (margin + 2) + x_labels(chart, xs, grid.columns), QUIET)]


def _joined(cells: list[Segment]) -> list[Segment]:
    """Adjacent segments of the same style as one."""
    groups = itertools.groupby(cells, key=lambda cell: cell.style)
    return [Segment("".join(cell.text for cell in group), style) for style, group in groups]


def _draw_mark(grid: BrailleGrid, place: float) -> None:
    if math.isfinite(place):
        for y in range(0, grid.height, DASH_DOTS):
            grid.dot(round(place), y, QUIET)


def _draw_line(grid: BrailleGrid, line: Line, xs: Scale, ys: Scale) -> None:
    x = xs.places(as_numbers(line.x), grid.width)

    def down(values: FloatArray) -> FloatArray:
        return grid.height - 1 - ys.places(values, grid.height)

    color = str(line.color)
    if line.ribbon is not None:
        _draw_ribbon(grid, x, down(line.ribbon[1]), down(line.ribbon[0]), f"dim {color}")
    style = f"dim {color}" if line.is_faint else color
    before: tuple[int, int] | None = None
    for place, height in zip(x.tolist(), down(line.y).tolist(), strict=True):
        here = (round(place), round(height)) if math.isfinite(place) and math.isfinite(height) else None
        if here is not None:
            grid.line(before or here, here, style)  # a single point between gaps is a dot
        before = here


def _draw_ribbon(grid: BrailleGrid, x: FloatArray, tops: FloatArray, bottoms: FloatArray, style: str) -> None:
    """Every second dot between the edges, so that the line in the middle stands out; a gap stays empty."""
    is_known = np.isfinite(x) & np.isfinite(tops) & np.isfinite(bottoms)
    for index in np.flatnonzero(is_known).tolist():
        first = x[index]
        following = index + 1 if index + 1 < len(x) and is_known[index + 1] else index
        columns = np.arange(round(first), max(round(x[following]), round(first) + 1))
        span = [first, x[following]] if following != index and x[following] > first else [first, first + 1.0]
        top_at = np.interp(columns, span, [tops[index], tops[following]])
        bottom_at = np.interp(columns, span, [bottoms[index], bottoms[following]])
        for column, top, bottom in zip(columns.tolist(), top_at.tolist(), bottom_at.tolist(), strict=True):
            for y in range(max(round(top), 0), min(round(bottom), grid.height - 1) + 1):
                if (column + y) % 2 == 0:
                    grid.dot(column, y, style)
        # The extremes in any case, so that the pattern does not shorten a spike.
        grid.dot(round(first), round(tops[index]), style)
        grid.dot(round(first), round(bottoms[index]), style)
