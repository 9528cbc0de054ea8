"""Reads the data of a chart: all series on one grid of buckets, at most one bucket per pixel.

The grid is absolute (bucket b starts at step b * width) and widths are powers of two. The same window therefore always
gives the same chart, and the series of different runs have the same steps.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from holter import analysis
from holter._text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holter import Buckets, Run
    from holter.plots.build.chart import FloatArray, IntArray
    from holter.plots.build.view import View

Key: TypeAlias = tuple[int, str]
"""A series: the index of its run, and its name."""

# Run.buckets supports the widths 1, 64, 512, ... Reading eight buckets per pixel leaves between one bucket per two
# pixels and one per pixel after merging.
_OVERSAMPLING = 8
_FIRST_WIDTH = 64
# The maximum total number of buckets; above it, a coarser chart is better than a slow one.
_MAX_BUCKETS = 100_000
# A value 20 half-lives back has a weight of a millionth; older values have no visible effect.
_HISTORY_HALF_LIVES = 20
# History is read in buckets of at most 1/8 of the half-life, so that no weight is off by more than 5 %.
_HISTORY_FINENESS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Series of several runs on one grid.

    Attributes:
        width: The number of steps per bucket of `shown`.
        shown: The buckets to draw.
        fine: The buckets of the same window as read, not coarser than `shown`.
        history: The buckets before the window, if needed.
    """

    width: int
    shown: dict[Key, Buckets]
    fine: dict[Key, Buckets]
    history: dict[Key, list[Buckets]] = field(default_factory=dict)

    def parts(self, key: Key) -> list[Buckets]:
        """Return the series as read, preceded by its history."""
        return [*self.history.get(key, ()), self.fine[key]]

    def smoothed(self, key: Key, half_life: float) -> FloatArray:
        """Return the exponential average at each bucket of `shown`, including its history before the window."""
        parts = self.parts(key)
        steps = np.concatenate([part.last_steps for part in parts])
        means = np.concatenate([part.means for part in parts])
        counts = np.concatenate([finite_counts(part) for part in parts])
        averages = analysis.ema(steps, means, half_life, counts=counts)
        return averages[np.searchsorted(steps, self.shown[key].last_steps)]


