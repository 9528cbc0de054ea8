"""Builds band charts: center and spread over layers, runs, or both, one band per group.

The band of a group with a single series is computed over a trailing window of steps: the spread around its smoothed
curve.
"""

from __future__ import annotations

import collections.abc
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

import numpy as np

from holter import analysis
from holter.plots.build.band_columns import Across, BandKind, Recipe, band_columns
from holter.plots.build.chart import Line, Nonfinite
from holter.plots.build.lines import title_of
from holter.plots.build.marks import change_marks, run_marks
from holter.plots.build.notes import note_of
from holter.plots.build.ranges import trimmed_range
from holter.plots.build.reading import share_steps
from holter.plots.build.scene import open_scene
from holter.plots.build.view import WHOLE, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holter import Buckets, Run
    from holter.plots.build.chart import Chart, Color, IntArray, Threshold, XArray
    from holter.plots.build.reading import Key, Reading
    from holter.plots.build.scene import Scene

# The default window of a single series is this fraction (1/50) of the displayed steps.
_WINDOW_PART = 50


def band_chart(
    groups: Mapping[str, Sequence[Run]] | Sequence[Run] | Run,
    names: Sequence[str],
    band: BandKind = "std",
    view: View = WHOLE,
    across: Across = "both",
    *,
    quantiles: tuple[float, float] = (0.1, 0.9),
    window: float | None = None,
    title: str | None = None,
    thresholds: Iterable[Threshold] = (),
    colors: Sequence[Color] | None = None,
    change_points: bool = False,
) -> Chart:
    """Build a chart with one band per group of runs.

    If a point represents several steps, a member's value is its mean over them. The borders of `"minmax"` are the
    extremes of all points, so that a spike of a single step remains visible.

    Args:
        groups: The runs of each group by label; or runs, each of which forms its own group.
        names: The names of the series, such as those of a family.
        band: `"std"` is mean ± population standard deviation, `"quantile"` median and quantiles, `"minmax"` mean,
            minimum and maximum.
        view: Window, x-axis and smoothing.
        across: The members of the band. `"both"`: every series of every run of the group. `"series"`: the series, each
            averaged over the runs first. `"runs"`: the runs, each averaged over its series first.
        quantiles: The borders of a quantile band.
        window: The trailing window of a group with one series, in steps; by default 1/50 of the steps displayed.
        title: The chart's title; derived from the names if None.
        thresholds: Horizontal lines.
        colors: A color for each group; the palette in order if None.
        change_points: Whether to mark the change points of each center.

    Raises:
        KeyError: If no run has any of the series, or the metric on the x-axis.
        ImportError: If `change_points` is set and `ruptures` is not installed.
        ValueError: If `band`, `across`, `quantiles` or `window` is invalid.
    """
    _check(band, across, window)
    runs, made = _grouped(groups, colors)
    scene = open_scene(runs, names, view, reach=window or 0.0)
    recipe = Recipe(band, across, quantiles, _trailing_window(scene.reading, window), view.half_life)
    keys = {group.label: [key for key in scene.keys(names) if key[0] in group.runs] for group in made}
    lines = _lines(scene, made, keys, recipe)
    marks = run_marks(scene, [group.color for group in made for _ in group.runs])
    if change_points:
        # Smoothing and windows wider than a point make noise look like changes.
        marks += change_marks(_lines(scene, made, keys, replace(recipe, half_life=0.0, window=scene.reading.width)))
    y_range, trimmed = trimmed_range(lines, view)
    return scene.chart(
        "band",
        title if title is not None else title_of(names),
        y_label=names[0] if len(names) == 1 else "",
        lines=tuple(lines),
        marks=tuple(marks),
        thresholds=tuple(thresholds),
        y_range=y_range,
        note=note_of(view, _describe(recipe, keys, scene.reading.width), trimmed),
    )


def _check(band: str, across: str, window: float | None) -> None:
    if band not in get_args(BandKind):
        raise ValueError(f"band must be one of {', '.join(get_args(BandKind))}, got {band!r}")
    if across not in get_args(Across):
        raise ValueError(f"across must be one of {', '.join(get_args(Across))}, got {across!r}")
    if window is not None and not window > 0:
        raise ValueError(f"window must be a number of steps and more than 0, got {window}")


@dataclass(frozen=True, slots=True)
class _Group:
    """A group of runs, as a range of indices."""

    label: str
    runs: range
    color: Color


def _grouped(
    groups: Mapping[str, Sequence[Run]] | Sequence[Run] | Run, colors: Sequence[Color] | None
) -> tuple[list[Run], list[_Group]]:
    """All runs, and the groups as ranges of their indices."""
    if isinstance(groups, collections.abc.Mapping):
        labeled = [(label, list(runs)) for label, runs in groups.items()]
    else:
        each = list(groups) if isinstance(groups, collections.abc.Sequence) else [groups]
        labeled = [(label, [run]) for label, run in zip(analysis.run_labels(each), each, strict=True)]
    runs: list[Run] = []
    made = []
    for place, (label, members) in enumerate(labeled):
        indices = range(len(runs), len(runs) + len(members))
        made.append(_Group(label, indices, place if colors is None else colors[place]))
        runs += members
    return runs, made


