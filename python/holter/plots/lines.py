"""Builds line charts: one line for each run and series, from buckets of steps.

No spike is hidden: where a point stands for many steps, either the ribbon from the smallest to the largest value is
drawn, or the line itself goes out to the extremes that lie far from their bucket's mean.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from holter import analysis
from holter.plots.axes import x_axis
from holter.plots.chart import Chart, Line, Nonfinite, Threshold
from holter.plots.marks import change_marks, run_marks
from holter.plots.ranges import trimmed_range
from holter.plots.reading import read
from holter.plots.text import run_labels
from holter.plots.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from holter import Buckets, Run
    from holter.plots.axes import XAxis
    from holter.plots.chart import Colour, FloatArray, XArray
    from holter.plots.reading import Reading

_MOST_RIBBONS = 3
# An extreme is a spike if it is so many times as far from its bucket's mean as is usual in the series.
_SPIKE = 8.0
# At most this part of the points may be spikes; more is noise, and the mean tells of that.
_MOST_SPIKES = 8
_Dash = Literal["solid", "dash", "dot"]
_DASHES: tuple[_Dash, ...] = ("solid", "dash", "dot")
# Viridis from its dark to its light end, without the yellow that is hard to see on white.
_SEQUENCE = ("#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#a5c531")


def line_chart(
    runs: Sequence[Run],
    names: Sequence[str],
    view: View = View(),
    *,
    title: str | None = None,
    envelope: bool | None = None,
    thresholds: Iterable[Threshold] = (),
    colours: Sequence[Colour] | None = None,
    change_points: bool = False,
) -> Chart:
    """Build a chart with a line for each run and series.

    Args:
        runs: The runs; one that lacks a series goes without it.
        names: The series' names.
        view: What the user looks through.
        title: The chart's title; made of the names if None.
        envelope: Whether the ribbon from the smallest to the largest value of each bucket is drawn. If None, it is
            where it stays readable: for one run and at most three series.
        thresholds: Horizontal lines.
        colours: A colour for each run; the palette's by their order if None.
        change_points: Whether the change points of each line are marked.

    Raises:
        KeyError: If no run has any of the series.
        ImportError: If change points are asked for and `ruptures` is not installed.
    """
    wanted = [*names, view.x_metric] if view.x_metric and view.x_metric not in names else list(names)
    reading = read(runs, wanted, view)
    axis = x_axis(runs, view, reading)
    keys = [(index, name) for index in range(len(runs)) for name in names if (index, name) in reading.shown]
    if envelope is None:
        envelope = len({index for index, _ in keys}) == 1 and len(keys) <= _MOST_RIBBONS
    labels = _labels(runs, names)
    styles = _styles(len(runs), names, colours)
    lines: list[Line] = []
    for key in keys:
        lines += _lines_of(key, reading, axis, view, envelope, labels[key], *styles[key])
    main = [line for line in lines if not line.is_faint]
    marks = run_marks(runs, reading, axis, view, colours)
    if change_points:
        marks += change_marks(main)
    y_range, trimmed = trimmed_range(main, log_y=view.log_y) if view.trim_outliers else (None, "")
    return Chart(
        kind="line",
        title=title if title is not None else title_of(names),
        x_label=axis.label,
        y_label=names[0] if len(names) == 1 else "",
        x_kind=axis.kind,
        lines=tuple(sorted(lines, key=lambda line: not line.is_faint)),
        marks=tuple(marks),
        thresholds=tuple(thresholds),
        log_y=view.log_y,
        y_range=y_range,
        note=_note(reading.width, view, envelope=envelope, trimmed=trimmed),
        width=reading.width,
        window=(view.start, view.stop),
    )


def title_of(names: Sequence[str]) -> str:
    """Return what several series have in common, or their names."""
    if len(names) == 1:
        return names[0]
    found = analysis.families(names)
    if len(found) == 1 and len(found[0].names) == len(set(names)):
        return found[0].pattern
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more"


def nonfinite_of(buckets: Buckets, x: XArray) -> Nonfinite:
    """Return where the buckets hold NaN or infinities, and what the hover says of it."""
    at = np.flatnonzero((buckets.nonfinite_counts > 0) & ~_is_missing(x))
    texts = []
    for index in at:
        first, last, count = int(buckets.steps[index]), int(buckets.last_steps[index]), int(buckets.counts[index])
        if count == 1:
            value = float(buckets.lasts[index])
            texts.append(f"{'NaN' if np.isnan(value) else 'Inf' if value > 0 else '−Inf'} at step {last}")
        else:
            bad = int(buckets.nonfinite_counts[index])
            texts.append(f"{bad} of {count} values NaN or infinite, steps {first} to {last}")
    return Nonfinite(x[at], tuple(texts))


def _labels(runs: Sequence[Run], names: Sequence[str]) -> dict[tuple[int, str], tuple[str, str]]:
    """For each run and name what the legend says, and the run's label."""
    of_runs = run_labels(runs)
    labels = {}
    for index, run in enumerate(of_runs):
        for name in names:
            label = name if len(runs) == 1 else run if len(names) == 1 else f"{run} · {name}"
            labels[index, name] = (label, run)
    return labels


