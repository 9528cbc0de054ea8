"""The traces of a chart: lines with their ribbons, what no axis can show, heatmaps, bars, and the heads of marks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from holter.plots.build.palette import resolved, translucent
from holter.plots.build.text import HOVER_CHARACTERS, LEGEND_CHARACTERS, plotly_text
from holter.plots.render.plotly_arrays import typed_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from holter.plots.build.chart import Chart, FloatArray, Heatmap, Line, Mark, MarkKind, XArray
    from holter.plots.build.palette import Theme

Trace: TypeAlias = dict[str, Any]
# Few points are also drawn as points: a validation curve shows where it was measured.
_MAX_MARKERS = 40
_MAX_LABELED_MARKS = 6
_MARK_CHARACTERS = 24
# How much of the x-axis a mark's label covers.
_LABEL_PART = 0.12
# A second y-axis from 0 to 1, over the first: what stands on it stays at the edge whatever is zoomed.
EDGE_AXIS = "y2"


def line_traces(chart: Chart, theme: Theme) -> list[Trace]:
    """Return the traces of a chart's lines: ribbons behind all lines, points that need a marker in front."""
    ribbons, lines, points = [], [], []
    for number, line in enumerate(chart.lines):
        color = resolved(line.color, theme)
        group = f"line{number}"
        if line.ribbon is not None:
            ribbons.append(_ribbon(line, line.ribbon, color, chart) | {"legendgroup": group})
        lines.append(_line(line, color, group, chart))
        points += _lone_points(line, color, group)
        points += _off_axis(line, group, chart, theme)
    return [*ribbons, *lines, *points]


def _line(line: Line, color: str, group: str, chart: Chart) -> Trace:
    columns, names = _hover_columns(line, chart)
    few = len(line.y) <= _MAX_MARKERS and not line.is_faint
    trace: Trace = {
        "type": "scatter",
        "mode": "lines+markers" if few else "lines",
        "name": plotly_text(line.label, LEGEND_CHARACTERS),
        "legendgroup": group,
        "x": typed_array(line.x),
        "y": typed_array(line.y),
        "line": {"color": color, "width": 1.0 if line.is_faint else 1.6, "dash": line.dash},
        "meta": {"run": line.run, "name": line.name, "label": line.label, "spread": line.spread, "columns": names},
        "connectgaps": False,
    }
    if few:
        trace["marker"] = {"color": color, "size": 4}
    if line.is_faint:
        return {**trace, "opacity": 0.3, "hoverinfo": "skip", "showlegend": False}
    if names:
        trace["customdata"] = typed_array(columns)
    return {**trace, "hovertemplate": _hover(line, names)}


def _hover_columns(line: Line, chart: Chart) -> tuple[FloatArray, list[str]]:
    """What the hover says besides x and y, as columns of one array."""
    columns: list[npt.NDArray[Any]] = []
    names = []
    if line.ribbon is not None:
        columns += line.ribbon
        names += ["lower", "upper"]
    if line.counts is not None:
        columns.append(line.counts)
        names.append("members")
    if chart.x_kind != "step":
        columns.append(line.last_steps)
        names.append("step")
    return np.stack(columns, axis=1).astype(np.float64) if columns else np.empty((0, 0)), names


def _hover(line: Line, names: Sequence[str]) -> str:
    """One row of the hover: name, value, what is around it."""
    at = {name: f"%{{customdata[{place}]" for place, name in enumerate(names)}
    text = f"{plotly_text(line.label, HOVER_CHARACTERS)}  <b>%{{y:.5~g}}</b>"
    if "lower" in at:
        text += f"  {at['lower']}:.4~g}} – {at['upper']}:.4~g}}"
    if "members" in at:
        text += f"  of {at['members']}}}"
    if "step" in at:
        text += f"  step {at['step']}:,d}}"
    return text + "<extra></extra>"


def _ribbon(line: Line, ribbon: tuple[FloatArray, FloatArray], color: str, chart: Chart) -> Trace:
    """The ribbon as closed outlines, one for each stretch without a gap."""
    lower, upper = ribbon
    if chart.log_y:
        lower = np.where((lower <= 0) & (upper > 0), _smallest_positive(chart), lower)
    is_there = np.isfinite(lower) & np.isfinite(upper)
    edges = np.flatnonzero(np.diff(np.r_[False, is_there, False]))
    numeric = line.x if line.x.dtype.kind != "M" else line.x.astype("datetime64[us]").astype(np.int64) / 1000.0
    xs: list[FloatArray] = []
    ys: list[FloatArray] = []
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        x = numeric[begin:end]
        xs += [x, x[::-1], x[:1], np.full(1, np.nan)]
        ys += [upper[begin:end], lower[begin:end][::-1], upper[begin : begin + 1], np.full(1, np.nan)]
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
    }


