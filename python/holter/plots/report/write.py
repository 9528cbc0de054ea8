"""Writes a report of runs: one self-contained HTML file that opens offline and runs only its own scripts.

It has the runs' key numbers, the default charts, every family of layers, a comparison of several runs, and the origin
and configuration of each run.
"""

from __future__ import annotations

import collections.abc
import datetime as dt
import os
import pathlib
import secrets
from typing import TYPE_CHECKING, Any, TypeAlias

from holter import analysis
from holter._plotly import plotly_file
from holter.plots.build.marks import MARK_PREFIX
from holter.plots.build.overview import build_chart, family_request, overview_charts
from holter.plots.build.view import View
from holter.plots.render.plotly_figure import to_plotly
from holter.plots.report.facts import read_reported_run
from holter.plots.report.page import ChartPart, ReportContent, Section, load_template, page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holter import Run
    from holter.plots.build.overview import ChartRequest

Progress: TypeAlias = "Callable[[int, int, str], None]"
_Plan: TypeAlias = "list[tuple[str, list[tuple[ChartRequest, Sequence[Run]]]]]"
"""The headings of the sections, each with its charts."""

_PIXELS = 700
_MAX_FAMILIES = 48
# With fewer layers a heatmap shows no more than lines.
_MIN_ROWS, _MAX_ROWS, _MAX_HEATMAPS = 4, 256, 4


def report(
    runs: Sequence[Run] | Run,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    at: Sequence[int] = (),
    on_progress: Progress | None = None,
) -> None:
    """Write a report of runs to a file, replacing it atomically if it exists.

    Args:
        runs: One run, or several runs to compare.
        path: The HTML file.
        title: The title; the names of the runs if None.
        at: The steps at which to compare several runs.
        on_progress: Called before each chart with the number of charts done, their total, and the title of the chart.

    Raises:
        FileNotFoundError: If the directory of the file does not exist.
        ImportError: If plotly or jinja2 is not installed.
        IsADirectoryError: If `path` is a directory.
        ValueError: If `runs` is empty.
        StoreError: If a run cannot be read.
    """
    several: list[Run] = list(runs) if isinstance(runs, collections.abc.Sequence) else [runs]
    if not several:
        raise ValueError("a report needs at least one run, got none")
    target = pathlib.Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the directory {os.fspath(target.parent)!r} of the report does not exist")
    if target.is_dir():
        raise IsADirectoryError(f"{os.fspath(path)!r} is a directory; expected the path of a file")
    script, template = plotly_file().read_text("utf-8"), load_template()
    labels = analysis.run_labels(several)
    plan, omitted = _plan(several, labels)
    content = ReportContent(
        title=title or (labels[0] if len(labels) == 1 else f"{len(labels)} runs: {', '.join(labels)}"),
        generated=dt.datetime.now(dt.timezone.utc),
        runs=tuple(read_reported_run(run, label) for run, label in zip(several, labels, strict=True)),
        sections=tuple(_draw(plan, on_progress)),
        comparison=analysis.compare(several, at=at) if len(several) > 1 else None,
        omitted=tuple(omitted),
    )
    _write(target, page(template, content, script))


def _plan(runs: Sequence[Run], labels: Sequence[str]) -> tuple[_Plan, list[str]]:
    """The charts of each section, and the patterns of the families beyond the limit."""
    run_names = [set(run.names()) for run in runs]
    names = sorted(name for name in set().union(*run_names) if not name.startswith(MARK_PREFIX))
    families = analysis.families(names)
    overview = [request for request in overview_charts(runs) if not request["key"].startswith("family:")]
    plan: _Plan = [("Overview", [(request, runs) for request in overview])]
    for family in families[:_MAX_FAMILIES]:
        band = family_request(family, len(runs))
        charts: list[tuple[ChartRequest, Sequence[Run]]] = [(band, runs)]
        members = [index for index, own in enumerate(run_names) if not own.isdisjoint(family.names)]
        has_heatmap = _MIN_ROWS <= len(family.names) <= _MAX_ROWS
        for index in members[:_MAX_HEATMAPS] if has_heatmap else []:
            suffix = f" · {labels[index]}" if len(runs) > 1 else ""
            title = f"{family.pattern} by layer{suffix}"
            charts.append(({**band, "kind": "heatmap", "title": title}, [runs[index]]))
        plan.append((family.label, charts))
    return plan, [family.pattern for family in families[_MAX_FAMILIES:]]


def _draw(plan: _Plan, on_progress: Progress | None) -> list[Section]:
    """The sections with their charts."""
    total = sum(len(charts) for _, charts in plan)
    sections, done = [], 0
    for heading, charts in plan:
        parts = []
        for request, runs in charts:
            if on_progress is not None:
                on_progress(done, total, request["title"])
            parts.append(_part(done, request, runs))
            done += 1
        sections.append(Section(heading, tuple(parts)))
    if on_progress is not None:
        on_progress(total, total, "")
    return sections


def _part(number: int, request: ChartRequest, runs: Sequence[Run]) -> ChartPart:
    chart = build_chart(request, runs, View(px=_PIXELS))
    light, dark = (to_plotly(chart, theme, compact=True) for theme in ("light", "dark"))
    return ChartPart(number, chart, light, tuple(_differences(light, dark)))


def _differences(a: Any, b: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    """The paths at which two figures differ, with the values of the second."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return [found for key in a for found in _differences(a[key], b[key], (*path, key))]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        pairs = enumerate(zip(a, b, strict=True))
        return [found for index, pair in pairs for found in _differences(*pair, (*path, index))]
    return [] if a == b else [(path, b)]


def _write(target: pathlib.Path, text: str) -> None:
    """Replace the file atomically, so that readers never see a part of it."""
    temporary = target.with_name(f".holter-{secrets.token_hex(8)}.tmp")
    try:
        # A manifest may contain a lone surrogate, which UTF-8 cannot encode.
        with temporary.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
