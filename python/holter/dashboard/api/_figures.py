"""Figures for the page: a request's charts, each built by `holter.plots` and rendered for plotly.js.

Everything is read through `Run.buckets`, so a figure costs about the same whatever the length of its runs. One that
was made is kept until its runs change or others need its room. A chart that cannot be made says why, in its place.
"""

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holter.dashboard.api._asked_once import asked_once
from holter.dashboard.api._requests import ChartSpec, FiguresSpec, ViewSpec
from holter.dashboard.api._runs import Entry, RunFolder, reading
from holter.dashboard.api._text import numbered
from holter.dashboard.http._cache import ByteCache
from holter.dashboard.http._errors import Refused
from holter.dashboard.http._json import dumps

if TYPE_CHECKING:
    from holter.plots import Chart, Threshold, View

__all__ = ["CACHE_BYTES", "MAX_ANSWER_BYTES", "MAX_POINTS", "Figures"]

CACHE_BYTES = 64 << 20
MAX_ANSWER_BYTES = 64 << 20
MAX_POINTS = 1_500_000  # series × pixels of one chart: some 120 MB while it is made

_LOG = logging.getLogger(__name__)


class Figures:
    """Makes and keeps figures. May be used by several threads at once.

    Args:
        folder: The runs.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._cache = ByteCache(CACHE_BYTES)

    def overview(self, run_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return what the page shows first of these runs, as the charts of a request for figures."""
        from holter import plots

        entries = self._folder.get_all(run_ids)
        groups = [{"label": entry.name, "color": entry.colour, "runs": [entry.id]} for entry in entries]
        with reading(*entries):
            return [{**chart, "groups": groups} for chart in plots.overview_charts([entry.run for entry in entries])]

    def render(self, spec: FiguresSpec) -> bytes:
        """Return the body of the answer: a figure for each chart, in order.

        Raises:
            Refused: 404 if a run was never there, 410 if all runs that are asked for are gone.
        """
        entries, gone = self._entries(spec.charts)
        pieces: list[bytes] = []
        num_bytes = 0
        for chart in spec.charts:
            if num_bytes < MAX_ANSWER_BYTES:
                pieces.append(self._figure(chart, spec, entries, gone))
            else:
                pieces.append(_answer(chart, _nothing("the answer would be too large; ask for fewer charts"), {}))
            num_bytes += len(pieces[-1])
        return b'{"figures":[' + b",".join(pieces) + b"]}"

    def _entries(self, charts: Iterable[ChartSpec]) -> tuple[dict[str, Entry], dict[str, str]]:
        """The runs that are there, and of those that are gone the reason."""
        entries: dict[str, Entry] = {}
        gone: dict[str, str] = {}
        for run_id in dict.fromkeys(run for chart in charts for group in chart.groups for run in group.runs):
            found = self._folder.look_up(run_id)
            if isinstance(found, str):
                gone[run_id] = found
            else:
                entries[run_id] = dataclasses.replace(found, run=asked_once(found.run))
        if gone and not entries:
            raise Refused(410, next(iter(gone.values())))
        return entries, gone

    def _figure(self, chart: ChartSpec, spec: FiguresSpec, entries: dict[str, Entry], gone: dict[str, str]) -> bytes:
        groups = [[entries[run] for run in group.runs if run in entries] for group in chart.groups]
        wanted = {run: None for group in chart.groups for run in group.runs}
        revisions = {run: entries[run].revision for run in wanted if run in entries}
        created = tuple(entries[run].run.created for run in revisions)
        key = (chart, spec.view, spec.theme, tuple(revisions.items()), created)
        kept = self._cache.get(key)
        if kept is not None:
            return kept
        lost = [gone[run] for run in wanted if run in gone]
        try:
            fields = _made(chart, groups, spec)
            notes = [fields["note"], *lost]
            fields["note"] = "; ".join(note for note in notes if note)
        except Refused as refused:
            fields = _nothing("; ".join(dict.fromkeys([*lost, refused.message])))
        except Exception:  # noqa: BLE001  one chart's; the page's others are drawn all the same
            _LOG.exception("a chart could not be made: %r", chart)
            fields = _nothing("the server failed at this chart; its terminal says more")
        content = _answer(chart, fields, revisions)
        if "error" not in fields:
            self._cache.put(key, content)
        return content


def _made(chart: ChartSpec, groups: list[list[Entry]], spec: FiguresSpec) -> dict[str, Any]:
    """The figure's fields.

    Raises:
        Refused: If it cannot be made.
    """
    from holter import plots

    entries = [entry for group in groups for entry in group]
    if not entries:
        raise Refused(410, "none of its runs is there any more")
    if not chart.names:
        raise Refused(404, "it names no series")
    num_series = len(entries) * len(chart.names)
    if num_series * spec.view.px > MAX_POINTS:
        raise Refused(400, f"it is of {num_series:,} series (runs × names), too many to draw; select fewer")
    try:
        with reading(*entries):
            built = _build(chart, groups, _view(spec.view))
    except (ValueError, ImportError) as error:
        raise Refused(400, str(error)) from error
    return {"figure": plots.to_plotly(built, spec.theme), "note": built.note, "width": built.width}


def _answer(chart: ChartSpec, fields: Mapping[str, Any], revisions: Mapping[str, str]) -> bytes:
    return dumps({"key": chart.key, **fields, "revision": revisions})


def _nothing(reason: str) -> dict[str, Any]:
    return {"figure": {"data": [], "layout": {}}, "note": "", "width": 1, "error": reason}


def _view(view: ViewSpec) -> "View":
    from holter import plots

    fields = dataclasses.asdict(view)
    return plots.View(trim_outliers=fields.pop("trim"), **fields)


def _build(chart: ChartSpec, groups: list[list[Entry]], view: "View") -> "Chart":
    from holter import plots

    title, names = chart.title, chart.names
    thresholds = [plots.Threshold(threshold.y, threshold.label) for threshold in chart.thresholds]
    if chart.kind == "band":
        return _build_band(chart, groups, view, thresholds)
    members = [(entry, spec) for group, spec in zip(groups, chart.groups, strict=True) for entry in group]
    runs = [entry.run for entry, _ in members]
    colours = [entry.colour if spec.colour is None else spec.colour for entry, spec in members]
    if chart.kind == "heatmap":
        return plots.heatmap_chart(runs[0], names, view, title=title)
    if chart.kind == "latest":
        return plots.latest_chart(runs, names, view, title=title, thresholds=thresholds, colours=colours)
    if chart.kind == "speed":
        return plots.speed_chart(runs, names, view, title=title, colours=colours)
    return plots.line_chart(
        runs, names, view, title=title, thresholds=thresholds, colours=colours, change_points=chart.change_points
    )


def _build_band(chart: ChartSpec, groups: list[list[Entry]], view: "View", thresholds: list["Threshold"]) -> "Chart":
    from holter import plots

    filled = [(spec, group) for group, spec in zip(groups, chart.groups, strict=True) if group]
    labels = numbered([spec.label for spec, _ in filled])
    return plots.band_chart(
        {label: [entry.run for entry in group] for label, (_, group) in zip(labels, filled, strict=True)},
        chart.names,
        chart.band,
        view,
        title=chart.title,
        thresholds=thresholds,
        colours=[group[0].colour if spec.colour is None else spec.colour for spec, group in filled],
        change_points=chart.change_points,
    )
