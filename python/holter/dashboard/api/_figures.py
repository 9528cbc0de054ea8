"""Figures for the page: builds a request's charts with `holter.plots` and renders them for plotly.js.

All data comes from `Run.buckets`, so the cost of a figure does not depend on the length of its runs. Figures are cached
until their runs change. A chart that cannot be drawn has an error in its place and does not fail the request.
"""

import dataclasses
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from holter._text import numbered
from holter.dashboard.api._cached_run import cached
from holter.dashboard.api._requests import ChartSpec, FiguresRequest, GroupSpec, ViewSpec
from holter.dashboard.api._responses import FigureAnswer, OverviewResponse, PlotlyFigure
from holter.dashboard.api._runs import Entry, RunFolder, reading
from holter.dashboard.http._cache import ByteCache
from holter.dashboard.http._errors import RequestError
from holter.dashboard.http._json import json_bytes

if TYPE_CHECKING:
    from holter.plots import Chart, Threshold, View

__all__ = ["CACHE_BYTES", "MAX_POINTS", "MAX_RESPONSE_BYTES", "Figures"]

CACHE_BYTES = 64 << 20
MAX_RESPONSE_BYTES = 64 << 20
MAX_POINTS = 1_500_000  # series × pixels of one chart; drawing that many takes some 120 MB

_LOG = logging.getLogger(__name__)


