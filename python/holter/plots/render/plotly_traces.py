"""Plotly traces of heatmaps and bars."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from holter.plots.build.palette import resolved, translucent
from holter.plots.build.text import LEGEND_CHARACTERS, plotly_text
from holter.plots.render.plotly_drawing import Drawing, edge_markers, typed_array

if TYPE_CHECKING:
    import numpy.typing as npt

    from holter.plots.build.chart import Chart, FloatArray, Heatmap
    from holter.plots.build.palette import Theme
    from holter.plots.render.plotly_drawing import Trace


def draw_heatmap(chart: Chart, heatmap: Heatmap, theme: Theme) -> Drawing:
    """Draw the cells, and over them the cells with NaN or infinite values in the alarm color."""
    rows = _row_labels(heatmap)
    where = "step %{x:,.0f}" if chart.x_kind == "step" else f"{plotly_text(chart.x_label)} %{{x}}"
    x = typed_array(heatmap.x)
    traces = [_cells(heatmap, x, rows, where)]
    if heatmap.is_nonfinite.any():
        traces.append(
            {
                "type": "heatmap",
                "x": x,
                "y": rows,
                "z": typed_array(np.where(heatmap.is_nonfinite, np.float32(1), np.float32(np.nan))),
                "zmin": 0,
                "zmax": 1,
                "colorscale": [[0, theme.alarm], [1, theme.alarm]],
                "showscale": False,
                "hoverongaps": False,
                "hovertemplate": f"%{{y}}  <b>NaN or infinite</b>  {where}<extra></extra>",
                "meta": {"role": "nonfinite"},
            }
        )
    return Drawing(traces, rows=rows)


def _cells(heatmap: Heatmap, x: dict[str, str], rows: list[str], where: str) -> Trace:
    values, low, high = heatmap.values, heatmap.low, heatmap.high
    bar: Trace = {"thickness": 10, "outlinewidth": 0, "len": 1.0, "ticklen": 3, "tickfont": {"size": 11}}
    if heatmap.is_log:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.where(values > 0, np.log10(values), np.nan)
        low, high = (math.log10(low), math.log10(high)) if low > 0 else (0.0, 1.0)
        bar |= _log_ticks(low, high)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    value = "%{customdata:.5~g}" if heatmap.is_log else "%{z:.5~g}"
    cells: Trace = {
        "type": "heatmap",
        "x": x,
        "y": rows,
        "z": typed_array(_single(values)),
        "zmin": low,
        "zmax": high,
        "colorscale": "Viridis",
        "colorbar": bar,
        "hoverongaps": False,
        "hovertemplate": f"%{{y}}  <b>{value}</b>  {where}<extra></extra>",
        "meta": {"rows": list(heatmap.rows)},
    }
    return cells | {"customdata": typed_array(_single(heatmap.values))} if heatmap.is_log else cells


def _single(values: FloatArray) -> npt.NDArray[np.floating]:
    """The values in single precision, which is enough for colors, unless they exceed its range."""
    largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    return values.astype(np.float32) if largest <= np.finfo(np.float32).max else values


def _row_labels(heatmap: Heatmap) -> list[str]:
    """The labels of the rows, made unique because plotly merges rows with equal labels."""
    labels: list[str] = []
    for text in heatmap.row_labels:
        label = plotly_text(text, LEGEND_CHARACTERS)
        labels.append(label if label not in labels else f"{label} (row {len(labels) + 1})")
    return labels


def _log_ticks(low: float, high: float) -> Trace:
    """The ticks of the color bar: powers of ten, or evenly spaced values for a range below two decades."""
    exponents = list(range(math.ceil(low), math.floor(high) + 1))
    if len(exponents) < 2:
        places = [low + (high - low) * part / 4 for part in range(5)]
        return {"tickvals": places, "ticktext": [f"{10.0**place:.3g}" for place in places]}
    return {"tickvals": exponents, "ticktext": [f"{10.0**exponent:g}" for exponent in exponents]}


def draw_bars(chart: Chart, theme: Theme) -> Drawing:
    """Draw bars for each run, and triangles for latest values that are NaN or infinite."""
    categories = [plotly_text(category, LEGEND_CHARACTERS) for category in chart.categories]
    drawing = Drawing()
    for number, bars in enumerate(chart.bars):
        drawing.labels.append(bars.label)
        drawing.extent.add(bars.values)
        texts = [f"{plotly_text(bars.label)}  {plotly_text(text)}" for text in bars.texts]
        group = f"bars{number}"
        drawing.traces.append(
            {
                "type": "bar",
                "name": plotly_text(bars.label, LEGEND_CHARACTERS),
                "legendgroup": group,
                "x": categories,
                "y": typed_array(np.where(bars.is_nonfinite, np.nan, bars.values)),
                "text": texts,
                "textposition": "none",
                "hovertemplate": "%{text}<extra></extra>",
                "marker": {"color": translucent(resolved(bars.color, theme), 0.85), "line": {"width": 0}},
                "meta": {"run": bars.label},
            }
        )
        at = np.flatnonzero(bars.is_nonfinite)
        if len(at):
            marker = {"color": theme.alarm, "size": 10, "symbol": "triangle-up"}
            x = [categories[index] for index in at]
            trace = edge_markers(x, [texts[index] for index in at], marker, "nonfinite")
            drawing.traces.append(trace | {"legendgroup": group})
    return drawing
