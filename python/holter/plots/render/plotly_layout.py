"""The layout of a plotly figure: unobtrusive axes, a unified hover, and a zoom that live updates preserve."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from holter.plots.build.text import LEGEND_CHARACTERS, TITLE_CHARACTERS, plotly_text

if TYPE_CHECKING:
    from holter.plots.build.chart import Chart
    from holter.plots.build.palette import Theme
    from holter.plots.render.plotly_drawing import Drawing

_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_TRANSPARENT = "rgba(0,0,0,0)"
# Leaves the image download and the zoom reset. `sendChartToCloud` would upload the user's data.
_REMOVED_BUTTONS = [
    "sendChartToCloud",
    "sendDataToCloud",
    "select2d",
    "lasso2d",
    "zoom2d",
    "pan2d",
    "zoomIn2d",
    "zoomOut2d",
    "autoScale2d",
    "toggleSpikelines",
]
_MAX_LEGEND_ITEMS = 24
_LEGEND_PIXELS, _CHARACTER_PIXELS, _FIGURE_PIXELS = 50, 6.5, 640


def layout_of(
    chart: Chart, drawing: Drawing, shapes: list[dict[str, Any]], theme: Theme, *, compact: bool
) -> dict[str, Any]:
    """Return the layout.

    Args:
        chart: The chart.
        drawing: Its traces.
        shapes: The shapes of thresholds and marks.
        theme: The colors.
        compact: Whether the page around the figure shows title, legend and note.
    """
    legend = [] if compact or not 1 < len(drawing.labels) <= _MAX_LEGEND_ITEMS else drawing.labels
    layout: dict[str, Any] = {
        "font": {"family": _FONT, "size": 12, "color": theme.text},
        "paper_bgcolor": _TRANSPARENT,
        # Opaque: plotly draws a halo around the cursor in this color, which is white if transparent.
        "plot_bgcolor": theme.background,
        "margin": _margin(chart, legend, compact=compact),
        "xaxis": _x_axis(chart, theme),
        "yaxis": _y_axis(chart, drawing, theme),
        "hovermode": "x unified" if chart.lines else "closest",
        "hoverlabel": {
            "bgcolor": theme.hover,
            "bordercolor": theme.axis,
            "font": {"family": _FONT, "size": 12, "color": theme.text},
            "align": "left",
            "namelength": -1,
        },
        "hoverdistance": 24,
        "dragmode": "zoom",
        "showlegend": bool(legend),
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.01,
            "xanchor": "left",
            "yanchor": "bottom",
            "bgcolor": _TRANSPARENT,
            "font": {"size": 11, "color": theme.quiet_text},
            "itemsizing": "constant",
        },
        "modebar": {
            "orientation": "h",
            "bgcolor": _TRANSPARENT,
            "color": theme.axis,
            "activecolor": theme.quiet_text,
            "remove": _REMOVED_BUTTONS,
        },
        # Keeps the user's zoom and hidden lines when points arrive, but not when the meaning of the axes changes.
        "uirevision": f"{chart.kind} {chart.x_label} {chart.log_y}",
        "shapes": shapes,
        "barmode": "group",
        "bargap": 0.25,
        "meta": {"title": chart.title, "note": chart.note, "width": chart.width, "window": list(chart.window)},
    }
    if chart.lines or chart.bars or chart.marks:
        layout["yaxis2"] = {"overlaying": "y", "range": [0, 1], "fixedrange": True, "visible": False}
    return layout if compact else {**layout, "title": _title(chart, theme)}


def _margin(chart: Chart, legend: list[str], *, compact: bool) -> dict[str, int]:
    pixels = sum(_LEGEND_PIXELS + _CHARACTER_PIXELS * min(len(label), LEGEND_CHARACTERS) for label in legend)
    legend_rows = math.ceil(pixels / _FIGURE_PIXELS)
    top = 10 if compact else 46 + (18 if chart.note else 0) + 24 * legend_rows
    return {"l": 56, "r": 16 if chart.heatmap is None else 8, "t": top, "b": 40, "pad": 0}


def _title(chart: Chart, theme: Theme) -> dict[str, Any]:
    """The title with the note below it."""
    title = {
        "text": plotly_text(chart.title, TITLE_CHARACTERS),
        "font": {"size": 14, "color": theme.text},
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "pad": {"t": 10},
    }
    if chart.note:
        title["subtitle"] = {"text": plotly_text(chart.note), "font": {"size": 11, "color": theme.quiet_text}}
    return title


def _x_axis(chart: Chart, theme: Theme) -> dict[str, Any]:
    axis = _axis(theme)
    axis["title"] = {
        "text": plotly_text(chart.x_label, TITLE_CHARACTERS),
        "font": {"size": 11, "color": theme.quiet_text},
        "standoff": 6,
    }
    if chart.bars:
        return {**axis, "type": "category", "showgrid": False}
    axis |= {"type": "date" if chart.x_kind == "date" else "linear", "showgrid": chart.heatmap is None}
    if chart.lines:
        axis |= {
            "showspikes": True,
            "spikemode": "across",
            "spikesnap": "hovered data",
            "spikethickness": 1,
            "spikedash": "solid",
            "spikecolor": theme.axis,
        }
    if chart.x_kind == "step":
        width = f" · {chart.width:,} steps per point" if chart.width > 1 else ""
        axis |= {"hoverformat": ",.0f", "unifiedhovertitle": {"text": f"step %{{x:,.0f}}{width}"}}
        if chart.window[0] is not None and chart.window[1] is not None:
            axis["range"] = [chart.window[0], chart.window[1] - 1]
    elif chart.x_kind == "number":
        name = plotly_text(chart.x_label, LEGEND_CHARACTERS)
        axis |= {"hoverformat": ".5~g", "unifiedhovertitle": {"text": f"{name} %{{x:.5~g}}"}}
    return axis


def _y_axis(chart: Chart, drawing: Drawing, theme: Theme) -> dict[str, Any]:
    axis = _axis(theme)
    if chart.heatmap is not None:
        return {
            **axis,
            "type": "category",
            "showgrid": False,
            "tickmode": "auto",
            "nticks": 24,
            "categoryarray": drawing.rows,
            "range": [-0.5, len(drawing.rows) - 0.5],
        }
    # SI prefixes for large values (20k, 3M); powers for small ones (3×10⁻⁴ instead of 300µ).
    axis |= {"exponentformat": "SI" if drawing.extent.largest >= 1000 else "power", "minexponent": 3, "nticks": 7}
    if chart.log_y:
        decades = drawing.extent.decades
        axis |= {"type": "log", "minor": {"showgrid": False}}
        axis["dtick"] = "D2" if decades < 1.5 else max(1, round(decades / 8))
    if chart.y_range is not None:
        low, high = chart.y_range
        axis["range"] = [math.log10(low), math.log10(high)] if chart.log_y else [low, high]
    return axis


def _axis(theme: Theme) -> dict[str, Any]:
    return {
        "gridcolor": theme.grid,
        "gridwidth": 1,
        "zeroline": False,
        "showline": False,
        "linecolor": theme.axis,
        "ticks": "",
        "tickfont": {"size": 11, "color": theme.quiet_text},
        "automargin": True,
    }