def _styles(
    num_runs: int, names: Sequence[str], colours: Sequence[Colour] | None
) -> dict[tuple[int, str], tuple[Colour, _Dash]]:
    """Colour and dash: runs differ by colour, the names of one run too, the names of several runs by dashes."""
    of_runs = list(range(num_runs)) if colours is None else list(colours)
    styles: dict[tuple[int, str], tuple[Colour, _Dash]] = {}
    for index in range(num_runs):
        own = of_runs[index % len(of_runs)] if of_runs else index
        for place, name in enumerate(names):
            if num_runs > 1:
                styles[index, name] = (own, _DASHES[place % len(_DASHES)])
            elif len(names) > len(_SEQUENCE) or len(analysis.families(names)) == 1 < len(names) - 1:
                styles[index, name] = (_SEQUENCE[place * (len(_SEQUENCE) - 1) // (len(names) - 1)], "solid")
            else:
                styles[index, name] = (own + place if isinstance(own, int) else own if not place else place, "solid")
    return styles


def _lines_of(
    key: tuple[int, str],
    reading: Reading,
    axis: XAxis,
    view: View,
    envelope: bool,
    labels: tuple[str, str],
    colour: Colour,
    dash: _Dash,
) -> list[Line]:
    """The line of one series; behind it, if it is smoothed, the values that it smooths."""
    buckets = reading.shown[key]
    x = axis.place(key[0], buckets)
    ribbon = envelope and reading.width > 1
    nonfinite = nonfinite_of(buckets, x)
    y = reading.smoothed(key, view.half_life) if view.half_life else buckets.means
    keep = ~_is_missing(x)
    line = Line(
        label=labels[0],
        x=x[keep],
        y=y[keep],
        steps=buckets.steps[keep],
        last_steps=buckets.last_steps[keep],
        nonfinite=nonfinite,
        colour=colour,
        dash=dash,
        run=labels[1],
        name=key[1],
    )
    minima, maxima = buckets.minima[keep], buckets.maxima[keep]
    if ribbon:
        return [replace(line, lower=minima, upper=maxima, spread="min–max")]
    if not view.half_life:
        return [_with_spikes(line, minima, maxima)]
    raw = replace(line, y=buckets.means[keep], nonfinite=Nonfinite(x[:0], ()), is_faint=True)
    return [_with_spikes(raw, minima, maxima), line]


def _with_spikes(line: Line, minima: FloatArray, maxima: FloatArray) -> Line:
    """The line, led out to the extremes that are unusually far from their bucket's mean, and back."""
    reaches = np.fmax(maxima - line.y, line.y - minima)
    is_finite = np.isfinite(reaches)
    if not is_finite.any():
        return line
    is_spike = is_finite & (reaches > _SPIKE * np.median(reaches[is_finite]))
    most = -(-len(reaches) // _MOST_SPIKES)
    if is_spike.sum() > most:
        is_spike &= reaches >= np.partition(reaches[is_spike], -most)[-most]
    at = np.flatnonzero(is_spike)
    if not len(at):
        return line
    extremes = np.where(maxima - line.y >= line.y - minima, maxima, minima)[at]
    twice = np.repeat(at, 2)

    def led(column: XArray, extra: XArray) -> XArray:
        return np.insert(column, twice, np.stack([column[at], extra], axis=1).ravel())

    return replace(
        line,
        x=led(line.x, line.x[at]),
        y=led(line.y, extremes),
        steps=led(line.steps, line.steps[at]),
        last_steps=led(line.last_steps, line.last_steps[at]),
    )


def _is_missing(x: XArray) -> npt.NDArray[np.bool_]:
    """Where there is no x: the metric on the axis is absent or not finite there."""
    return np.isnan(x) if x.dtype.kind == "M" else ~np.isfinite(x)


def _note(width: int, view: View, *, envelope: bool, trimmed: str) -> str:
    parts = []
    if width > 1:
        parts.append(f"1 point = {width:,} steps, {'min–max shown' if envelope else 'mean and spikes shown'}")
    if view.half_life:
        parts.append(f"smoothed, half-life {view.half_life:,g} steps")
    return "; ".join([*parts, *([trimmed] if trimmed else [])])