class Figures:
    """Draws and caches figures. Thread-safe.

    Args:
        folder: The runs.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._cache = ByteCache(CACHE_BYTES)

    def overview(self, run_ids: Sequence[str]) -> OverviewResponse:
        """Return the charts that the page shows first for these runs."""
        from holter import plots

        entries = self._folder.get_all(run_ids)
        groups = tuple(GroupSpec(entry.name, (entry.id,), entry.color) for entry in entries)
        with reading(*entries):
            charts = plots.overview_charts([entry.run for entry in entries])
        return OverviewResponse(
            [
                ChartSpec(chart["key"], chart["kind"], tuple(chart["names"]), groups, chart["title"], chart["band"])
                for chart in charts
            ]
        )

    def render(self, request: FiguresRequest) -> bytes:
        """Return the body of the response: a figure for each chart, in order.

        Raises:
            RequestError: 404 if a run is unknown, 410 if all of the runs are gone.
        """
        entries, gone = self._entries(request.charts)
        pieces: list[bytes] = []
        num_bytes = 0
        for chart in request.charts:
            if num_bytes < MAX_RESPONSE_BYTES:
                pieces.append(self._figure(chart, request, entries, gone))
            else:
                pieces.append(json_bytes(_failed(chart, "the response is too large; request fewer charts", {})))
            num_bytes += len(pieces[-1])
        return b'{"figures":[' + b",".join(pieces) + b"]}"

    def _entries(self, charts: Iterable[ChartSpec]) -> tuple[dict[str, Entry], dict[str, str]]:
        """Return the runs that exist, and the reasons for those that are gone."""
        entries: dict[str, Entry] = {}
        gone: dict[str, str] = {}
        for run_id in dict.fromkeys(run for chart in charts for group in chart.groups for run in group.runs):
            found = self._folder.look_up(run_id)
            if isinstance(found, str):
                gone[run_id] = found
            else:
                entries[run_id] = dataclasses.replace(found, run=cached(found.run))
        if gone and not entries:
            raise RequestError(410, next(iter(gone.values())))
        return entries, gone

    def _figure(
        self, chart: ChartSpec, request: FiguresRequest, entries: dict[str, Entry], gone: dict[str, str]
    ) -> bytes:
        groups = [[entries[run] for run in group.runs if run in entries] for group in chart.groups]
        run_ids = list(dict.fromkeys(run for group in chart.groups for run in group.runs))
        revisions = {run: entries[run].revision for run in run_ids if run in entries}
        created = tuple(entries[run].run.created for run in revisions)
        key = (chart, request.view, request.theme, tuple(revisions.items()), created)
        stored = self._cache.get(key)
        if stored is not None:
            return stored
        missing = [gone[run] for run in run_ids if run in gone]
        try:
            answer = _draw(chart, groups, request, revisions)
            answer.note = "; ".join(note for note in (answer.note, *missing) if note)
        except RequestError as error:
            answer = _failed(chart, "; ".join(dict.fromkeys([*missing, error.message])), revisions)
        except Exception:  # noqa: BLE001  fails this chart, not the page's other charts
            _LOG.exception("failed to draw chart %r", chart)
            answer = _failed(chart, "internal error while drawing this chart; see the server's terminal", revisions)
        content = json_bytes(answer)
        if answer.error is msgspec.UNSET:
            self._cache.put(key, content)
        return content


def _draw(
    chart: ChartSpec, groups: list[list[Entry]], request: FiguresRequest, revisions: dict[str, str]
) -> FigureAnswer:
    """Draw a chart.

    Raises:
        RequestError: If it cannot be drawn.
    """
    from holter import plots

    entries = [entry for group in groups for entry in group]
    if not entries:
        raise RequestError(410, "none of the chart's runs exists any more")
    if not chart.names:
        raise RequestError(404, "the chart has no series; expected at least one name")
    num_series = len(entries) * len(chart.names)
    if num_series * request.view.px > MAX_POINTS:
        raise RequestError(400, f"the chart has {num_series:,} series (runs × names), too many to draw; select fewer")
    try:
        with reading(*entries):
            built = _build(chart, groups, _view(request.view))
    except (ValueError, ImportError) as error:
        raise RequestError(400, str(error)) from error
    figure = PlotlyFigure(**plots.to_plotly(built, request.theme))
    return FigureAnswer(key=chart.key, figure=figure, note=built.note, width=built.width, revision=revisions)


def _failed(chart: ChartSpec, reason: str, revisions: dict[str, str]) -> FigureAnswer:
    return FigureAnswer(key=chart.key, figure=PlotlyFigure([], {}), revision=revisions, error=reason)


def _view(view: ViewSpec) -> "View":
    from holter import plots

    fields = msgspec.structs.asdict(view)
    return plots.View(trim_outliers=fields.pop("trim"), **fields)


def _build(chart: ChartSpec, groups: list[list[Entry]], view: "View") -> "Chart":
    from holter import plots

    title, names = chart.title, chart.names
    thresholds = [plots.Threshold(threshold.y, threshold.label) for threshold in chart.thresholds or ()]
    if chart.kind == "band":
        return _build_band(chart, groups, view, thresholds)
    members = [(entry, spec) for group, spec in zip(groups, chart.groups, strict=True) for entry in group]
    runs = [entry.run for entry, _ in members]
    colors = [_color(spec, entry) for entry, spec in members]
    if chart.kind == "heatmap":
        return plots.heatmap_chart(runs[0], names, view, title=title)
    if chart.kind == "latest":
        return plots.latest_chart(runs, names, view, title=title, thresholds=thresholds, colors=colors)
    if chart.kind == "speed":
        return plots.speed_chart(runs, names, view, title=title, colors=colors)
    return plots.line_chart(
        runs, names, view, title=title, thresholds=thresholds, colors=colors, change_points=chart.change_points
    )


def _build_band(chart: ChartSpec, groups: list[list[Entry]], view: "View", thresholds: list["Threshold"]) -> "Chart":
    from holter import plots

    filled = [(spec, group) for group, spec in zip(groups, chart.groups, strict=True) if group]
    labels = numbered([spec.label for spec, _ in filled])
    return plots.band_chart(
        {label: [entry.run for entry in group] for label, (_, group) in zip(labels, filled, strict=True)},
        chart.names,
        chart.band or "std",
        view,
        title=chart.title,
        thresholds=thresholds,
        colors=[_color(spec, group[0]) for spec, group in filled],
        change_points=chart.change_points,
    )


def _color(spec: GroupSpec, entry: Entry) -> int:
    return entry.color if spec.color is None else spec.color