def _trailing_window(reading: Reading, window: float | None) -> float:
    """The window of a single series in steps, at least the width of a point."""
    if window is not None:
        return max(window, reading.width)
    filled = [buckets for buckets in reading.shown.values() if len(buckets.steps)]
    first = min((int(buckets.steps[0]) for buckets in filled), default=0)
    last = max((int(buckets.last_steps[-1]) for buckets in filled), default=0)
    return max(float((last - first) // _WINDOW_PART), reading.width)


def _lines(scene: Scene, groups: list[_Group], keys: Mapping[str, list[Key]], recipe: Recipe) -> list[Line]:
    return [_line(scene, group, keys[group.label], recipe) for group in groups if keys[group.label]]


def _line(scene: Scene, group: _Group, keys: list[Key], recipe: Recipe) -> Line:
    """The band of one group at every bucket in which any member has a point."""
    placed = [scene.placed(key) for key in keys]
    steps, x = mean_x([(buckets.steps, own_x) for buckets, own_x in placed])
    last_steps, bad, members = _joint_facts(steps, [buckets for buckets, _ in placed])
    columns = band_columns(scene.reading, keys, recipe, steps)
    keep = ~np.isnan(x)
    return Line(
        label=group.label,
        x=x[keep],
        y=columns.centers[keep],
        steps=steps[keep],
        last_steps=last_steps[keep],
        lower=columns.lowers[keep],
        upper=columns.uppers[keep],
        spread=recipe.spread,
        counts=members[keep] if len(keys) > 1 else None,
        nonfinite=_nonfinite(x, steps, last_steps, bad),
        color=group.color,
        run=group.label if len(group.runs) == 1 else "",
    )


def _joint_facts(steps: IntArray, members: list[Buckets]) -> tuple[IntArray, IntArray, IntArray]:
    """At each of `steps`: the members' last step, their number of non-finite values, and the number of members."""
    if share_steps([buckets.steps for buckets in members]):
        last_steps = np.max([buckets.last_steps for buckets in members], axis=0)
        bad = np.sum([buckets.nonfinite_counts for buckets in members], axis=0)
        return last_steps, bad, np.full(len(steps), len(members))
    last_steps = np.full(len(steps), np.iinfo(np.int64).min)
    bad, counts = np.zeros(len(steps), np.int64), np.zeros(len(steps), np.int64)
    for buckets in members:
        at = np.searchsorted(steps, buckets.steps)
        last_steps[at] = np.maximum(last_steps[at], buckets.last_steps)
        bad[at] += buckets.nonfinite_counts
        counts[at] += 1
    return last_steps, bad, counts


def mean_x(placed: list[tuple[IntArray, XArray]]) -> tuple[IntArray, XArray]:
    """Return the sorted union of the steps and the mean of the members' x at each; NaN or NaT if no member has one."""
    is_date = any(x.dtype.kind == "M" for _, x in placed)
    if share_steps([own for own, _ in placed]):
        steps, table = placed[0][0], np.array([x for _, x in placed])
        is_valid = ~np.isnan(table)
        counts = is_valid.sum(axis=0)
        sums = (table.astype(np.int64) if is_date else table).sum(axis=0, where=is_valid, dtype=np.float64)
    else:
        steps = np.unique(np.concatenate([np.empty(0, np.int64), *[own for own, _ in placed]]))
        sums, counts = np.zeros(len(steps)), np.zeros(len(steps), np.int64)
        for own, x in placed:
            is_valid = ~np.isnan(x)
            at = np.searchsorted(steps, own[is_valid])
            sums[at] += x[is_valid].astype(np.int64) if is_date else x[is_valid]
            counts[at] += 1
    means = np.divide(sums, counts, out=np.full(len(steps), np.nan), where=counts > 0)
    if not is_date:
        return steps, means
    return steps, np.where(counts > 0, means, np.iinfo(np.int64).min).astype(np.int64).astype("datetime64[us]")


def _nonfinite(x: XArray, steps: IntArray, last_steps: IntArray, bad: IntArray) -> Nonfinite:
    at = np.flatnonzero((bad > 0) & ~np.isnan(x))
    texts = []
    for first, last, count in zip(steps[at].tolist(), last_steps[at].tolist(), bad[at].tolist(), strict=True):
        where = f"at step {last:,}" if first == last else f"in steps {first:,} to {last:,}"
        texts.append(f"{count:,} NaN or infinite {'value' if count == 1 else 'values'} {where}")
    return Nonfinite(x[at], tuple(texts))


def _describe(recipe: Recipe, keys: Mapping[str, list[Key]], width: int) -> str:
    """The spread of the bands, their members (series, or a window of steps), and the steps per point."""
    sizes = sorted({len(members) for members in keys.values() if members})
    if not sizes or sizes[-1] == 1:
        members = f"{recipe.window:,g} steps"
    else:
        members = f"{' to '.join(f'{size:,}' for size in dict.fromkeys((sizes[0], sizes[-1])))} series"
    per_point = f"; 1 point = {width:,} steps" if width > 1 else ""
    return f"{recipe.spread} of {members}{per_point}"
