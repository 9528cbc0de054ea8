"""What every builder starts from: the runs, their series on one grid, and where that stands on the x-axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holter.plots.build.axes import XAxis, x_axis
from holter.plots.build.reading import Key, Reading, missing, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holter import Buckets, Run
    from holter.plots.build.chart import XArray
    from holter.plots.build.view import View


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Runs as they are seen through a view.

    Attributes:
        runs: The runs.
        view: What the user looks through.
        reading: The series.
        axis: The x-axis.
    """

    runs: tuple[Run, ...]
    view: View
    reading: Reading
    axis: XAxis

    def keys(self, names: Sequence[str]) -> list[Key]:
        """Return the index of the run and the name of each series that is there, run by run."""
        every = ((index, name) for index in range(len(self.runs)) for name in dict.fromkeys(names))
        return [key for key in every if key in self.reading.shown]

    def placed(self, key: Key) -> tuple[Buckets, XArray]:
        """Return the buckets of a series, and x for each."""
        buckets = self.reading.shown[key]
        return buckets, self.axis.place(key[0], buckets)


def open_scene(
    runs: Sequence[Run], names: Sequence[str], view: View, *, px: int | None = None, reach: float = 0.0
) -> Scene:
    """Read what a chart of the series `names` needs.

    Args:
        runs: The runs; one that lacks a series goes without it.
        names: The series' names.
        view: What the user looks through.
        px: How many points a series gets at most; the view's pixels if None.
        reach: How many steps before the window are wanted, besides what smoothing needs.

    Raises:
        KeyError: If no run has any of the series, or the metric on the x-axis.
    """
    wanted = [*names, view.x_metric] if view.x_metric else names
    reading = read(runs, list(dict.fromkeys(wanted)), view, px=view.px if px is None else px, reach=reach)
    there = {name for _, name in reading.shown}
    if there.isdisjoint(names):
        raise missing(runs, names)
    if view.x_metric and view.x_metric not in there:
        raise missing(runs, [view.x_metric])
    return Scene(tuple(runs), view, reading, x_axis(runs, view, reading))
