"""Draws a chart with plotly: a plain dict of traces and layout, strict JSON, made without importing plotly.

Numbers travel as plotly's typed arrays, so NaN survives and is a gap. Every text of a run is escaped; see `text.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holter.plots.build.palette import theme_named
from holter.plots.render.plotly_layout import layout_of
from holter.plots.render.plotly_traces import bar_traces, heatmap_traces, line_traces, mark_traces

if TYPE_CHECKING:
    from holter.plots.build.chart import Chart
    from holter.plots.build.palette import ThemeName


def to_plotly(chart: Chart, theme: ThemeName = "light", *, compact: bool = False) -> dict[str, Any]:
    """Return a chart as a plotly figure: `{"data": [...], "layout": {...}}`, ready for JSON.

    `plotly.graph_objects.Figure(figure)` and `Plotly.newPlot(element, figure)` take it as it is. The `meta` of a line
    has the run's label and the series' name in full, and what the columns of its `customdata` are; a trace with a
    `role` in its `meta` goes with a line.

    Args:
        chart: The chart.
        theme: `"light"` or `"dark"`; around the lines the background is transparent in both.
        compact: Whether title, note, legend and the marks' labels are left out, for a page that shows them itself.
            Title and note are in the layout's `meta` all the same.

    Raises:
        ValueError: If there is no such theme.
    """
    colors = theme_named(theme)
    if chart.heatmap is not None:
        data = heatmap_traces(chart, chart.heatmap, colors)
    elif chart.bars:
        data = bar_traces(chart, colors)
    else:
        data = line_traces(chart, colors)
    return {
        "data": [*data, *mark_traces(chart, colors, compact=compact)],
        "layout": layout_of(chart, colors, compact=compact),
    }
