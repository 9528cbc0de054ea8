"""Builds band charts: centre and spread of layers, of runs, or of both, one band for each group.

A group with a single series gets the band of a trailing window of steps instead: the spread around its smoothed curve.
"""

from __future__ import annotations

import collections.abc
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from holter.plots.axes import x_axis
from holter.plots.band_columns import Across, BandKind, Columns, Recipe, band_columns
from holter.plots.chart import Chart, Line, Nonfinite, Threshold
from holter.plots.lines import title_of
from holter.plots.marks import change_marks, run_marks
from holter.plots.ranges import trimmed_range
from holter.plots.reading import read
from holter.plots.text import run_labels
from holter.plots.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holter import Run
    from holter.plots.axes import XAxis
    from holter.plots.chart import Colour, IntArray, XArray
    from holter.plots.reading import Reading

SPREADS = {"std": "mean ± std", "quantile": "median, 10–90 %", "minmax": "mean, min–max"}
# A window's width, as a part of the steps shown, where the user names none.
_WINDOW_PART = 50


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """One band to be: its runs by their index."""

    label: str
    runs: tuple[int, ...]
    colour: Colour


def band_chart(
    groups: Mapping[str, Sequence[Run]] | Sequence[Run] | Run,
    names: Sequence[str],
    band: BandKind = "std",
    view: View = View(),
    across: Across = "both",
    *,
    quantiles: tuple[float, float] = (0.1, 0.9),
    window: float | None = None,
    title: str | None = None,
    thresholds: Iterable[Threshold] = (),
    colours: Sequence[Colour] | None = None,
    change_points: bool = False,
) -> Chart:
    """Build a chart with one band for each group of runs.

    Args:
        groups: The runs of each group by its label; or runs, each a group of its own.
        names: The series' names, such as those of a family.
        band: `"std"` is mean ± population standard deviation, `"quantile"` median and quantiles, `"minmax"` mean,
            smallest and largest of all points: a spike of one step is there.
        view: What the user looks through.
        across: What the band is over. `"both"`: every series of every run of the group. `"series"`: the series, each
            averaged over the runs first. `"runs"`: the runs, each averaged over its series first.
        quantiles: The borders of a quantile band.
        window: For a group of one series: how many steps the trailing window covers; a fiftieth of those shown if None.
        title: The chart's title; made of the names if None.
        thresholds: Horizontal lines.
        colours: A colour for each group; the palette's by their order if None.
        change_points: Whether the change points of each centre are marked.

    Raises:
        KeyError: If no run has any of the series.
        ImportError: If change points are asked for and `ruptures` is not installed.
        ValueError: If `band` or `across` is none of these.
    """
    if band not in SPREADS:
        raise ValueError(f"band must be one of {', '.join(map(repr, SPREADS))}, got {band!r}")
    if across not in {"series", "runs", "both"}:
        raise ValueError(f"across must be 'series', 'runs' or 'both', got {across!r}")
    runs, made = _grouped(groups, colours)
    wanted = [*names, view.x_metric] if view.x_metric and view.x_metric not in names else list(names)
    reading = read(runs, wanted, view, reach=window or 0.0)
    axis = x_axis(runs, view, reading)
    spread = SPREADS[band] if band != "quantile" else f"median, {quantiles[0]:.0%} to {quantiles[1]:.0%}"
    trailing = max(_window(reading) if window is None else window, reading.width)
    recipe = Recipe(band, across, quantiles, trailing, view.half_life)
    lines, sizes = [], []
    for group in made:
        keys = [(index, name) for index in group.runs for name in names if (index, name) in reading.shown]
        if keys:
            lines.append(_line(reading, axis, group, keys, band_columns(reading, keys, recipe), spread))
            sizes.append(len(keys))
    marks = run_marks(runs, reading, axis, view, [group.colour for group in made for _ in group.runs])
    if change_points:
        marks += change_marks(lines)
    y_range, trimmed = trimmed_range(lines, log_y=view.log_y) if view.trim_outliers else (None, "")
    return Chart(
        kind="band",
        title=title if title is not None else title_of(names),
        x_label=axis.label,
        y_label=names[0] if len(names) == 1 else "",
        x_kind=axis.kind,
        lines=tuple(lines),
        marks=tuple(marks),
        thresholds=tuple(thresholds),
        log_y=view.log_y,
        y_range=y_range,
        note=_note(reading.width, view, spread, sizes, trailing, trimmed),
        width=reading.width,
        window=(view.start, view.stop),
    )


