"""Builds heatmaps: series as rows in layer order, steps as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holter import analysis
from holter._text import counted
from holter.plots.build.bands import mean_x
from holter.plots.build.chart import Heatmap
from holter.plots.build.lines import title_of
from holter.plots.build.marks import run_marks
from holter.plots.build.notes import note_of
from holter.plots.build.ranges import percent_range
from holter.plots.build.scene import open_scene
from holter.plots.build.text import distinct_parts
from holter.plots.build.view import WHOLE, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holter import Run
    from holter.plots.build.chart import Chart, FloatArray

_PIXELS_PER_COLUMN = 2


def heatmap_chart(run: Run, names: Sequence[str], view: View = WHOLE, *, title: str | None = None) -> Chart:
    """Build a heatmap of one run: `layer_2` below `layer_10`, colors from the 1st to the 99th percentile.

    A cell is the mean over its steps. Cells with NaN or infinite values are marked.

    Args:
        run: The run.
        names: The names of the series, such as those of a family.
        view: Window, x-axis and smoothing; `log_y` makes the color scale logarithmic.
        title: The chart's title; derived from the names if None.

    Raises:
        KeyError: If the run has none of the series.
    """
    scene = open_scene([run], names, view, px=max(1, view.px // _PIXELS_PER_COLUMN))
    rows = sorted((name for _, name in scene.keys(names)), key=analysis.natural_key)
    placed = [scene.placed((0, name)) for name in rows]
    steps, x = mean_x([(buckets.steps, own_x) for buckets, own_x in placed])
    values = np.full((len(rows), len(steps)), np.nan)
    is_nonfinite = np.zeros(values.shape, np.bool_)
    last_steps = np.full(len(steps), np.iinfo(np.int64).min)
    for row, (buckets, _) in enumerate(placed):
        at = np.searchsorted(steps, buckets.steps)
        values[row, at] = scene.reading.smoothed((0, rows[row]), view.half_life) if view.half_life else buckets.means
        is_nonfinite[row, at] = buckets.nonfinite_counts > 0
        last_steps[at] = np.maximum(last_steps[at], buckets.last_steps)
    keep = np.flatnonzero(~np.isnan(x))
    keep = keep[np.argsort(x[keep], kind="stable")]
    values, is_nonfinite = values[:, keep], is_nonfinite[:, keep]
    shown = values[np.isfinite(values) & ((values > 0) | (not view.log_y))]
    low, high = percent_range(shown)
    heatmap = Heatmap(
        rows=tuple(rows),
        row_labels=tuple(distinct_parts(rows)),
        x=x[keep],
        steps=steps[keep],
        last_steps=last_steps[keep],
        values=values,
        is_nonfinite=is_nonfinite,
        low=low,
        high=high,
        is_log=view.log_y,
    )
    return scene.chart(
        "heatmap",
        title if title is not None else title_of(rows),
        heatmap=heatmap,
        marks=tuple(run_marks(scene)),
        note=note_of(view, _describe(scene.reading.width, values, is_log=view.log_y)),
    )


def _describe(width: int, values: FloatArray, *, is_log: bool) -> str:
    parts = ["colors: 1st–99th percentile"]
    if width > 1:
        parts.append(f"1 column = mean of {width:,} steps")
    num_nonpositive = int((values <= 0).sum()) if is_log else 0
    if num_nonpositive:
        parts.append(f"{counted(num_nonpositive, 'cell')} ≤ 0 not shown on the logarithmic scale")
    return "; ".join(parts)
