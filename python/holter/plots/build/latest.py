"""Builds bar charts of the latest values: one bar for each layer, one color for each run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holter import analysis
from holter.plots.build.chart import Bars, Chart
from holter.plots.build.lines import title_of
from holter.plots.build.reading import missing, present_buckets
from holter.plots.build.text import distinct_parts
from holter.plots.build.view import WHOLE, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holter import Buckets, Run
    from holter.plots.build.chart import Color, Threshold


# How many steps before the end of a window are looked at first for the last point of a series.
_REACH = 64


def latest_chart(
    runs: Sequence[Run],
    names: Sequence[str],
    view: View = WHOLE,
    *,
    title: str | None = None,
    thresholds: Iterable[Threshold] = (),
    colors: Sequence[Color] | None = None,
) -> Chart:
    """Build a chart with a bar for the latest value of each series, in the order of the layers.

    Args:
        runs: The runs; one that lacks a series has no bar there.
        names: The series' names, such as those of a family.
        view: The latest value is the last one in its window.
        title: The chart's title; made of the names if None.
        thresholds: Horizontal lines.
        colors: A color for each run; the palette's by their order if None.

    Raises:
        KeyError: If no run has any of the series.
    """
    read = [present_buckets(run, names, start=view.start, stop=view.stop) for run in runs]
    if not any(read):
        raise missing(runs, names)
    last = [_last(run, of_run, view) for run, of_run in zip(runs, read, strict=True)]
    rows = sorted({name for of_run in last for name in of_run}, key=analysis.natural_key)
    bars = [
        _bars(label, rows, of_run, place if colors is None else colors[place])
        for place, (label, of_run) in enumerate(zip(analysis.run_labels(runs), last, strict=True))
    ]
    return Chart(
        kind="latest",
        title=title if title is not None else title_of(rows or list(names)),
        x_label="",
        categories=tuple(distinct_parts(rows)),
        bars=tuple(bars),
        thresholds=tuple(thresholds),
        log_y=view.log_y,
        note=_note(last),
        window=(view.start, view.stop),
    )


def _last(run: Run, coarse: Sequence[Buckets], view: View) -> dict[str, Buckets]:
    """For each series the bucket that ends with its last point in the window."""
    found = {buckets.name: buckets for buckets in coarse if len(buckets.steps)}
    if view.stop is None or not found:
        return found
    # A coarse bucket may reach beyond the window: the points before its end are looked at, ever more of them.
    first = min(int(buckets.steps[0]) for buckets in found.values())
    first = first if view.start is None else max(first, view.start)
    last: dict[str, Buckets] = {}
    begin, reach = view.stop, _REACH
    while begin > first and len(last) < len(found):
        begin, reach = max(first, view.stop - reach), reach * 8
        pending = [name for name in found if name not in last]
        points = run.buckets(pending, width=1, start=begin, stop=view.stop)
        last |= {buckets.name: buckets for buckets in points if len(buckets.steps)}
    return last


def _bars(label: str, rows: Sequence[str], last: Mapping[str, Buckets], color: Color) -> Bars:
    values = np.array([float(last[row].lasts[-1]) if row in last else np.nan for row in rows])
    texts = [
        f"{row}: {value:.5g} at step {int(last[row].last_steps[-1]):,}" if row in last else ""
        for row, value in zip(rows, values.tolist(), strict=True)
    ]
    is_there = np.array([row in last for row in rows], np.bool_)
    return Bars(label, values, tuple(texts), is_there & ~np.isfinite(values), color)


def _note(last: Sequence[Mapping[str, Buckets]]) -> str:
    """At which steps the values were logged."""
    steps = {int(buckets.last_steps[-1]) for of_run in last for buckets in of_run.values()}
    if not steps:
        return ""
    return f"step {max(steps):,}" if len(steps) == 1 else f"steps {min(steps):,} to {max(steps):,}"
