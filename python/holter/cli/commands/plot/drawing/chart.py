"""Puts a drawing together: title, picture, legend, and the notes on what the picture cannot show.

Without colours the lines of a chart could not be told apart: each then gets a panel of its own, those of one metric
on one scale.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from holter.cli.commands.plot.drawing.cells import draw_heatmap
from holter.cli.commands.plot.drawing.frame import draw_frame, y_scale
from holter.cli.commands.plot.drawing.paper import ALARM, LABEL_LIMIT, NONFINITE, QUIET, Paper, Segment
from holter.cli.text import shortened, value_text, visible
from holter.plots.build.palette import resolved, theme_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holter.plots import Chart, Line

__all__ = ["draw"]

MOST_MARKS = 6
LEAST_ROWS = 4


def draw(chart: Chart, paper: Paper) -> Iterator[list[Segment]]:
    """Return the lines of text of a chart, one after the other."""
    chart = replace(chart, lines=_told_apart(chart.lines))
    yield [Segment(shortened(visible(chart.title), paper.columns), "bold")]
    if chart.heatmap is not None:
        yield from draw_heatmap(chart, chart.heatmap, paper)
    elif paper.is_coloured or len(_main(chart.lines)) < 2:
        yield from draw_frame(chart, chart.lines, paper)
        for line in _main(chart.lines):
            key = [Segment("━━ ", str(line.colour))] if paper.is_coloured else []
            yield [*key, _label(line)]
    else:
        yield from _panels(chart, paper)
    yield from _notes(chart)


def _main(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if not line.is_faint]


def _told_apart(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines with their colours resolved; where dashes set some apart, which braille cannot show, colours do."""
    theme = theme_named("dark")  # most terminals are
    if all(line.dash == "solid" for line in lines):
        return tuple(replace(line, colour=resolved(line.colour, theme)) for line in lines)
    order = {(line.run, line.name): index for index, line in enumerate(_main(lines))}
    return tuple(replace(line, colour=resolved(order[line.run, line.name], theme)) for line in lines)


def _panels(chart: Chart, paper: Paper) -> Iterator[list[Segment]]:
    rows = max(paper.rows // len(_main(chart.lines)), LEAST_ROWS)
    for line in _main(chart.lines):
        alike = replace(chart, lines=tuple(one for one in chart.lines if one.name == line.name))
        scale = y_scale(alike)
        own = [one for one in alike.lines if (one.run, one.label) == (line.run, line.label)]
        yield []
        yield [_label(line)]
        yield from draw_frame(replace(chart, y_range=(scale.at(0.0), scale.at(1.0))), own, replace(paper, rows=rows))


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
        yield [Segment(f"left out, as they have no logarithm: {nonpositive} points of at most 0", ALARM)]
    if chart.marks:
        shown = ", ".join(f"{visible(mark.label)} (step {mark.step})" for mark in chart.marks[:MOST_MARKS])
        more = f" and {len(chart.marks) - MOST_MARKS} more" if len(chart.marks) > MOST_MARKS else ""
        yield [Segment(f"marks: {shown}{more}", QUIET)]
    thresholds = [threshold for threshold in chart.thresholds if math.isfinite(threshold.y)]
    for threshold in thresholds:
        yield [Segment(f"threshold: {value_text(threshold.y)} {visible(threshold.label)}".rstrip(), QUIET)]
    if chart.note:
        yield [Segment(visible(chart.note), QUIET)]
