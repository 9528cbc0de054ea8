"""Writes a report of runs: one HTML file that needs nothing else, opens offline, and runs no script but its own.

It says how far the runs came and how they went, shows the overview and every family of layers, compares them if
they are several, and tells how they were made.
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
from holter.plots.report.page import ChartPart, ReportContent, Section, page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holter import Run
    from holter.plots.build.overview import ChartRequest

Progress: TypeAlias = "Callable[[int, int, str], None]"
_Wanted: TypeAlias = "tuple[ChartRequest, Sequence[Run]]"

_PIXELS = 700
_MAX_FAMILIES = 48
# With fewer layers a heatmap shows nothing that the lines do not.
_MIN_ROWS, _MAX_ROWS, _MAX_HEATMAPS = 4, 256, 4


def report(
    runs: Sequence[Run] | Run,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    at: Sequence[int] = (),
    progress: Progress | None = None,
) -> None:
    """Write a report of runs to the file `path`, which is replaced as a whole.

    Args:
        runs: One run, or several to be compared.
        path: The HTML file.
        title: Its title; the runs' names if None.
        at: The steps at which several runs are compared.
        progress: Is called before each chart with how many are done, how many there are, and what comes next.

    Raises:
        FileNotFoundError: If the file's directory does not exist.
        ImportError: If plotly is not installed.
        IsADirectoryError: If `path` is a directory.
        ValueError: If there is no run.
        StoreError: If a run cannot be read.
    """
    several: list[Run] = list(runs) if isinstance(runs, collections.abc.Sequence) else [runs]
    if not several:
        raise ValueError("a report needs at least one run, got none")
    target = pathlib.Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no directory {os.fspath(target.parent)!r} for the report")
    if target.is_dir():
        raise IsADirectoryError(f"{os.fspath(path)!r} is a directory; a report is written to a file")
    script = plotly_file().read_text("utf-8")
    labels = analysis.run_labels(several)
    planned, unseen = _planned(several, labels)
    content = ReportContent(
        title=title or (labels[0] if len(labels) == 1 else f"{len(labels)} runs: {', '.join(labels)}"),
        generated=dt.datetime.now(dt.timezone.utc),
        runs=tuple(read_reported_run(run, label) for run, label in zip(several, labels, strict=True)),
        sections=tuple(_drawn(planned, progress)),
        comparison=analysis.compare(several, at=at) if len(several) > 1 else None,
        unseen=tuple(unseen),
    )
    _write(target, page(content, script))


def _planned(runs: Sequence[Run], labels: Sequence[str]) -> tuple[list[tuple[str, list[_Wanted]]], list[str]]:
    """The sections to be, and the patterns of the families for which there is no room."""
    names_of = [set(run.names()) for run in runs]
    names = sorted(name for name in set().union(*names_of) if not name.startswith(MARK_PREFIX))
    families = analysis.families(names)
    overview = [request for request in overview_charts(runs) if not request["key"].startswith("family:")]
    planned: list[tuple[str, list[_Wanted]]] = [("Overview", [(request, runs) for request in overview])]
    for family in families[:_MAX_FAMILIES]:
        band = family_request(family, len(runs))
        wanted: list[_Wanted] = [(band, runs)]
        having = [place for place, of_run in enumerate(names_of) if not of_run.isdisjoint(family.names)]
        is_tall = _MIN_ROWS <= len(family.names) <= _MAX_ROWS
        for place in having[:_MAX_HEATMAPS] if is_tall else []:
            of_run = f" · {labels[place]}" if len(runs) > 1 else ""
            title = f"{family.pattern} by layer{of_run}"
            wanted.append(({**band, "kind": "heatmap", "title": title}, [runs[place]]))
        planned.append((family.label, wanted))
    return planned, [family.pattern for family in families[_MAX_FAMILIES:]]


def _drawn(planned: list[tuple[str, list[_Wanted]]], progress: Progress | None) -> list[Section]:
    """The sections with their charts."""
    total = sum(len(wanted) for _, wanted in planned)
    sections, done = [], 0
    for heading, wanted in planned:
        parts = []
        for request, runs in wanted:
            if progress is not None:
                progress(done, total, request["title"])
            parts.append(_part(request, runs))
            done += 1
        sections.append(Section(heading, tuple(parts)))
    if progress is not None:
        progress(total, total, "")
    return sections


def _part(request: ChartRequest, runs: Sequence[Run]) -> ChartPart:
    chart = build_chart(request, runs, View(px=_PIXELS))
    light, dark = (to_plotly(chart, theme, compact=True) for theme in ("light", "dark"))
    return ChartPart(chart, light, tuple(_differences(light, dark)))


def _differences(one: Any, other: Any, at: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    """Where a figure in one theme is not the same as in the other: the way there, and what it is there."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [found for key in one for found in _differences(one[key], other[key], (*at, key))]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [found for place, pair in pairs for found in _differences(*pair, (*at, place))]
    return [] if one == other else [(at, other)]


def _write(target: pathlib.Path, text: str) -> None:
    """Replace the file in one step, so that nobody sees half of it."""
    temporary = target.with_name(f".holter-{secrets.token_hex(8)}.tmp")
    try:
        # A manifest may hold half a surrogate pair, which no file in UTF-8 can.
        with temporary.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
