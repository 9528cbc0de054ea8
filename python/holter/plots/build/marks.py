"""Vertical marks: series named `mark/<label>`, restarts, alerts of the displayed series, and change points.

Their steps are mapped to the x-axis with the run's first series in the chart. Marks at steps outside the chart are
omitted.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

from holter import analysis
from holter._text import epoch_micros, parse_iso_time
from holter.exceptions import StoreError
from holter.plots.build.chart import Mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holter import Run
    from holter.alerts import Alert
    from holter.plots.build.chart import Color, IntArray, Line, MarkKind, XArray
    from holter.plots.build.scene import Scene
    from holter.plots.build.view import View

MARK_PREFIX = "mark/"
# Limits that keep the chart readable.
_MAX_PER_LABEL = 50
_MAX_LABELS = 20
_MAX_ALERTS = 50
# The number of buckets to search for a restart before searching the points of one bucket.
_COARSE = 500


def run_marks(scene: Scene, colors: Sequence[Color] | None = None) -> list[Mark]:
    """Return the marks, restarts and alerts of the runs; none if the view hides marks.

    Args:
        scene: The runs and their x-axis.
        colors: A color for each run; the palette in order if None.
    """
    if not scene.view.marks:
        return []
    marks = []
    for index, (steps, x) in _anchors(scene).items():
        run = scene.runs[index]
        color = None if len(scene.runs) == 1 else index if colors is None else colors[index]
        names = {name for number, name in scene.reading.shown if number == index}
        for step, label, kind in [*_logged(run, scene.view), *_restarts(run, scene.view), *_alerts(run, names)]:
            if steps[0] <= step <= steps[-1]:
                marks.append(Mark(_placed(steps, x, step), label, kind, step, color))
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
            label = f"change {change.before:.3g} → {change.after:.3g} ({change.confidence * 100:.3g} %)"
            x = _placed(steps, line.x[at], change.step)
            marks.append(Mark(x, label, "change", change.step, line.color if len(lines) > 1 else None))
    return marks


def attempt_starts(run: Run) -> list[np.datetime64]:
    """Return the start of each attempt after the first, in UTC. Skips attempts without a valid time."""
    attempts = run.manifest.get("attempts")
    later = attempts[1:] if isinstance(attempts, list) else []
    times = [parse_iso_time(attempt.get("started")) for attempt in later if isinstance(attempt, dict)]
    return [np.datetime64(epoch_micros(time), "us") for time in times if time is not None]


def _anchors(scene: Scene) -> dict[int, tuple[IntArray, XArray]]:
    """For each run, the steps and the x of its first series with points."""
    anchors: dict[int, tuple[IntArray, XArray]] = {}
    for key in scene.reading.shown:
        if key[0] in anchors or key[1] == scene.axis.metric:
            continue
        buckets, x = scene.placed(key)
        is_valid = ~np.isnan(x)
        if is_valid.any():
            anchors[key[0]] = (buckets.last_steps[is_valid], x[is_valid])
    return anchors


def _placed(steps: IntArray, x: XArray, step: int) -> float | np.datetime64:
    """X at a step, interpolated between the neighboring points."""
    if x.dtype.kind == "M":
        return np.datetime64(int(np.interp(step, steps, x.astype(np.int64).astype(np.float64))), "us")
    return float(np.interp(step, steps, x))


def _logged(run: Run, view: View) -> Iterator[tuple[int, str, MarkKind]]:
    """The steps of each series `mark/<label>`."""
    names = run.names(f"{MARK_PREFIX}?*")[:_MAX_LABELS]
    if not names:
        return
    for buckets in run.buckets(names, max_buckets=_MAX_PER_LABEL, start=view.start, stop=view.stop):
        for step in buckets.last_steps.tolist():
            yield step, buckets.name[len(MARK_PREFIX) :], "mark"


def _restarts(run: Run, view: View) -> Iterator[tuple[int, str, MarkKind]]:
    """The first step of each attempt after the first, from the series with the most points."""
    starts = attempt_starts(run)
    facts = run.facts() if starts else []
    if not facts:
        return
    name = max(facts, key=lambda fact: fact.count).name
    buckets = run.buckets([name], max_buckets=_COARSE, start=view.start, stop=view.stop)[0]
    for number, start in enumerate(starts, 2):
        is_later = buckets.timestamps >= start
        if not is_later.any():
            continue
        at = int(np.argmax(is_later))
        points = run.series(name, int(buckets.steps[at]), int(buckets.last_steps[at]) + 1)
        later = points.steps[points.timestamps >= start]
        if len(later):
            yield int(later[0]), f"restart (attempt {number})", "restart"


def _alerts(run: Run, names: set[str]) -> Iterator[tuple[int, str, MarkKind]]:
    """The first alerts of the series, one per step. Unreadable events yield none; `holter show` reports them."""
    steps: set[int] = set()
    events: list[Alert] = []
    with contextlib.suppress(StoreError):
        events = run.events
    for alert in events:
        if alert.series in names and alert.step is not None and alert.step not in steps and len(steps) < _MAX_ALERTS:
            steps.add(alert.step)
            yield alert.step, f"{alert.rule.replace('_', ' ')} ({alert.level})", "alert"