def _smallest_positive(chart: Chart) -> float:
    """The lowest value that a logarithmic axis has to show."""
    values = np.concatenate([column for line in chart.lines for column in line.columns])
    values = values[np.isfinite(values) & (values > 0)]
    return float(values.min()) if len(values) else 1.0


def _lone_points(line: Line, color: str, group: str) -> list[Trace]:
    """Points between gaps, of which a line shows nothing."""
    is_there = np.isfinite(line.y)
    before, after = np.r_[False, is_there[:-1]], np.r_[is_there[1:], False]
    lone = is_there & ~before & ~after
    if not lone.any() or len(line.y) <= _MAX_MARKERS or line.is_faint:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "legendgroup": group,
            "x": typed_array(line.x[lone]),
            "y": typed_array(line.y[lone]),
            "marker": {"color": color, "size": 4},
            "hoverinfo": "skip",
            "showlegend": False,
            "meta": {"role": "lone"},
        }
    ]


def _off_axis(line: Line, group: str, chart: Chart, theme: Theme) -> list[Trace]:
    """Triangles on the x-axis: red for NaN and infinities, hollow for what a logarithmic axis cannot show."""
    label = plotly_text(line.label, HOVER_CHARACTERS)
    traces = []
    if len(line.nonfinite.x):
        texts = [f"{label}  <b>{plotly_text(text)}</b>" for text in line.nonfinite.texts]
        marker = {"color": theme.alarm, "size": 10, "symbol": "triangle-up"}
        traces.append(_at_edge(line.nonfinite.x, texts, marker, "nonfinite") | {"legendgroup": group})
    lowest = line.y if line.lower is None else np.fmin(line.y, line.lower)
    at = np.flatnonzero(lowest <= 0) if chart.log_y and not line.is_faint else np.empty(0, np.int64)
    if len(at):
        texts = [f"{label}  <b>{value:.4g}</b> is not on a logarithmic axis" for value in lowest[at].tolist()]
        marker = {"color": resolved(line.color, theme), "size": 8, "symbol": "triangle-down-open"}
        traces.append(_at_edge(line.x[at], texts, marker, "nonpositive") | {"legendgroup": group})
    return traces


def _at_edge(x: XArray, texts: list[str], marker: Trace, role: str, y: float = 0.0) -> Trace:
    """Markers that stay at the lower (0) or the upper (1) edge of the chart."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": typed_array(x),
        "y": typed_array(np.full(len(x), y)),
        "yaxis": EDGE_AXIS,
        "marker": marker,
        "cliponaxis": False,
        "text": texts,
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
        "meta": {"role": role},
    }


def mark_traces(chart: Chart, theme: Theme, *, compact: bool) -> list[Trace]:
    """Return the heads of the vertical marks, which say in the hover what each is, and beside it if there is room."""
    if not chart.marks:
        return []
    texts = [f"<b>{plotly_text(mark.label)}</b> at step {mark.step:,}" for mark in chart.marks]
    colors = [mark_color(mark, theme) for mark in chart.marks]
    marker = {"color": colors, "size": 6, "symbol": "diamond"}
    trace = _at_edge(np.array([mark.x for mark in chart.marks]), texts, marker, "marks", y=1.0)
    if compact or not _has_room(chart):
        return [trace]
    labels = [plotly_text(mark.label, _MARK_CHARACTERS) for mark in chart.marks]
    font = {"size": 10, "color": theme.quiet_text}
    trace |= {"mode": "markers+text", "text": labels, "textposition": "bottom right", "textfont": font}
    return [trace | {"hovertext": texts, "hovertemplate": "%{hovertext}<extra></extra>"}]


def _has_room(chart: Chart) -> bool:
    """Whether the marks' labels would neither cover each other nor anything else."""
    if len(chart.marks) > _MAX_LABELED_MARKS or any(mark.color is not None for mark in chart.marks):
        return False
    x = np.concatenate([line.x for line in chart.lines]) if chart.lines else np.empty(0)
    places = np.sort(np.array([mark.x for mark in chart.marks], x.dtype))
    gaps = np.diff(np.append(places, x.max())) if len(x) else np.empty(0)
    return bool(len(gaps) and (gaps >= (x.max() - x.min()) * _LABEL_PART).all())


def mark_color(mark: Mark, theme: Theme) -> str:
    """Return the color of a mark: its run's, or that of its kind."""
    if mark.color is not None:
        return resolved(mark.color, theme)
    own: dict[MarkKind, str] = {"change": theme.change, "restart": theme.alarm, "alert": theme.alarm}
    return own.get(mark.kind, theme.quiet_text)