def _grouped(
    groups: Mapping[str, Sequence[Run]] | Sequence[Run] | Run, colours: Sequence[Colour] | None
) -> tuple[list[Run], list[_Group]]:
    """All runs in a row, and the groups by their indices."""
    if isinstance(groups, collections.abc.Mapping):
        labelled = [(label, list(runs)) for label, runs in groups.items()]
    else:
        each = list(groups) if isinstance(groups, collections.abc.Sequence) else [groups]
        labelled = [(label, [run]) for label, run in zip(run_labels(each), each, strict=True)]
    runs: list[Run] = []
    made = []
    for place, (label, members) in enumerate(labelled):
        indices = tuple(range(len(runs), len(runs) + len(members)))
        made.append(_Group(label, indices, place if colours is None else colours[place]))
        runs += members
    return runs, made


def _line(
    reading: Reading, axis: XAxis, group: _Group, keys: list[tuple[int, str]], columns: Columns, spread: str
) -> Line:
    """The band of one group at every bucket of the chart in which a member has a point."""
    placed = [(key, reading.shown[key]) for key in keys]
    steps, x = mean_x([(buckets.steps, axis.place(key[0], buckets)) for key, buckets in placed])
    last_steps = np.full(len(steps), np.iinfo(np.int64).min)
    bad, members = np.zeros(len(steps), np.int64), np.zeros(len(steps), np.int64)
    for _, buckets in placed:
        at = np.searchsorted(steps, buckets.steps)
        last_steps[at] = np.maximum(last_steps[at], buckets.last_steps)
        bad[at] += buckets.nonfinite_counts
        members[at] += 1
    # What was computed on the finer grid: its value at the end of each bucket that is drawn.
    at = np.searchsorted(columns.steps, steps + reading.width) - 1
    keep = ~np.isnan(x)
    return Line(
        label=group.label,
        x=x[keep],
        y=columns.centers[at][keep],
        steps=steps[keep],
        last_steps=last_steps[keep],
        lower=columns.lowers[at][keep],
        upper=columns.uppers[at][keep],
        spread=spread,
        counts=members[keep] if len(keys) > 1 else None,
        nonfinite=_nonfinite(steps, last_steps, bad, x),
        colour=group.colour,
        run=group.label if len(group.runs) == 1 else "",
    )


def _window(reading: Reading) -> float:
    """The window that a band of a single series gets by default, in steps."""
    filled = [buckets for buckets in reading.shown.values() if len(buckets.steps)]
    if not filled:
        return 1.0
    first = min(int(buckets.steps[0]) for buckets in filled)
    last = max(int(buckets.last_steps[-1]) for buckets in filled)
    return max(1.0, float((last - first) // _WINDOW_PART))


def mean_x(placed: list[tuple[IntArray, XArray]]) -> tuple[IntArray, XArray]:
    """Return all steps in order, and the mean of the members' x at each; members of one run agree on it."""
    steps = np.unique(np.concatenate([np.empty(0, np.int64), *[own for own, _ in placed]]))
    is_date = any(x.dtype.kind == "M" for _, x in placed)
    sums, counts = np.zeros(len(steps)), np.zeros(len(steps), np.int64)
    for own, x in placed:
        is_there = ~np.isnan(x)
        at = np.searchsorted(steps, own[is_there])
        sums[at] += x[is_there].astype(np.int64).astype(np.float64) if is_date else x[is_there]
        counts[at] += 1
    means = np.divide(sums, counts, out=np.full(len(steps), np.nan), where=counts > 0)
    if not is_date:
        return steps, means
    return steps, np.where(counts > 0, means, np.iinfo(np.int64).min).astype(np.int64).astype("datetime64[us]")


def _nonfinite(steps: IntArray, last_steps: IntArray, bad: IntArray, x: XArray) -> Nonfinite:
    at = np.flatnonzero((bad > 0) & ~np.isnan(x))
    texts = []
    for first, last, count in zip(steps[at].tolist(), last_steps[at].tolist(), bad[at].tolist(), strict=True):
        where = f"at step {last}" if first == last else f"in steps {first} to {last}"
        texts.append(f"{count} NaN or infinite {'value' if count == 1 else 'values'} {where}")
    return Nonfinite(x[at], tuple(texts))


def _note(width: int, view: View, spread: str, sizes: list[int], window: float, trimmed: str) -> str:
    parts = []
    if sizes:
        of = f"{sizes[0]:,}" if len(set(sizes)) == 1 else f"{min(sizes):,} to {max(sizes):,}"
        parts.append(f"{spread} of {of} series" if max(sizes) > 1 else f"{spread} of {window:,g} steps")
    if width > 1:
        parts.append(f"1 point = {width:,} steps")
    if view.half_life:
        parts.append(f"smoothed, half-life {view.half_life:,g} steps")
    return "; ".join([*parts, *([trimmed] if trimmed else [])])
