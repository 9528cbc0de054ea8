"""Plotly traces of lines and bands: ribbons, lines, isolated points, and values that the axis cannot show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from holter.plots.build.palette import resolved, translucent
from holter.plots.build.text import HOVER_CHARACTERS, LEGEND_CHARACTERS, plotly_text
from holter.plots.render.plotly_drawing import Drawing, Extent, edge_markers, epoch_millis, typed_array

if TYPE_CHECKING:
    import numpy.typing as npt

    from holter.plots.build.chart import Chart, FloatArray, Line
    from holter.plots.build.palette import Theme
    from holter.plots.render.plotly_drawing import Trace

# Lines with few points also get markers: a validation curve shows where it was measured.
_MAX_MARKERS = 40


def draw_lines(chart: Chart, theme: Theme) -> Drawing:
    """Draw the lines of a chart: ribbons behind all lines, points that need a marker in front."""
    drawing = Drawing()
    floor = Extent()
    ribbons, lines, points = [], [], []
    for number, line in enumerate(chart.lines):
        color, group = resolved(line.color, theme), f"line{number}"
        if not line.is_faint:
            drawing.labels.append(line.label)
        drawing.extent.add(line.y)
        if line.ribbon is not None:
            ribbons.append((line, line.ribbon, color, group))
            for edge in line.ribbon if chart.log_y else ():
                floor.add(edge)
        lines.append(_line(line, color, group, chart))
        points += _isolated_points(line, color, group)
        points += _off_axis(line, group, chart, theme)
    lowest = min(drawing.extent.min_positive, floor.min_positive)
    # On a logarithmic axis, ribbons that reach 0 end at the lowest positive value of the chart.
    bottom = (lowest if np.isfinite(lowest) else 1.0) if chart.log_y else None
    drawing.traces = [*(_ribbon(*ribbon, bottom) for ribbon in ribbons), *lines, *points]
    return drawing


def _line(line: Line, color: str, group: str, chart: Chart) -> Trace:
    has_markers = len(line.y) <= _MAX_MARKERS and not line.is_faint
    columns, template = _hover(line, chart)
    trace: Trace = {
        "type": "scatter",
        "mode": "lines+markers" if has_markers else "lines",
        "name": plotly_text(line.label, LEGEND_CHARACTERS),
        "legendgroup": group,
        "x": typed_array(line.x),
        "y": typed_array(line.y),
        "line": {"color": color, "width": 1.0 if line.is_faint else 1.6, "dash": line.dash},
        "meta": {
            "run": line.run,
            "name": line.name,
            "label": line.label,
            "spread": line.spread,
            "columns": list(columns),
        },
        "connectgaps": False,
    }
    if has_markers:
        trace["marker"] = {"color": color, "size": 4}
    if line.is_faint:
        return {**trace, "opacity": 0.3, "hoverinfo": "skip", "showlegend": False}
    if columns:
        trace["customdata"] = typed_array(np.stack([*columns.values()], axis=1).astype(np.float64))
    return {**trace, "hovertemplate": template}


def _hover(line: Line, chart: Chart) -> tuple[dict[str, npt.NDArray[Any]], str]:
    """The columns of the hover besides x and y, and its template: label, value, and the columns."""
    columns: dict[str, npt.NDArray[Any]] = {}
    text = f"{plotly_text(line.label, HOVER_CHARACTERS)}  <b>%{{y:.5~g}}</b>"
    if line.ribbon is not None:
        columns["lower"], columns["upper"] = line.ribbon
        text += "  %{customdata[0]:.4~g} – %{customdata[1]:.4~g}"
    if line.counts is not None:
        text += f"  of %{{customdata[{len(columns)}]}}"
        columns["members"] = line.counts
    if chart.x_kind != "step":
        text += f"  step %{{customdata[{len(columns)}]:,d}}"
        columns["step"] = line.last_steps
    return columns, text + "<extra></extra>"


def _ribbon(line: Line, ribbon: tuple[FloatArray, FloatArray], color: str, group: str, bottom: float | None) -> Trace:
    """The ribbon as closed outlines, one for each stretch without a gap."""
    lower, upper = ribbon
    if bottom is not None:
        lower = np.where((lower <= 0) & (upper > 0), bottom, lower)
    is_finite = np.isfinite(lower) & np.isfinite(upper)
    edges = np.flatnonzero(np.diff(np.r_[False, is_finite, False]))
    x = epoch_millis(line.x) if line.x.dtype.kind == "M" else line.x
    nan = np.full(1, np.nan)
    xs: list[FloatArray] = []
    ys: list[FloatArray] = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        xs += [x[start:end], x[start:end][::-1], x[start : start + 1], nan]
        ys += [upper[start:end], lower[start:end][::-1], upper[start : start + 1], nan]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": typed_array(np.concatenate([np.empty(0), *xs[:-1]])),
        "y": typed_array(np.concatenate([np.empty(0), *ys[:-1]])),
        "fill": "toself",
        "fillcolor": translucent(color, 0.14),
        "line": {"color": translucent(color, 0.45), "width": 0.8},
        "hoverinfo": "skip",
        "showlegend": False,
        "meta": {"role": "ribbon"},
        "legendgroup": group,
    }


def _isolated_points(line: Line, color: str, group: str) -> list[Trace]:
    """Markers for points between two gaps, which a line does not show."""
    at = line.isolated
    if len(line.y) <= _MAX_MARKERS or line.is_faint or not len(at):
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "legendgroup": group,
            "x": typed_array(line.x[at]),
            "y": typed_array(line.y[at]),
            "marker": {"color": color, "size": 4},
            "hoverinfo": "skip",
            "showlegend": False,
            "meta": {"role": "isolated"},
        }
    ]


def _off_axis(line: Line, group: str, chart: Chart, theme: Theme) -> list[Trace]:
    """Triangles on the x-axis: red for NaN and infinities, hollow for values that a logarithmic axis cannot show."""
    label = plotly_text(line.label, HOVER_CHARACTERS)
    traces = []
    if len(line.nonfinite.x):
        texts = [f"{label}  <b>{plotly_text(text)}</b>" for text in line.nonfinite.texts]
        marker = {"color": theme.alarm, "size": 10, "symbol": "triangle-up"}
        traces.append(edge_markers(line.nonfinite.x, texts, marker, "nonfinite") | {"legendgroup": group})
    if not chart.log_y or line.is_faint:
        return traces
    lowest = line.y if line.lower is None else np.fmin(line.y, line.lower)
    at = np.flatnonzero(lowest <= 0)
    if len(at):
        texts = [f"{label}  <b>{value:.4g}</b> is not on a logarithmic axis" for value in lowest[at].tolist()]
        marker = {"color": resolved(line.color, theme), "size": 8, "symbol": "triangle-down-open"}
        traces.append(edge_markers(line.x[at], texts, marker, "nonpositive") | {"legendgroup": group})
    return traces