def heatmap_traces(chart: Chart, heatmap: Heatmap, theme: Theme) -> list[Trace]:
    """Return the cells, and over them those with NaN or infinities, in the color of alarm."""
    values, low, high = heatmap.values, heatmap.low, heatmap.high
    bar: Trace = {"thickness": 10, "outlinewidth": 0, "len": 1.0, "ticklen": 3, "tickfont": {"size": 11}}
    if heatmap.is_log:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.where(values > 0, np.log10(values), np.nan)
        low, high = (math.log10(low), math.log10(high)) if low > 0 else (0.0, 1.0)
        bar |= _log_ticks(low, high)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    where = "step %{x:,.0f}" if chart.x_kind == "step" else f"{plotly_text(chart.x_label)} %{{x}}"
    labels = heatmap_rows(heatmap)
    value = "%{customdata:.5~g}" if heatmap.is_log else "%{z:.5~g}"
    cells: Trace = {
        "type": "heatmap",
        "x": typed_array(heatmap.x),
        "y": labels,
        "z": typed_array(_single(values)),
        "zmin": low,
        "zmax": high,
        "colorscale": "Viridis",
        "colorbar": bar,
        "hoverongaps": False,
        "hovertemplate": f"%{{y}}  <b>{value}</b>  {where}<extra></extra>",
        "meta": {"rows": list(heatmap.rows)},
    }
    if heatmap.is_log:
        cells["customdata"] = typed_array(_single(heatmap.values))
    if not heatmap.is_nonfinite.any():
        return [cells]
    alarm: Trace = {
        "type": "heatmap",
        "x": typed_array(heatmap.x),
        "y": labels,
        "z": typed_array(np.where(heatmap.is_nonfinite, np.float32(1), np.float32(np.nan))),
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0, theme.alarm], [1, theme.alarm]],
        "showscale": False,
        "hoverongaps": False,
        "hovertemplate": f"%{{y}}  <b>NaN or infinite</b>  {where}<extra></extra>",
        "meta": {"role": "nonfinite"},
    }
    return [cells, alarm]


def _single(values: FloatArray) -> npt.NDArray[np.floating]:
    """The values in single precision, which colors do not tell from double, where it can hold them."""
    largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    return values.astype(np.float32) if largest <= np.finfo(np.float32).max else values


def heatmap_rows(heatmap: Heatmap) -> list[str]:
    """Return the rows' labels, each once: plotly would merge rows that are named alike."""
    labels: list[str] = []
    for text in heatmap.row_labels:
        label = plotly_text(text, LEGEND_CHARACTERS)
        labels.append(label if label not in labels else f"{label} (row {len(labels) + 1})")
    return labels


def _log_ticks(low: float, high: float) -> Trace:
    """The color bar's ticks: powers of ten, or what lies between where the range is less than two decades."""
    exponents = list(range(math.ceil(low), math.floor(high) + 1))
    if len(exponents) < 2:
        places = [low + (high - low) * part / 4 for part in range(5)]
        return {"tickvals": places, "ticktext": [f"{10.0**place:.3g}" for place in places]}
    return {"tickvals": exponents, "ticktext": [f"{10.0**exponent:g}" for exponent in exponents]}


def bar_traces(chart: Chart, theme: Theme) -> list[Trace]:
    """Return a trace of bars for each run, and triangles where the latest value is NaN or infinite."""
    categories = [plotly_text(category, LEGEND_CHARACTERS) for category in chart.categories]
    traces = []
    for number, bars in enumerate(chart.bars):
        color = resolved(bars.color, theme)
        texts = [f"{plotly_text(bars.label)}  {plotly_text(text)}" for text in bars.texts]
        traces.append(
            {
                "type": "bar",
                "name": plotly_text(bars.label, LEGEND_CHARACTERS),
                "legendgroup": f"bars{number}",
                "x": categories,
                "y": typed_array(np.where(bars.is_nonfinite, np.nan, bars.values)),
                "text": texts,
                "textposition": "none",
                "hovertemplate": "%{text}<extra></extra>",
                "marker": {"color": translucent(color, 0.85), "line": {"width": 0}},
                "meta": {"run": bars.label},
            }
        )
        at = np.flatnonzero(bars.is_nonfinite)
        if len(at):
            marker = {"color": theme.alarm, "size": 10, "symbol": "triangle-up"}
            trace = _at_edge(np.zeros(len(at)), [texts[index] for index in at], marker, "nonfinite")
            traces.append(trace | {"x": [categories[index] for index in at], "legendgroup": f"bars{number}"})
    return traces
