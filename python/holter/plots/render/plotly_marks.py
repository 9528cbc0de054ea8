"""Vertical marks and horizontal thresholds in plotly: lines as shapes, and the heads of marks as a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from holter.plots.build.palette import resolved, translucent
from holter.plots.build.text import LEGEND_CHARACTERS, plotly_text
from holter.plots.render.plotly_drawing import edge_markers, epoch_millis

if TYPE_CHECKING:
    from holter.plots.build.chart import Chart, Mark, MarkKind
    from holter.plots.build.palette import Theme
    from holter.plots.render.plotly_drawing import Trace

_MAX_LABELED_MARKS = 6
_MARK_CHARACTERS = 24
# The share of the x-axis that the label of a mark covers.
_LABEL_SHARE = 0.12


def draw_marks(chart: Chart, theme: Theme, *, compact: bool) -> tuple[list[Trace], list[dict[str, Any]]]:
    """Return the trace with the heads of the marks, and the shapes of thresholds and marks.

    A head shows its label in the hover, and beside it if there is room and the figure is not compact.
    """
    shapes = [_threshold(threshold.y, threshold.label, theme) for threshold in chart.thresholds]
    colors, texts = [], []
    for mark in chart.marks:
        color = _mark_color(mark, theme)
        colors.append(color)
        texts.append(f"<b>{plotly_text(mark.label)}</b> at step {mark.step:,}")
        shapes.append(_vertical(mark, color, "below" if chart.heatmap is None else "above"))
    if not chart.marks:
        return [], shapes
    marker = {"color": colors, "size": 6, "symbol": "diamond"}
    trace = edge_markers(np.array([mark.x for mark in chart.marks]), texts, marker, "marks", y=1.0)
    if not compact and _has_room(chart):
        trace |= {
            "mode": "markers+text",
            "text": [plotly_text(mark.label, _MARK_CHARACTERS) for mark in chart.marks],
            "textposition": "bottom right",
            "textfont": {"size": 10, "color": theme.quiet_text},
            "hovertext": texts,
            "hovertemplate": "%{hovertext}<extra></extra>",
        }
    return [trace], shapes


def _threshold(y: float, label: str, theme: Theme) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": y,
        "y1": y,
        "line": {"color": theme.quiet_text, "width": 1, "dash": "dash"},
    }
    if label:
        text = plotly_text(label, LEGEND_CHARACTERS)
        font = {"size": 10, "color": theme.quiet_text}
        shape["label"] = {"text": text, "textposition": "end", "yanchor": "bottom", "font": font}
    return shape


def _vertical(mark: Mark, color: str, layer: str) -> dict[str, Any]:
    x: Any = float(epoch_millis(mark.x)) if isinstance(mark.x, np.datetime64) else mark.x
    return {
        "type": "line",
        "yref": "paper",
        "x0": x,
        "x1": x,
        "y0": 0,
        "y1": 1,
        "layer": layer,
        "line": {"color": translucent(color, 0.7), "width": 1, "dash": "dash"},
    }


def _has_room(chart: Chart) -> bool:
    """Whether the labels of the marks fit without overlapping each other or the edge of the chart."""
    if len(chart.marks) > _MAX_LABELED_MARKS or any(mark.color is not None for mark in chart.marks):
        return False
    x = np.concatenate([line.x for line in chart.lines]) if chart.lines else np.empty(0)
    places = np.sort(np.array([mark.x for mark in chart.marks], x.dtype))
    gaps = np.diff(np.append(places, x.max())) if len(x) else np.empty(0)
    return bool(len(gaps) and (gaps >= (x.max() - x.min()) * _LABEL_SHARE).all())


def _mark_color(mark: Mark, theme: Theme) -> str:
    """The color of the mark's run, or of its kind."""
    if mark.color is not None:
        return resolved(mark.color, theme)
    by_kind: dict[MarkKind, str] = {"change": theme.change, "restart": theme.alarm, "alert": theme.alarm}
    return by_kind.get(mark.kind, theme.quiet_text)
