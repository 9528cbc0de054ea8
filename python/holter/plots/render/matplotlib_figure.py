"""Draws a chart with matplotlib for papers, and writes it as PNG, SVG or PDF.

Uses neither pyplot nor matplotlib's global state, so several threads can make figures at once.
"""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from holter.plots.build.palette import THEMES, resolved
from holter.plots.build.text import LEGEND_CHARACTERS, TITLE_CHARACTERS, display_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from holter.plots.build.chart import Chart, Heatmap, Line

SUFFIXES = (".png", ".svg", ".pdf")
_THEME = THEMES["light"]
_DOTS_PER_INCH = 200
_MAX_MARKERS = 40
_MAX_LEGEND_ITEMS = 14
_MAX_ROW_LABELS = 32
_MAX_BAR_LABELS = 40
_NOTE_CHARACTERS, _NOTE_INCHES = 140, 0.16
_DASHES = {"solid": "-", "dash": "--", "dot": ":"}


def save(chart: Chart, path: str | os.PathLike[str], *, size: tuple[float, float] = (6.4, 3.6)) -> None:
    """Draw a chart and write it to a file, replacing an existing one.

    Args:
        chart: The chart.
        path: The file; its suffix (`.png`, `.svg` or `.pdf`) determines the format.
        size: Width and height in inches.

    Raises:
        ImportError: If matplotlib is not installed.
        OSError: If the file cannot be written.
        ValueError: If the suffix is not supported.
    """
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"the suffix must be one of {', '.join(SUFFIXES)}, got {suffix or 'none'!r} in {os.fspath(path)!r}"
        )
    # Without a date the same chart gives the same file.
    metadata = {".png": None, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}[suffix]
    to_matplotlib(chart, size=size).savefig(path, format=suffix[1:], dpi=_DOTS_PER_INCH, metadata=metadata)


