"""Lines and bands in a frame: braille inside, the scale on the left, steps below, what is not finite on the floor."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from holter.cli.commands.plot.drawing.canvas import Canvas
from holter.cli.commands.plot.drawing.paper import (
    ALARM,
    NONFINITE,
    QUIET,
    Paper,
    Scale,
    Segment,
    as_numbers,
    x_labels,
    x_scale,
)
from holter.cli.text import value_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holter.plots import Chart, Line
    from holter.plots.build.chart import FloatArray

__all__ = ["draw_frame", "y_scale"]

NUM_Y_LABELS = 4
LEAST_COLUMNS = 16
DASH_DOTS = 3


def y_scale(chart: Chart) -> Scale:
    """Return the scale on which all lines of a chart have their place; a little room around a constant."""
    low, high = math.inf, -math.inf
    if chart.y_range is not None:
        low, high = chart.y_range
    else:
        for column in itertools.chain.from_iterable(line.columns for line in chart.lines):
            known = column[np.isfinite(column) & ((column > 0) | (not chart.log_y))]
            if len(known):
                low, high = min(low, float(known.min())), max(high, float(known.max()))
    if low > high:
        low = high = 1.0
    if chart.log_y:
        low, high = math.log10(low), math.log10(high)
    if low == high:
        room = abs(low) / 10 or 1.0
        low, high = low - room, high + room
    return Scale(low, high, chart.log_y)


def draw_frame(chart: Chart, lines: Sequence[Line], paper: Paper) -> Iterator[list[Segment]]:
    """Return the frame with some lines of a chart in it."""
    ys, xs = y_scale(chart), x_scale(chart)
    shares = np.linspace(0.0, 1.0, min(NUM_Y_LABELS, paper.rows)).tolist()
    labels = {round((paper.rows - 1) * (1 - share)): value_text(ys.at(share)) for share in shares}
    margin = max(map(len, labels.values()))
    canvas = Canvas(max(paper.columns - margin - 2, LEAST_COLUMNS), paper.rows)
    for mark in chart.marks:
        _draw_mark(canvas, float(xs.places(as_numbers(np.asarray([mark.x])), canvas.width)[0]))
    for line in lines:
        _draw_line(canvas, line, xs, ys)
    side, corner, floor = ("│", "└", "─") if paper.draws_boxes else ("|", "+", "-")
    for row in range(paper.rows):
        cells = [Segment(*canvas.character(row, column)) for column in range(canvas.columns)]
        yield [Segment(f"{labels.get(row, ''):>{margin}} {side}", QUIET), *_joined(cells)]
    ground = [Segment(floor, QUIET)] * canvas.columns
    for line in lines:
        for place in xs.places(as_numbers(line.nonfinite.x), canvas.columns).tolist():
            if math.isfinite(place) and 0 <= round(place) < canvas.columns:
                ground[round(place)] = Segment(NONFINITE, ALARM)
    yield [Segment(" " * margin + f" {corner}", QUIET), *_joined(ground)]
    yield [Segment(" " * (margin + 2) + x_labels(chart, xs, canvas.columns), QUIET)]


def _joined(cells: list[Segment]) -> list[Segment]:
    """Neighbours of one style as one segment."""
    groups = itertools.groupby(cells, key=lambda cell: cell.style)
    return [Segment("".join(cell.text for cell in group), style) for style, group in groups]


def _draw_mark(canvas: Canvas, place: float) -> None:
    if math.isfinite(place):
        for y in range(0, canvas.height, DASH_DOTS):
            canvas.dot(round(place), y, QUIET)


def _draw_line(canvas: Canvas, line: Line, xs: Scale, ys: Scale) -> None:
    x = xs.places(as_numbers(line.x), canvas.width)

    def down(values: FloatArray) -> FloatArray:
        return canvas.height - 1 - ys.places(values, canvas.height)

    colour = str(line.colour)
    if line.ribbon is not None:
        _draw_ribbon(canvas, x, down(line.ribbon[1]), down(line.ribbon[0]), f"dim {colour}")
    style = f"dim {colour}" if line.is_faint else colour
    before: tuple[int, int] | None = None
    for place, height in zip(x.tolist(), down(line.y).tolist(), strict=True):
        here = (round(place), round(height)) if math.isfinite(place) and math.isfinite(height) else None
        if here is not None:
            canvas.line(before or here, here, style)  # a lone point between gaps is a dot
        before = here


def _draw_ribbon(canvas: Canvas, x: FloatArray, tops: FloatArray, bottoms: FloatArray, style: str) -> None:
    """Every second dot between the edges, so that the line in the middle stands out; nothing across a gap."""
    known = np.isfinite(x) & np.isfinite(tops) & np.isfinite(bottoms)
    for index in np.flatnonzero(known).tolist():
        first = x[index]
        following = index + 1 if index + 1 < len(x) and known[index + 1] else index
        columns = np.arange(round(first), max(round(x[following]), round(first) + 1))
        span = [first, x[following]] if following != index and x[following] > first else [first, first + 1.0]
        top_at = np.interp(columns, span, [tops[index], tops[following]])
        bottom_at = np.interp(columns, span, [bottoms[index], bottoms[following]])
        for column, top, bottom in zip(columns.tolist(), top_at.tolist(), bottom_at.tolist(), strict=True):
            for y in range(max(round(top), 0), min(round(bottom), canvas.height - 1) + 1):
                if (column + y) % 2 == 0:
                    canvas.dot(column, y, style)
        # The extremes themselves, whatever every second dot leaves out: a spike is as high as it is.
        canvas.dot(round(first), round(tops[index]), style)
        canvas.dot(round(first), round(bottoms[index]), style)