def read(runs: Sequence[Run], names: Sequence[str], view: View, *, px: int, reach: float = 0.0) -> Reading:
    """Read the series `names` of `runs`; series that a run does not have are skipped.

    Args:
        runs: The runs.
        names: The names of the series.
        view: The window and the smoothing.
        px: The maximum number of buckets per series.
        reach: The number of steps before the window to read as history, if more than smoothing needs.
    """
    limit = min(_OVERSAMPLING * px, max(px, _MAX_BUCKETS // max(1, len(runs) * len(names))))
    start, stop = _aligned(view, px)
    fine = _read_all(runs, names, start, stop, max_buckets=limit)
    common = max((buckets.width for buckets in fine.values()), default=1)
    if common == _FIRST_WIDTH and max(map(len, fine.values())) < px / 2:
        # The first buckets are 64 times coarser than points, which is too coarse if there are few enough points.
        num_points = sum(int(buckets.counts.sum()) for buckets in fine.values())
        if num_points <= _MAX_BUCKETS:
            fine, common = _read_all(runs, names, start, stop, width=1), 1
    fine = {key: coarsened(buckets, common) for key, buckets in fine.items()}
    width = _shown_width(fine.values(), common, px)
    shown = {key: coarsened(buckets, width) for key, buckets in fine.items()}
    reach = max(reach, _HISTORY_HALF_LIVES * view.half_life)
    if not reach or start is None:
        return Reading(width, shown, fine)
    begin = start // common * common
    return Reading(width, shown, fine, _history(runs, fine, (begin - int(reach), begin), view.half_life))


def present_buckets(
    run: Run,
    names: Sequence[str],
    *,
    width: int | None = None,
    max_buckets: int = 1,
    start: int | None = None,
    stop: int | None = None,
) -> list[Buckets]:
    """Return the buckets of those of `names` that the run has; the arguments are those of `Run.buckets`."""
    try:
        return run.buckets(list(names), width=width, max_buckets=max_buckets, start=start, stop=stop)
    except KeyError:
        present = set(run.names())
        found = [name for name in names if name in present]
        return run.buckets(found, width=width, max_buckets=max_buckets, start=start, stop=stop) if found else []


def missing(runs: Sequence[Run], names: Sequence[str]) -> KeyError:
    """Return the error for series that no run has; for a single series and run, the run's own error."""
    if len(runs) == 1 and len(names) == 1:
        try:
            runs[0].series(names[0], 0, 0)
        except KeyError as error:
            return error
    listed = ", ".join(repr(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")
    return KeyError(f"no series named {listed} in {counted(len(runs), 'run')}" if names else "no series names given")


def finite_counts(buckets: Buckets) -> IntArray:
    """Return the number of finite values in each bucket."""
    return buckets.counts - buckets.nonfinite_counts


def share_steps(all_steps: Sequence[IntArray]) -> bool:
    """Return whether there are several arrays of steps and all are equal, so that a table can replace a loop."""
    return len(all_steps) > 1 and all(np.array_equal(steps, all_steps[0]) for steps in all_steps[1:])


def middles(buckets: Buckets) -> FloatArray:
    """Return the step at which to draw each bucket: its middle, or the point of a bucket with a single one."""
    first, last = buckets.steps.astype(np.float64), buckets.last_steps.astype(np.float64)
    return np.where(buckets.counts == 1, last, first + (last - first) / 2)


def coarsened(buckets: Buckets, width: int) -> Buckets:
    """Return the buckets merged exactly into a coarser grid; `width` must be a multiple of their width."""
    if width == buckets.width:
        return buckets
    if not len(buckets.steps):
        return dataclasses.replace(buckets, width=width)
    grid = buckets.steps // width
    firsts = np.flatnonzero(np.r_[True, grid[1:] != grid[:-1]])
    ends = np.r_[firsts[1:], len(grid)] - 1
    return dataclasses.replace(
        buckets,
        width=width,
        steps=grid[firsts] * width,
        last_steps=buckets.last_steps[ends],
        counts=np.add.reduceat(buckets.counts, firsts),
        nonfinite_counts=np.add.reduceat(buckets.nonfinite_counts, firsts),
        minima=np.fmin.reduceat(buckets.minima, firsts),
        maxima=np.fmax.reduceat(buckets.maxima, firsts),
        sums=np.add.reduceat(buckets.sums, firsts),
        square_sums=np.add.reduceat(buckets.square_sums, firsts),
        lasts=buckets.lasts[ends],
        timestamps=buckets.timestamps[ends],
    )


def _read_all(
    runs: Sequence[Run], names: Sequence[str], start: int | None, stop: int | None, **how: int
) -> dict[Key, Buckets]:
    by_run = (present_buckets(run, names, start=start, stop=stop, **how) for run in runs)
    return {(index, buckets.name): buckets for index, own in enumerate(by_run) for buckets in own}


def _aligned(view: View, px: int) -> tuple[int | None, int | None]:
    """The window, extended to complete buckets if it is bounded."""
    if view.start is None or view.stop is None:
        return view.start, view.stop
    width = _power_of_two((view.stop - view.start) / px)
    return view.start // width * width, -(-view.stop // width) * width


def _shown_width(all_buckets: Iterable[Buckets], common: int, px: int) -> int:
    """The width at which no series has more than `px` buckets."""
    filled = [buckets for buckets in all_buckets if len(buckets.steps)]
    if max((len(buckets.steps) for buckets in filled), default=0) <= px:
        return common
    first = min(int(buckets.steps[0]) for buckets in filled)
    last = max(int(buckets.last_steps[-1]) for buckets in filled)
    return max(common, _power_of_two((last - first + 1) / px))


def _power_of_two(minimum: float) -> int:
    """The smallest power of two that is at least `minimum`."""
    width = 1
    while width < minimum:
        width *= 2
    return width


def _history(
    runs: Sequence[Run], fine: dict[Key, Buckets], window: tuple[int, int], half_life: float
) -> dict[Key, list[Buckets]]:
    """The buckets before the window: old ones coarse if smoothing allows it, recent ones as fine as the window."""
    first, begin = window
    width = max((buckets.width for buckets in fine.values()), default=1)
    coarse = _FIRST_WIDTH
    while coarse * 8 * _HISTORY_FINENESS <= half_life:
        coarse *= 8
    pieces = [(width, first, begin)]
    if coarse > width and coarse * _HISTORY_FINENESS <= half_life:
        middle = begin // coarse * coarse
        pieces = [(coarse, first, middle), (width, middle, begin)]
    history: dict[Key, list[Buckets]] = {key: [] for key in fine}
    for index, run in enumerate(runs):
        names = [name for run_index, name in fine if run_index == index]
        for piece, start, stop in pieces if names else []:
            for buckets in run.buckets(names, width=piece, start=start, stop=stop) if start < stop else []:
                history[index, buckets.name].append(buckets)
    return history