def to_matplotlib(chart: Chart, *, size: tuple[float, float] = (6.4, 3.6)) -> Figure:
    """Return a chart as a matplotlib figure that is not registered with pyplot.

    Args:
        chart: The chart.
        size: Width and height in inches.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise ImportError("matplotlib is required: pip install 'holter[plot]'") from error
    foot = _NOTE_INCHES / size[1] if chart.note else 0.0
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(rect=(0.0, foot, 1.0, 1.0 - foot)))
    axes = figure.add_subplot()
    if chart.heatmap is not None:
        _draw_heatmap(figure, axes, chart.heatmap)
    elif chart.bars:
        _draw_bars(axes, chart)
    else:
        _draw_lines(axes, chart)
    _decorate(axes, chart)
    if chart.note:
        text = _plain(chart.note, _NOTE_CHARACTERS)
        figure.text(0.995, 0.01, text, ha="right", va="bottom", fontsize=6, color=_THEME.quiet_text)
    return figure


def _draw_lines(axes: Axes, chart: Chart) -> None:
    for depth, line in enumerate(chart.lines):
        color = resolved(line.color, _THEME)
        if line.ribbon is not None:
            axes.fill_between(line.x, *line.ribbon, color=color, alpha=0.15, linewidth=0, zorder=1.0)
            for edge in line.ribbon:
                axes.plot(line.x, edge, color=color, alpha=0.5, linewidth=0.5, zorder=1.1)
        style: dict[str, Any] = {
            "color": color,
            "linestyle": _DASHES[line.dash],
            "linewidth": 1.2,
            "zorder": 2.0 + depth / 1e3,
        }
        if line.is_faint:
            style |= {"alpha": 0.3, "linewidth": 0.6}
        elif len(line.y) <= _MAX_MARKERS:
            style |= {"marker": "o", "markersize": 2.5}
        axes.plot(line.x, line.y, label=None if line.is_faint else _plain(line.label), **style)
        _draw_isolated_points(axes, line, color)
        _draw_at_edge(axes, line.nonfinite.x, 0.0, {"marker": "^", "color": _THEME.alarm})
        if chart.log_y and not line.is_faint:
            lowest = line.y if line.lower is None else np.fmin(line.y, line.lower)
            hollow = {"marker": "v", "facecolors": "none", "edgecolors": color}
            _draw_at_edge(axes, line.x[lowest <= 0], 0.0, hollow)
    for mark in chart.marks:
        color = _THEME.quiet_text if mark.color is None else resolved(mark.color, _THEME)
        axes.axvline(mark.x, color=color, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0.9)


def _draw_isolated_points(axes: Axes, line: Line, color: str) -> None:
    if line.is_faint:
        return
    at = line.isolated
    if len(at):
        axes.plot(line.x[at], line.y[at], "o", color=color, markersize=2.5, zorder=3.0)


def _draw_at_edge(axes: Axes, x: Any, y: float, style: dict[str, Any]) -> None:
    """Draw markers at the lower edge of the axes."""
    if len(x):
        transform = axes.get_xaxis_transform()
        axes.scatter(
            x, np.full(len(x), y), s=18, linewidths=0.7, transform=transform, clip_on=False, zorder=4.0, **style
        )


def _draw_heatmap(figure: Figure, axes: Axes, heatmap: Heatmap) -> None:
    from matplotlib.colors import ListedColormap, LogNorm, Normalize

    low, high = heatmap.low, heatmap.high
    values = heatmap.values
    if heatmap.is_log:
        values = np.where(values > 0, values, np.nan)
        norm: Normalize = LogNorm(low, high if high > low else low * 10) if low > 0 else LogNorm(1.0, 10.0)
    else:
        norm = Normalize(low, high if high > low else low + 1.0)
    if not heatmap.values.size:
        return
    edges_x, edges_y = _edges(heatmap.x), np.arange(len(heatmap.rows) + 1) - 0.5
    cells = axes.pcolormesh(edges_x, edges_y, np.ma.masked_invalid(values), norm=norm, cmap="viridis", rasterized=True)
    bad = np.ma.masked_equal(heatmap.is_nonfinite.astype(np.float64), 0.0)
    axes.pcolormesh(edges_x, edges_y, bad, cmap=ListedColormap([_THEME.alarm]), rasterized=True)
    bar = figure.colorbar(cells, ax=axes, pad=0.02, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=2, color=_THEME.axis, which="both")
    each = -(-len(heatmap.rows) // _MAX_ROW_LABELS)
    axes.set_yticks(range(0, len(heatmap.rows), each), [_plain(label) for label in heatmap.row_labels[::each]])


def _edges(centers: Any) -> Any:
    """The n + 1 borders of n cells around their centers."""
    is_date = centers.dtype.kind == "M"
    x = centers.astype("datetime64[us]").astype(np.int64).astype(np.float64) if is_date else centers
    between = (x[1:] + x[:-1]) / 2
    half = (x[1] - x[0]) / 2 if len(x) > 1 else 0.5
    last = (x[-1] - x[-2]) / 2 if len(x) > 1 else 0.5
    edges = np.concatenate([[x[0] - half], between, [x[-1] + last]])
    return edges.astype(np.int64).astype("datetime64[us]") if is_date else edges


def _draw_bars(axes: Axes, chart: Chart) -> None:
    places = np.arange(len(chart.categories))
    thickness = 0.8 / len(chart.bars)
    for number, bars in enumerate(chart.bars):
        x = places + (number - (len(chart.bars) - 1) / 2) * thickness
        shown = np.where(bars.is_nonfinite, np.nan, bars.values)
        axes.bar(
            x, shown, thickness, color=resolved(bars.color, _THEME), alpha=0.85, label=_plain(bars.label), zorder=2.0
        )
        _draw_at_edge(axes, x[bars.is_nonfinite], 0.0, {"marker": "^", "color": _THEME.alarm})
    each = -(-len(places) // _MAX_BAR_LABELS)
    labels = [_plain(category) for category in chart.categories[::each]]
    is_long = sum(map(len, labels)) > 70
    axes.set_xticks(places[::each], labels, rotation=45 if is_long else 0, ha="right" if is_long else "center")


def _decorate(axes: Axes, chart: Chart) -> None:
    """Add title, axis labels, thresholds, grid and legend."""
    axes.set_title(_plain(chart.title, TITLE_CHARACTERS), loc="left", fontsize=9, color=_THEME.text)
    axes.set_xlabel(_plain(chart.x_label), fontsize=8, color=_THEME.quiet_text)
    axes.set_ylabel(_plain(chart.y_label) if chart.y_label != chart.title else "", fontsize=8, color=_THEME.quiet_text)
    for threshold in chart.thresholds:
        axes.axhline(threshold.y, color=_THEME.quiet_text, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0.9)
        axes.annotate(
            _plain(threshold.label), (1.0, threshold.y), xycoords=axes.get_yaxis_transform(), ha="right", va="bottom",
            fontsize=7, color=_THEME.quiet_text,
        )  # fmt: skip
    if chart.heatmap is None:
        axes.set_yscale("log" if chart.log_y else "linear")
        axes.grid(visible=True, axis="y" if chart.bars else "both", color=_THEME.grid, linewidth=0.6, zorder=0)
        if chart.y_range is not None:
            axes.set_ylim(*chart.y_range)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(labelsize=7, length=0, colors=_THEME.quiet_text, which="both")
    labels = axes.get_legend_handles_labels()[1]
    if 1 < len(labels) <= _MAX_LEGEND_ITEMS:
        axes.legend(fontsize=7, frameon=False, labelcolor=_THEME.text, ncols=2 if len(labels) > 5 else 1)


def _plain(text: str, max_chars: int = LEGEND_CHARACTERS) -> str:
    """A literal text: matplotlib renders `$...$` as a formula and hides labels that start with `_`."""
    shown = display_text(text, max_chars).replace("$", r"\$")
    return f"\u200b{shown}" if shown.startswith("_") else shown
