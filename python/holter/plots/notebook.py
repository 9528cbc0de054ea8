"""Charts of a run as plotly figures, for `Run.plot` in notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from holter import analysis
from holter.plots.build.bands import band_chart
from holter.plots.build.heatmaps import heatmap_chart
from holter.plots.build.latest import latest_chart
from holter.plots.build.lines import line_chart
from holter.plots.build.view import View
from holter.plots.render.plotly_figure import to_plotly

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from holter import Run
    from holter.plots.build.band_columns import BandKind
    from holter.plots.build.palette import ThemeName

_HEIGHT = 380


def figure_of(
    run: Run,
    pattern: str,
    band: BandKind | None = None,
    *,
    kind: Literal["line", "heatmap", "latest"] = "line",
    title: str | None = None,
    theme: ThemeName = "light",
    change_points: bool = False,
    **view: Any,
) -> go.Figure:
    """Return a chart of the series that match `pattern`; see `Run.plot`."""
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise ImportError("plotly is required: pip install 'holter[serve]'") from error
    names = sorted(run.names(pattern), key=analysis.natural_key)
    if not names:
        raise KeyError(f"no series of {run.path} matches {pattern!r}; names() lists all {len(run.names())} series")
    run_view = View(**view)
    if band is not None:
        chart = band_chart(run, names, band, run_view, title=title, change_points=change_points)
    elif kind == "line":
        chart = line_chart([run], names, run_view, title=title, change_points=change_points)
    elif kind == "heatmap":
        chart = heatmap_chart(run, names, run_view, title=title)
    elif kind == "latest":
        chart = latest_chart([run], names, run_view, title=title)
    else:
        raise ValueError(f"kind must be line, heatmap or latest, got {kind!r}")
    figure = to_plotly(chart, theme)
    figure["layout"]["height"] = _HEIGHT
    # skip_invalid drops attributes that an older plotly does not support.
    return go.Figure(figure, skip_invalid=True)
