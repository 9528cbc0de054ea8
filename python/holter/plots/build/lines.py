"""Builds line charts: one line per run and series, from buckets of steps.

Spikes stay visible: if a point represents several steps, the chart has either a ribbon from the minimum to the maximum,
or a line that includes the extremes far from their bucket's mean.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from holter import analysis
from holter.plots.build.chart import NOTHING_NONFINITE, Line, Nonfinite
from holter.plots.build.marks import change_marks, run_marks
from holter.plots.build.notes import note_of
from holter.plots.build.ranges import trimmed_range
from holter.plots.build.scene import open_scene
from holter.plots.build.text import distinct_parts
from holter.plots.build.view import WHOLE, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holter import Buckets, Run
    from holter.analysis import Family
    from holter.plots.build.chart import Chart, Color, FloatArray, Threshold, XArray
    from holter.plots.build.reading import Key
    from holter.plots.build.scene import Scene

Dash: TypeAlias = Literal["solid", "dash", "dot"]
_DASHES: tuple[Dash, ...] = ("solid", "dash", "dot")
_MAX_RIBBONS = 3
# An extreme is a spike if its distance from its bucket's mean is this multiple of the median distance.
_SPIKE = 8.0
# At most one in this many points is drawn as a spike; more would be noise.
_POINTS_PER_SPIKE = 8
_MAX_COLORS = 10


def line_chart(
    runs: Sequence[Run],
    names: Sequence[str],
    view: View = WHOLE,
    *,
    title: str | None = None,
    envelope: bool | None = None,
    thresholds: Iterable[Threshold] = (),
    colors: Sequence[Color] | None = None,
    change_points: bool = False,
) -> Chart:
    """Build a chart with a line for each run and series.

    Args:
        runs: The runs; series that a run does not have are skipped.
        names: The names of the series.
        view: Window, x-axis and smoothing.
        title: The chart's title; derived from the names if None.
        envelope: Whether to draw the ribbon from the minimum to the maximum of each bucket. None draws it where it is
            readable: for one run and at most three series.
        thresholds: Horizontal lines.
        colors: A color for each run; the palette in order if None.
        change_points: Whether to mark the change points of each line.

    Raises:
        KeyError: If no run has any of the series, or the metric on the x-axis.
        ImportError: If `change_points` is set and `ruptures` is not installed.
    """
    scene = open_scene(runs, names, view)
    keys = scene.keys(names)
    if envelope is None:
        envelope = len({index for index, _ in keys}) == 1 and len(keys) <= _MAX_RIBBONS
    styles = _styles(runs, names, colors)
    lines = [line for key in keys for line in _lines_of(scene, key, styles[key], envelope=envelope)]
    main = [line for line in lines if not line.is_faint]
    marks = run_marks(scene, colors)
    if change_points:
        # Smoothing makes noise look like changes.
        plain = replace(scene, view=replace(view, half_life=0.0))
        marks += change_marks([_lines_of(plain, key, styles[key], envelope=False)[0] for key in keys])
    y_range, trimmed = trimmed_range(main, view)
    width = scene.reading.width
    reduction = f"1 point = {width:,} steps, {'min–max' if envelope else 'mean and spikes'} shown" if width > 1 else ""
    return scene.chart(
        "line",
        title if title is not None else title_of(names),
        y_label=names[0] if len(names) == 1 else "",
        lines=tuple(sorted(lines, key=lambda line: not line.is_faint)),
        marks=tuple(marks),
        thresholds=tuple(thresholds),
        y_range=y_range,
        note=note_of(view, reduction, trimmed),
    )


def title_of(names: Sequence[str]) -> str:
    """Return the common pattern of several series, or their names."""
    family = _family_of(names)
    if family is not None:
        return family.pattern
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more"


def _family_of(names: Sequence[str]) -> Family | None:
    """The family that consists of exactly these names; None if there is none."""
    found = analysis.families(names) if len(names) > 1 else []
    return found[0] if len(found) == 1 and len(found[0].names) == len(set(names)) else None


def _styles(runs: Sequence[Run], names: Sequence[str], colors: Sequence[Color] | None) -> dict[Key, Line]:
    """A line without points for each run and name: its label, color and dash.

    Runs differ in color, the series of one run too, and the series of several runs in dash. The layers of one run have
    a color sequence that shows their order.
    """
    own: Sequence[Color] = range(len(runs)) if colors is None else colors
    unique = list(dict.fromkeys(names))
    is_sequence = len(runs) == 1 and (len(unique) > _MAX_COLORS or (len(unique) > 3 and _family_of(unique) is not None))
    short = distinct_parts(unique) if len(unique) > 3 else unique
    empty, no_steps = np.empty(0), np.empty(0, np.int64)
    styles: dict[Key, Line] = {}
    for index, run in enumerate(analysis.run_labels(runs)):
        for place, name in enumerate(unique):
            color, dash = own[index], _DASHES[place % len(_DASHES) if len(runs) > 1 else 0]
            if is_sequence:
                color = place / (len(unique) - 1)
            elif len(runs) == 1 and place:
                color = color + place if isinstance(color, int) else place
            label = short[place] if len(runs) == 1 else run if len(unique) == 1 else f"{run} · {short[place]}"
            line = Line(label, empty, empty, no_steps, no_steps, color=color, dash=dash, run=run, name=name)
            styles[index, name] = line
    return styles


def _lines_of(scene: Scene, key: Key, style: Line, *, envelope: bool) -> list[Line]:
    """The line of one series; if smoothed, preceded by a faint line of the unsmoothed values."""
    buckets, x = scene.placed(key)
    half_life = scene.view.half_life
    y = scene.reading.smoothed(key, half_life) if half_life else buckets.means
    keep = ~np.isnan(x)
    line = replace(
        style,
        x=x[keep],
        y=y[keep],
        steps=buckets.steps[keep],
        last_steps=buckets.last_steps[keep],
        nonfinite=_nonfinite(buckets, x),
    )
    minima, maxima = buckets.minima[keep], buckets.maxima[keep]
    if envelope and scene.reading.width > 1:
        return [replace(line, lower=minima, upper=maxima, spread="min–max")]
    if not half_life:
        return [_with_spikes(line, minima, maxima)]
    raw = replace(line, y=buckets.means[keep], nonfinite=NOTHING_NONFINITE, is_faint=True)
    return [_with_spikes(raw, minima, maxima), line]


def _with_spikes(line: Line, minima: FloatArray, maxima: FloatArray) -> Line:
    """The line with detours to the extremes that are unusually far from their bucket's mean."""
    reaches = np.fmax(maxima - line.y, line.y - minima)
    is_finite = np.isfinite(reaches)
    if not is_finite.any():
        return line
    is_spike = is_finite & (reaches > _SPIKE * np.median(reaches[is_finite]))
    max_spikes = -(-len(reaches) // _POINTS_PER_SPIKE)
    if is_spike.sum() > max_spikes:
        is_spike &= reaches >= np.partition(reaches[is_spike], -max_spikes)[-max_spikes]
    at = np.flatnonzero(is_spike)
    if not len(at):
        return line
    extremes = np.where(maxima - line.y >= line.y - minima, maxima, minima)[at]

    def with_detours(column: XArray, extra: XArray) -> XArray:
        return np.insert(column, np.repeat(at, 2), np.stack([column[at], extra], axis=1).ravel())

    return replace(
        line,
        x=with_detours(line.x, line.x[at]),
        y=with_detours(line.y, extremes),
        steps=with_detours(line.steps, line.steps[at]),
        last_steps=with_detours(line.last_steps, line.last_steps[at]),
    )


def _nonfinite(buckets: Buckets, x: XArray) -> Nonfinite:
    at = np.flatnonzero((buckets.nonfinite_counts > 0) & ~np.isnan(x))
    texts = []
    for index in at.tolist():
        first, last, count = int(buckets.steps[index]), int(buckets.last_steps[index]), int(buckets.counts[index])
        if count == 1:
            value = float(buckets.lasts[index])
            texts.append(f"{'NaN' if np.isnan(value) else 'Inf' if value > 0 else '−Inf'} at step {last:,}")
        else:
            bad = int(buckets.nonfinite_counts[index])
            texts.append(f"{bad:,} of {count:,} values NaN or infinite, steps {first:,} to {last:,}")
    return Nonfinite(x[at], tuple(texts))
