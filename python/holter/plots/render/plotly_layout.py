"""The layout of a figure: quiet axes, the hover as a table, and a zoom that live updates keep."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from holter.plots.build.palette import translucent
from holter.plots.build.text import LEGEND_CHARACTERS, TITLE_CHARACTERS, plotly_text
from holter.plots.render.plotly_traces import heatmap_rows, mark_color

if TYPE_CHECKING:
    from holter.plots.build.chart import Chart, FloatArray
    from holter.plots.build.palette import Theme

_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
# What is left is the picture and the way back. `sendChartToCloud` would upload the user's data.
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


def layout_of(chart: Chart, theme: Theme, *, compact: bool) -> dict[str, Any]:
    """Return the layout.

    Args:
        chart: The chart.
        theme: Its colors.
        compact: Whether title, legend and note are left to the page around the figure.
    """
    layout: dict[str, Any] = {
        "font": {"family": _FONT, "size": 12, "color": theme.text},
        "paper_bgcolor": "rgba(0,0,0,0)",
        # Opaque: around the cursor plotly draws a halo in this color, which would be white if it were transparent.
        "plot_bgcolor": theme.background,
        "margin": {"l": 56, "r": 16, "t": 10 if compact else 46, "b": 40, "pad": 0},
        "xaxis": _x_axis(chart, theme),
        "yaxis": _y_axis(chart, theme),
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
        "showlegend": not compact and bool(_legend(chart)),
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.01,
            "xanchor": "left",
            "yanchor": "bottom",
            "bgcolor": "rgba(0,0,0,0)",
            "font": {"size": 11, "color": theme.quiet_text},
            "itemsizing": "constant",
        },
        "modebar": {
            "orientation": "h",
            "bgcolor": "rgba(0,0,0,0)",
            "color": theme.axis,
            "activecolor": theme.quiet_text,
            "remove": _REMOVED_BUTTONS,
        },
        # What the user zoomed or hid stays when new points arrive, and goes when the axes mean something else.
        "uirevision": f"{chart.kind} {chart.x_label} {chart.log_y}",
        "shapes": _shapes(chart, theme),
        "barmode": "group",
        "bargap": 0.25,
        "meta": {"title": chart.title, "note": chart.note, "width": chart.width, "window": list(chart.window)},
    }
    if _needs_edge_axis(chart):
        layout["yaxis2"] = {"overlaying": "y", "range": [0, 1], "fixedrange": True, "visible": False}
    if not compact:
        layout["title"] = _title(chart, theme)
        layout["margin"]["t"] += (18 if chart.note else 0) + (24 * _legend_rows(_legend(chart)))
    if chart.heatmap is not None:
        layout["margin"]["r"] = 8
        layout["yaxis"] |= {
            "categoryarray": heatmap_rows(chart.heatmap),
            "range": [-0.5, len(chart.heatmap.rows) - 0.5],
        }
    return layout


def _title(chart: Chart, theme: Theme) -> dict[str, Any]:
    """The title, and under it the note."""
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
        around = f" · {chart.width:,} steps a point" if chart.width > 1 else ""
        axis |= {"hoverformat": ",.0f", "unifiedhovertitle": {"text": f"step %{{x:,.0f}}{around}"}}
        if chart.window[0] is not None and chart.window[1] is not None:
            axis["range"] = [chart.window[0], chart.window[1] - 1]
    elif chart.x_kind == "number":
        name = plotly_text(chart.x_label, LEGEND_CHARACTERS)
        axis |= {"hoverformat": ".5~g", "unifiedhovertitle": {"text": f"{name} %{{x:.5~g}}"}}
    return axis


def _y_axis(chart: Chart, theme: Theme) -> dict[str, Any]:
    axis = _axis(theme)
    if chart.heatmap is not None:
        return {**axis, "type": "category", "showgrid": False, "tickmode": "auto", "nticks": 24}
    # Thousands as 20k and millions as 3M, but a learning rate as 3×10⁻⁴ and not as 300µ.
    axis |= {"exponentformat": "SI" if _is_large(chart) else "power", "minexponent": 3, "nticks": 7}
    if chart.log_y:
        axis |= {"type": "log", "minor": {"showgrid": False}}
        axis["dtick"] = "D2" if _decades(chart) < 1.5 else max(1, round(_decades(chart) / 8))
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


def _decades(chart: Chart) -> float:
    """How many powers of ten the values span."""
    values = _values(chart)
    values = values[values > 0]
    return float(np.log10(values.max()) - np.log10(values.min())) if len(values) else 0.0


def _is_large(chart: Chart) -> bool:
    values = np.abs(_values(chart))
    return bool(len(values) and values.max() >= 1000)


def _values(chart: Chart) -> FloatArray:
    """The finite values of all lines and bars."""
    columns = [*[line.y for line in chart.lines], *[bars.values for bars in chart.bars]]
    values: FloatArray = np.concatenate([np.empty(0), *columns])
    return values[np.isfinite(values)]


def _legend(chart: Chart) -> list[str]:
    """What the legend lists; nothing where one item needs none, or the hover has to do for many."""
    labels = [line.label for line in chart.lines if not line.is_faint] + [bars.label for bars in chart.bars]
    return labels if 1 < len(labels) <= _MAX_LEGEND_ITEMS else []


def _legend_rows(labels: list[str]) -> int:
    """About how many rows the legend takes."""
    pixels = sum(_LEGEND_PIXELS + _CHARACTER_PIXELS * min(len(label), LEGEND_CHARACTERS) for label in labels)
    return math.ceil(pixels / _FIGURE_PIXELS)


def _needs_edge_axis(chart: Chart) -> bool:
    return bool(chart.lines or chart.bars or chart.marks)


def _shapes(chart: Chart, theme: Theme) -> list[dict[str, Any]]:
    """Thresholds across, marks from bottom to top."""
    shapes: list[dict[str, Any]] = []
    for threshold in chart.thresholds:
        shape: dict[str, Any] = {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": threshold.y,
            "y1": threshold.y,
            "line": {"color": theme.quiet_text, "width": 1, "dash": "dash"},
        }
        if threshold.label:
            text = plotly_text(threshold.label, LEGEND_CHARACTERS)
            font = {"size": 10, "color": theme.quiet_text}
            shape["label"] = {"text": text, "textposition": "end", "yanchor": "bottom", "font": font}
        shapes.append(shape)
    for mark in chart.marks:
        x: Any = mark.x
        if isinstance(x, np.datetime64):
            x = int(x.astype("datetime64[us]").astype(np.int64)) / 1000.0
        shape = {"type": "line", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1}
        shape["layer"] = "above" if chart.heatmap is not None else "below"
        shape["line"] = {"color": translucent(mark_color(mark, theme), 0.7), "width": 1, "dash": "dash"}
        shapes.append(shape)
    return shapes
