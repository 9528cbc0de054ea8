"""The default charts of runs, selected by the names of the series.

A request describes a chart without its data, so that a page can build the chart when it becomes visible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from holter import analysis
from holter.analysis import naming
from holter.plots.build.bands import band_chart
from holter.plots.build.heatmaps import heatmap_chart
from holter.plots.build.latest import latest_chart
from holter.plots.build.lines import line_chart
from holter.plots.build.speed import speed_chart
from holter.plots.build.view import WHOLE, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holter import Run
    from holter.analysis import Family
    from holter.plots.build.band_columns import BandKind
    from holter.plots.build.chart import Chart, ChartKind, Color

_MAX_FAMILIES = 6
_MAX_SPLITS = 4
_MIN_CHARTS = 4
_MAX_FAMILY_LINES = 3
# Families to show first, in this order, by parts of the names that probes use.
_PRIORITY = (
    "attention_entropy",
    "attention_sparsity",
    "effective_rank",
    "memory_",
    "m3_alpha",
    "mixer",
    "activation",
    "loss",
)
# Families with one member per parameter are shown last: there are hundreds of them, all equally important.
_PARAMETER_FAMILIES = ("grad_norm/", "gradient_norm/", "param_norm/", "weight_norm/", "update_ratio/")


class ChartRequest(TypedDict):
    """The description of a chart, as JSON.

    Attributes:
        key: A unique key, stable for the same runs.
        title: The title.
        kind: The builder.
        band: The kind of band, for band charts.
        names: The series.
    """

    key: str
    title: str
    kind: ChartKind
    band: BandKind
    names: list[str]


def overview_charts(runs: Sequence[Run]) -> list[ChartRequest]:
    """Return the default charts: losses, perplexity, accuracy, gradient norm, speed, families, learning rate.

    If these are fewer than four, the first other series follow. Empty only if no run has any points.

    Args:
        runs: The runs; the series of all of them are considered.
    """
    names = list(dict.fromkeys(name for run in runs for name in run.names() if not name.startswith("mark/")))
    if not names:
        return []
    known = (
        ("loss", "loss", naming.LOSS),
        ("perplexity", "perplexity", naming.PERPLEXITY),
        ("accuracy", "accuracy", naming.ACCURACY),
        ("gradient-norm", "total gradient norm", naming.GRADIENT_NORM),
    )
    charts = []
    for key, title, metric in known:
        found = naming.names_for_metric(names, metric)
        if found:
            charts.append(_request(key, title, "line", found[:_MAX_SPLITS]))
    loss = charts[0]["names"] if charts else []
    charts.append(_request("speed", "steps per second", "speed", loss or names[:1]))
    charts += _family_charts(names, len(runs))
    rates = naming.names_for_metric(names, naming.LEARNING_RATE) or [
        name for name in names if naming.meaning(name).metric.startswith("lr_")
    ]
    if rates:
        charts.append(_request("learning-rate", "learning rate", "line", rates[:_MAX_SPLITS]))
    shown = {name for chart in charts if chart["kind"] != "speed" for name in chart["names"]}
    rest = (name for name in names if name not in shown)
    for name in rest:
        if len(charts) >= _MIN_CHARTS:
            break
        charts.append(_request(f"series:{name}", name, "line", [name]))
    return charts


def build_chart(
    request: ChartRequest, runs: Sequence[Run], view: View = WHOLE, *, colors: Sequence[Color] | None = None
) -> Chart:
    """Build the chart that a request describes.

    Each run forms its own group. A heatmap shows the first run that has any of the series.

    Raises:
        KeyError: If no run has any of the series.
        ValueError: If the kind or the band is invalid.
    """
    names, title = request["names"], request["title"]
    if request["kind"] == "line":
        return line_chart(runs, names, view, title=title, colors=colors)
    if request["kind"] == "band":
        return band_chart(runs, names, request["band"], view, title=title, colors=colors)
    if request["kind"] == "heatmap":
        return heatmap_chart(_first_with(runs, names), names, view, title=title)
    if request["kind"] == "latest":
        return latest_chart(runs, names, view, title=title, colors=colors)
    if request["kind"] == "speed":
        return speed_chart(runs, names, view, title=title, colors=colors)
    raise ValueError(f"kind must be line, band, heatmap, latest or speed, got {request['kind']!r}")


def family_request(family: Family, num_runs: int) -> ChartRequest:
    """Return the chart of a family: a band, or lines for a few members of a single run."""
    kind: ChartKind = "line" if len(family.names) <= _MAX_FAMILY_LINES and num_runs == 1 else "band"
    return _request(f"family:{family.pattern}", family.pattern, kind, list(family.names))


def _first_with(runs: Sequence[Run], names: Iterable[str]) -> Run:
    wanted = set(names)
    return next((run for run in runs if not wanted.isdisjoint(run.names())), runs[0])


def _family_charts(names: Iterable[str], num_runs: int) -> list[ChartRequest]:
    def place(family: Family) -> tuple[bool, int, int]:
        rank = next((index for index, part in enumerate(_PRIORITY) if part in family.pattern), len(_PRIORITY))
        return family.pattern.startswith(_PARAMETER_FAMILIES), rank, -len(family.names)

    ordered = sorted(analysis.families(names), key=place)
    return [family_request(family, num_runs) for family in ordered[:_MAX_FAMILIES]]


def _request(key: str, title: str, kind: ChartKind, names: list[str]) -> ChartRequest:
    return {"key": key, "title": title, "kind": kind, "band": "std", "names": names}
