"""Builds bar charts of the latest values: one bar per layer, one color per run."""

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


# The number of steps before the end of the window to search first for the last point of a series.
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
    """Build a chart with a bar for the latest value of each series, in layer order.

    Args:
        runs: The runs; a run without a series has no bar for it.
        names: The names of the series, such as those of a family.
        view: The window whose last value is shown.
        title: The chart's title; derived from the names if None.
        thresholds: Horizontal lines.
        colors: A color for each run; the palette in order if None.

    Raises:
        KeyError: If no run has any of the series.
    """
    read = [present_buckets(run, names, start=view.start, stop=view.stop) for run in runs]
    if not any(read):
        raise missing(runs, names)
    last = [_last(run, buckets, view) for run, buckets in zip(runs, read, strict=True)]
    rows = sorted({name for by_name in last for name in by_name}, key=analysis.natural_key)
    bars = [
        _bars(label, rows, by_name, index if colors is None else colors[index])
        for index, (label, by_name) in enumerate(zip(analysis.run_labels(runs), last, strict=True))
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
    """For each series, the bucket that ends with its last point in the window."""
    found = {buckets.name: buckets for buckets in coarse if len(buckets.steps)}
    if view.stop is None or not found:
        return found
    # A coarse bucket may extend beyond the window, so search the points before its end, in growing ranges.
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
    has_value = np.array([row in last for row in rows], np.bool_)
    return Bars(label, values, tuple(texts), has_value & ~np.isfinite(values), color)


def _note(last: Sequence[Mapping[str, Buckets]]) -> str:
    """The steps of the values."""
    steps = {int(buckets.last_steps[-1]) for by_name in last for buckets in by_name.values()}
    if not steps:
        return ""
    return f"step {max(steps):,}" if len(steps) == 1 else f"steps {min(steps):,} to {max(steps):,}"
