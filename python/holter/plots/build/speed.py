"""Builds the chart of steps per second from the timestamps of a series; needs no series of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holter import analysis
from holter._text import counted
from holter.plots.build.chart import Line
from holter.plots.build.marks import attempt_starts, run_marks
from holter.plots.build.notes import note_of
from holter.plots.build.ranges import trimmed_range
from holter.plots.build.scene import open_scene
from holter.plots.build.view import WHOLE, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holter import Run
    from holter.plots.build.chart import Chart, Color, FloatArray, IntArray
    from holter.plots.build.reading import Key
    from holter.plots.build.scene import Scene

_MAX_POINTS = 200
# Timestamps have a resolution of a few milliseconds; their error would dominate a rate over less time than this.
_MIN_SECONDS = 0.5
_MIN_POINTS = 20


def speed_chart(
    runs: Sequence[Run],
    names: Sequence[str] = (),
    view: View = WHOLE,
    *,
    title: str | None = None,
    colors: Sequence[Color] | None = None,
) -> Chart:
    """Build a chart of steps per second with a line for each run.

    Each point is the number of steps between two points of a series divided by the time between them, at least half a
    second. There is a gap between two attempts of a run.

    Args:
        runs: The runs.
        names: Candidates for the series with the timestamps; each run uses the first that it has, or else its series
            with the most points.
        view: Window, x-axis and smoothing.
        title: The chart's title.
        colors: A color for each run; the palette in order if None.

    Raises:
        KeyError: If no run has any series.
    """
    references = [_reference(run, names) for run in runs]
    if not any(references):
        raise KeyError(f"no points in {counted(len(runs), 'run')}; the speed is computed from points")
    scene = open_scene(runs, sorted({*references} - {""}), view)
    keys = [(index, name) for index, name in enumerate(references) if (index, name) in scene.reading.shown]
    labels = analysis.run_labels(runs)
    lines = [_line(scene, key, labels[key[0]], key[0] if colors is None else colors[key[0]]) for key in keys]
    y_range, trimmed = trimmed_range(lines, view)
    return scene.chart(
        "speed",
        "steps per second" if title is None else title,
        y_label="steps per second",
        lines=tuple(lines),
        marks=tuple(run_marks(scene, colors)),
        y_range=y_range,
        note=note_of(view, trimmed),
    )


def _reference(run: Run, names: Sequence[str]) -> str:
    """The series with the timestamps; empty if the run has no series."""
    facts = run.facts()
    present = {fact.name for fact in facts}
    densest = max(facts, key=lambda fact: fact.count).name if facts else ""
    return next((name for name in names if name in present), densest)


def _line(scene: Scene, key: Key, label: str, color: Color) -> Line:
    buckets, x = scene.placed(key)
    seconds = (buckets.timestamps - buckets.timestamps[:1]).astype("timedelta64[us]").astype(np.float64) / 1e6
    chosen = _spaced(seconds)
    steps, last_steps = buckets.steps[chosen], buckets.last_steps[chosen]
    elapsed = np.diff(seconds[chosen])
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.where(elapsed > 0, np.diff(last_steps) / elapsed, np.nan)
    for start in attempt_starts(scene.runs[key[0]]):
        times = buckets.timestamps[chosen]
        rates[(times[:-1] < start) & (times[1:] >= start)] = np.nan
    if scene.view.half_life:
        rates = analysis.ema(last_steps[1:], rates, scene.view.half_life)
    keep = ~np.isnan(x[chosen][1:])
    columns = (x[chosen][1:][keep], rates[keep], steps[1:][keep], last_steps[1:][keep])
    return Line(label, *columns, color=color, run=label)


def _spaced(seconds: FloatArray) -> IntArray:
    """Indices of points far enough apart in time for a rate, about `_MAX_POINTS` at most."""
    if len(seconds) < 2:
        return np.arange(len(seconds))
    total = float(np.ptp(seconds))
    min_distance = max(total / _MAX_POINTS, min(_MIN_SECONDS, total / _MIN_POINTS))
    chosen = [0]
    for index, time in enumerate(seconds.tolist()):
        if abs(time - seconds[chosen[-1]]) >= min_distance:
            chosen.append(index)
    return np.array(chosen)
