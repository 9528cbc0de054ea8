"""Assembles a drawing: title, picture, legend, and notes on what the picture cannot show.

Without colors the lines of a chart would be indistinguishable: each gets its own panel, and the panels of a metric
share a scale.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from holter._text import counted, shortened, visible
from holter.cli.commands.plot.drawing.canvas import ALARM, LABEL_LIMIT, NONFINITE, QUIET, Canvas, Segment
from holter.cli.commands.plot.drawing.frame import draw_frame, y_scale
from holter.cli.commands.plot.drawing.heatmap import draw_heatmap
from holter.cli.text import value_text
from holter.plots.build.palette import resolved, theme_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holter.plots import Chart, Line

__all__ = ["draw"]

MAX_MARKS = 6
MIN_ROWS = 4


def draw(chart: Chart, canvas: Canvas) -> Iterator[list[Segment]]:
    """Return the lines of text of a chart."""
    chart = replace(chart, lines=_distinct(chart.lines))
    yield [Segment(shortened(visible(chart.title), canvas.columns), "bold")]
    if chart.heatmap is not None:
        yield from draw_heatmap(chart, chart.heatmap, canvas)
    elif canvas.has_color or len(_main(chart.lines)) < 2:
        yield from draw_frame(chart, chart.lines, canvas)
        for line in _main(chart.lines):
            key = [Segment("━━ ", str(line.color))] if canvas.has_color else []
            yield [*key, _label(line)]
    else:
        yield from _panels(chart, canvas)
    yield from _notes(chart)


def _main(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if not line.is_faint]


def _distinct(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines with resolved colors; lines that differ only by dashes, which braille cannot show, get other colors."""
    theme = theme_named("dark")  # most terminals are
    if all(line.dash == "solid" for line in lines):
        return tuple(replace(line, color=resolved(line.color, theme)) for line in lines)
    order = {(line.run, line.name): index for index, line in enumerate(_main(lines))}
    return tuple(replace(line, color=resolved(order[line.run, line.name], theme)) for line in lines)


def _panels(chart: Chart, canvas: Canvas) -> Iterator[list[Segment]]:
    rows = max(canvas.rows // len(_main(chart.lines)), MIN_ROWS)
    for line in _main(chart.lines):
        alike = replace(chart, lines=tuple(other for other in chart.lines if other.name == line.name))
        scale = y_scale(alike)
        own = [other for other in alike.lines if (other.run, other.label) == (line.run, line.label)]
        yield []
        yield [_label(line)]
        yield from draw_frame(replace(chart, y_range=(scale.at(0.0), scale.at(1.0))), own, replace(canvas, rows=rows))


def _label(line: Line) -> Segment:
    finite = line.y[np.isfinite(line.y)]
    last = f"  {value_text(float(finite[-1]))}" if len(finite) else "  no finite value"
    spread = f"  ({line.spread})" if line.spread else ""
    return Segment(shortened(visible(line.label), LABEL_LIMIT) + last + spread)


def _notes(chart: Chart) -> Iterator[list[Segment]]:
    bad = [text for line in chart.lines for text in line.nonfinite.texts]
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        yield [Segment(f"{NONFINITE} not finite: {bad[0]}{more}", ALARM)]
    nonpositive = sum(int((line.y <= 0).sum()) for line in chart.lines) if chart.log_y else 0
    if nonpositive:
        yield [Segment(f"{counted(nonpositive, 'point')} not shown: the logarithm needs a positive value", ALARM)]
    if chart.marks:
        shown = ", ".join(f"{visible(mark.label)} (step {mark.step})" for mark in chart.marks[:MAX_MARKS])
        more = f" and {len(chart.marks) - MAX_MARKS} more" if len(chart.marks) > MAX_MARKS else ""
        yield [Segment(f"marks: {shown}{more}", QUIET)]
    thresholds = [threshold for threshold in chart.thresholds if math.isfinite(threshold.y)]
    for threshold in thresholds:
        yield [Segment(f"threshold: {value_text(threshold.y)} {visible(threshold.label)}".rstrip(), QUIET)]
    if chart.note:
        yield [Segment(visible(chart.note), QUIET)]
