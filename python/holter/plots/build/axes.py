"""The x-axis: maps buckets of steps to x-coordinates.

x is the step, the bucket's timestamp, or the mean of another metric over the same bucket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from holter.plots.build.reading import middles

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from holter import Buckets, Run
    from holter.plots.build.chart import AxisKind, FloatArray, IntArray, XArray
    from holter.plots.build.reading import Reading
    from holter.plots.build.view import View

_UNITS = ((600.0, "s", 1.0), (36_000.0, "min", 60.0), (float("inf"), "h", 3600.0))


@dataclass(frozen=True, slots=True, eq=False)
class XAxis:
    """Maps the buckets of one chart to its x-axis.

    Attributes:
        mode: The view's `x`.
        metric: The metric on the axis; empty if the axis is not a metric.
        kind: Whether x is steps, other numbers or dates.
        label: The label of the axis.
        origins: For relative time: the start of each run.
        seconds: For relative time: seconds per unit.
        reading: The buckets, including those of the metric.
    """

    mode: str
    metric: str
    kind: AxisKind
    label: str
    origins: tuple[np.datetime64, ...]
    seconds: float
    reading: Reading

    def place(self, run_index: int, buckets: Buckets) -> XArray:
        """Return x for each bucket: float64 or datetime64[us]; NaN if the metric on the axis is absent."""
        if self.mode == "step":
            return middles(buckets)
        if self.mode == "wall":
            return buckets.timestamps
        if self.mode == "relative":
            return _seconds(buckets.timestamps, self.origins[run_index]) / self.seconds
        return self._metric_at(run_index, buckets.steps)

    def _metric_at(self, run_index: int, steps: IntArray) -> FloatArray:
        """The metric's mean over the buckets that start at `steps`."""
        found = np.full(len(steps), np.nan)
        joined = self.reading.shown.get((run_index, self.metric))
        if joined is not None and len(joined.steps):
            at = np.searchsorted(joined.steps, steps).clip(max=len(joined.steps) - 1)
            has_match = joined.steps[at] == steps
            found[has_match] = joined.means[at[has_match]]
        return np.where(np.isfinite(found), found, np.nan)


def x_axis(runs: Sequence[Run], view: View, reading: Reading) -> XAxis:
    """Return the x-axis of a view."""
    if view.x_metric:
        return XAxis("metric", view.x_metric, "number", view.x_metric, (), 1.0, reading)
    if view.x == "wall":
        return XAxis("wall", "", "date", "time (UTC)", (), 1.0, reading)
    if view.x == "step":
        return XAxis("step", "", "step", "step", (), 1.0, reading)
    origins = tuple(np.datetime64(run.created.replace(tzinfo=None), "us") for run in runs)
    unit, seconds = _unit(runs, origins, view, reading)
    return XAxis("relative", "", "number", f"time since the start ({unit})", origins, seconds, reading)


def _unit(runs: Sequence[Run], origins: Sequence[np.datetime64], view: View, reading: Reading) -> tuple[str, float]:
    """The unit for the duration of the complete runs, so that it does not depend on the window."""
    longest = 0.0
    for index, (run, origin) in enumerate(zip(runs, origins, strict=True)):
        own = [buckets for (run_index, _), buckets in reading.shown.items() if run_index == index]
        if view.stop is not None:
            own = run.buckets([buckets.name for buckets in own], max_buckets=1)
        for buckets in own:
            longest = max(longest, *_seconds(buckets.timestamps[-1:], origin))
    return next((unit, seconds) for limit, unit, seconds in _UNITS if longest < limit)


def _seconds(times: npt.NDArray[np.datetime64], origin: np.datetime64) -> FloatArray:
    return (times - origin).astype("timedelta64[us]").astype(np.float64) / 1e6
