"""Vertical marks: what the user logged as `mark/<label>`, restarts, and change points.

They are found in steps, and stand on the x-axis where the run's first series in the chart has that step.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np

from holter import analysis
from holter.plots.chart import Mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from holter import Run
    from holter.plots.axes import XAxis
    from holter.plots.chart import Colour, IntArray, Line, MarkKind, XArray
    from holter.plots.reading import Reading
    from holter.plots.view import View

MARK_PREFIX = "mark/"
# What is logged more often is no mark; the chart stays readable.
_MOST_PER_LABEL = 50
_MOST_LABELS = 20
# Buckets among which a restart is looked for, before it is looked for among the points of one.
_COARSE = 500


def run_marks(
    runs: Sequence[Run], reading: Reading, axis: XAxis, view: View, colours: Sequence[Colour] | None = None
) -> list[Mark]:
    """Return the marks and the restarts of the runs that are in the chart.

    Args:
        runs: The runs.
        reading: What is drawn of them.
        axis: Where it is drawn.
        view: Its window is heeded.
        colours: A colour for each run; the palette's by their order if None.
    """
    if not view.marks:
        return []
    marks = []
    for index, (steps, x) in _anchors(reading, axis).items():
        colour = None if len(runs) == 1 else index if colours is None else colours[index]
        found = [*_logged(runs[index], view), *_restarts(runs[index], view)]
        marks += [Mark(_placed(steps, x, step), label, kind, step, colour) for step, label, kind in found]
    return marks


def change_marks(lines: Sequence[Line]) -> list[Mark]:
    """Return the change points of the lines.

    Raises:
        ImportError: If `ruptures` is not installed.
    """
    marks = []
    for line in lines:
        steps, at = np.unique(line.steps, return_index=True)
        for change in analysis.change_points(steps, line.y[at]):
            label = f"change {change.before:.3g} → {change.after:.3g} ({change.confidence:.0%})"
            x = _placed(steps, line.x[at], change.step)
            marks.append(Mark(x, label, "change", change.step, line.colour if len(lines) > 1 else None))
    return marks


def _anchors(reading: Reading, axis: XAxis) -> Mapping[int, tuple[IntArray, XArray]]:
    """For each run the steps and the x of its first series that has points."""
    anchors: dict[int, tuple[IntArray, XArray]] = {}
    for (index, name), buckets in reading.shown.items():
        if index not in anchors and name != axis.metric and len(buckets.steps):
            x = axis.place(index, buckets)
            is_there = ~np.isnan(x)
            if is_there.any():
                anchors[index] = (buckets.last_steps[is_there], x[is_there])
    return anchors


def _placed(steps: IntArray, x: XArray, step: int) -> float | np.datetime64:
    """X at a step, between the points beside it."""
    if x.dtype.kind == "M":
        micros = np.interp(step, steps, x.astype(np.int64).astype(np.float64))
        return np.datetime64(int(micros), "us")
    return float(np.interp(step, steps, x))


def _logged(run: Run, view: View) -> Iterator[tuple[int, str, MarkKind]]:
    """The steps of each series `mark/<label>`."""
    names = run.names(f"{MARK_PREFIX}?*")[:_MOST_LABELS]
    if not names:
        return
    for buckets in run.buckets(names, max_buckets=_MOST_PER_LABEL, start=view.start, stop=view.stop):
        for step in buckets.last_steps.tolist():
            yield step, buckets.name[len(MARK_PREFIX) :], "mark"


def _restarts(run: Run, view: View) -> Iterator[tuple[int, str, MarkKind]]:
    """The first step that each attempt after the first has logged, by the series with the most points."""
    attempts = run.manifest.get("attempts") or []
    if len(attempts) < 2:
        return
    facts = run.facts()
    name = max(facts, key=lambda fact: fact.count).name if facts else ""
    buckets = run.buckets([name], max_buckets=_COARSE)[0] if name else None
    for number, attempt in enumerate(attempts[1:], 2):
        start = _moment(attempt.get("started"))
        if buckets is None or start is None or not (buckets.timestamps >= start).any():
            continue
        at = int(np.argmax(buckets.timestamps >= start))
        points = run.series(name, int(buckets.steps[at]), int(buckets.last_steps[at]) + 1)
        is_later = points.timestamps >= start
        step = int(points.steps[np.argmax(is_later)]) if is_later.any() else int(buckets.last_steps[at])
        if (view.start is None or step >= view.start) and (view.stop is None or step < view.stop):
            yield step, f"restart (attempt {number})", "restart"


def _moment(text: object) -> np.datetime64 | None:
    """A time in the manifest, UTC; None if it is none."""
    try:
        moment = dt.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return np.datetime64(moment.astimezone(dt.timezone.utc).replace(tzinfo=None), "us")
