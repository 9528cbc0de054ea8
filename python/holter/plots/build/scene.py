"""The common input of the builders: runs, their series on one grid, and the x-axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holter.plots.build.axes import XAxis, x_axis
from holter.plots.build.chart import Chart
from holter.plots.build.reading import Key, Reading, missing, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holter import Buckets, Run
    from holter.plots.build.chart import ChartKind, XArray
    from holter.plots.build.view import View


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Runs with their data for a view.

    Attributes:
        runs: The runs.
        view: Window, x-axis and smoothing.
        reading: The series.
        axis: The x-axis.
    """

    runs: tuple[Run, ...]
    view: View
    reading: Reading
    axis: XAxis

    def keys(self, names: Sequence[str]) -> list[Key]:
        """Return the run's index and the name of each existing series, ordered by run."""
        every = ((index, name) for index in range(len(self.runs)) for name in dict.fromkeys(names))
        return [key for key in every if key in self.reading.shown]

    def placed(self, key: Key) -> tuple[Buckets, XArray]:
        """Return the buckets of a series and their x."""
        buckets = self.reading.shown[key]
        return buckets, self.axis.place(key[0], buckets)

    def chart(self, kind: ChartKind, title: str, **parts: Any) -> Chart:
        """Return a chart with this x-axis; `parts` are the other attributes of `Chart`."""
        return Chart(
            kind=kind,
            title=title,
            x_label=self.axis.label,
            x_kind=self.axis.kind,
            log_y=self.view.log_y,
            width=self.reading.width,
            window=(self.view.start, self.view.stop),
            **parts,
        )


def open_scene(
    runs: Sequence[Run], names: Sequence[str], view: View, *, px: int | None = None, reach: float = 0.0
) -> Scene:
    """Read the data for a chart of the series `names`.

    Args:
        runs: The runs; series that a run does not have are skipped.
        names: The names of the series.
        view: Window, x-axis and smoothing.
        px: The maximum number of points per series; the view's pixels if None.
        reach: The number of steps before the window to read, if more than smoothing needs.

    Raises:
        KeyError: If no run has any of the series, or the metric on the x-axis.
    """
    needed = [*names, view.x_metric] if view.x_metric else names
    reading = read(runs, list(dict.fromkeys(needed)), view, px=view.px if px is None else px, reach=reach)
    present = {name for _, name in reading.shown}
    if present.isdisjoint(names):
        raise missing(runs, names)
    if view.x_metric and view.x_metric not in present:
        raise missing(runs, [view.x_metric])
    return Scene(tuple(runs), view, reading, x_axis(runs, view, reading))
