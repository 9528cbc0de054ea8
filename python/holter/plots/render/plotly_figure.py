"""Draws a chart with plotly: a dict of traces and layout, strict JSON, made without importing plotly.

One pass over the chart makes the traces and collects what the layout depends on. Numbers are plotly's typed arrays, so
that NaN is kept as a gap. Every text of a run is escaped; see `plotly_text`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holter.plots.build.palette import theme_named
from holter.plots.render.plotly_layout import layout_of
from holter.plots.render.plotly_lines import draw_lines
from holter.plots.render.plotly_marks import draw_marks
from holter.plots.render.plotly_traces import draw_bars, draw_heatmap

if TYPE_CHECKING:
    from holter.plots.build.chart import Chart
    from holter.plots.build.palette import ThemeName


def to_plotly(chart: Chart, theme: ThemeName = "light", *, compact: bool = False) -> dict[str, Any]:
    """Return a chart as a plotly figure: `{"data": [...], "layout": {...}}`, ready for JSON.

    Pass it to `plotly.graph_objects.Figure(figure)` or `Plotly.newPlot(element, figure)`. The `meta` of a line has the
    label of the run, the complete name of the series, and the names of the columns of its `customdata`. A trace with a
    `role` in its `meta` belongs to a line.

    Args:
        chart: The chart.
        theme: `"light"` or `"dark"`; the background around the plot area is transparent in both.
        compact: Whether to omit title, note, legend and the labels of marks, for a page that shows them itself. Title
            and note remain in the layout's `meta`.

    Raises:
        ValueError: If no theme has this name.
    """
    colors = theme_named(theme)
    if chart.heatmap is not None:
        drawing = draw_heatmap(chart, chart.heatmap, colors)
    elif chart.bars:
        drawing = draw_bars(chart, colors)
    else:
        drawing = draw_lines(chart, colors)
    marks, shapes = draw_marks(chart, colors, compact=compact)
    return {
        "data": [*drawing.traces, *marks],
        "layout": layout_of(chart, drawing, shapes, colors, compact=compact),
    }
