"""The data model of a chart, independent of how it is drawn.

Builders make charts from runs and renderers turn them into figures, so notebooks, the report, the command line and the
dashboard show the same data. Texts are unmodified; renderers escape them.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
XArray: TypeAlias = npt.NDArray[Any]
Color: TypeAlias = int | float | str
"""An index into the palette, a position from 0.0 to 1.0 in the theme's color sequence, or `"#rrggbb"`."""
ChartKind: TypeAlias = Literal["line", "band", "heatmap", "latest", "speed"]
AxisKind: TypeAlias = Literal["step", "number", "date"]
MarkKind: TypeAlias = Literal["mark", "restart", "alert", "change"]


@dataclass(frozen=True, slots=True, eq=False)
class Nonfinite:
    """The positions of NaN and infinite values of a line.

    Attributes:
        x: Shape (n,), like the line's `x`.
        texts: A description for each x, such as `"NaN at step 512"`.
    """

    x: XArray
    texts: tuple[str, ...]


NOTHING_NONFINITE = Nonfinite(np.empty(0), ())


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One line, with or without a ribbon around it.

    Attributes:
        label: The label in the legend.
        x: Shape (n,): float64, or datetime64[us] on a date axis.
        y: Shape (n,), float64. NaN is a gap in the line.
        steps: Shape (n,), int64: the first step that each point represents.
        last_steps: Shape (n,), int64: the last step that each point represents.
        lower: Shape (n,), the ribbon's lower edge; None without a ribbon.
        upper: Shape (n,), the ribbon's upper edge; None without a ribbon.
        spread: The meaning of the ribbon: `"min–max"`, `"mean ± std"`.
        counts: Shape (n,), the number of members of a band at each point; None for a plain line.
        nonfinite: NaN and infinite values, which `y` cannot show.
        color: The color.
        dash: `"solid"`, `"dash"` or `"dot"`.
        is_faint: Whether it is a background line, such as the unsmoothed values behind the smoothed.
        run: The label of the run; empty for several runs.
        name: The name of the series; empty for several series.
    """

    label: str
    x: XArray
    y: FloatArray
    steps: IntArray
    last_steps: IntArray
    lower: FloatArray | None = None
    upper: FloatArray | None = None
    spread: str = ""
    counts: IntArray | None = None
    nonfinite: Nonfinite = NOTHING_NONFINITE
    color: Color = 0
    dash: Literal["solid", "dash", "dot"] = "solid"
    is_faint: bool = False
    run: str = ""
    name: str = ""

    @property
    def ribbon(self) -> tuple[FloatArray, FloatArray] | None:
        """The ribbon's edges; None without a ribbon."""
        return None if self.lower is None or self.upper is None else (self.lower, self.upper)

    @property
    def isolated(self) -> IntArray:
        """The indices of points between two gaps, which need a marker to be visible."""
        is_finite = np.isfinite(self.y)
        return np.flatnonzero(is_finite & ~np.r_[False, is_finite[:-1]] & ~np.r_[is_finite[1:], False])

    @property
    def columns(self) -> list[FloatArray]:
        """All columns on the y-axis."""
        return [self.y, *(self.ribbon or ())]


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """Series as rows, steps as columns.

    Attributes:
        rows: The names of the series, from bottom to top.
        row_labels: The names without their common prefix and suffix.
        x: Shape (columns,), like a line's `x`.
        steps: Shape (columns,), int64: the first step of each column.
        last_steps: Shape (columns,), int64: the last step of each column.
        values: Shape (rows, columns), float64. NaN where no finite value was logged.
        is_nonfinite: Shape (rows, columns): whether a NaN or infinite value was logged.
        low: The value at the lower end of the color range.
        high: The value at the upper end of the color range.
        is_log: Whether the color scale is logarithmic; values of at most 0 are then omitted.
    """

    rows: tuple[str, ...]
    row_labels: tuple[str, ...]
    x: XArray
    steps: IntArray
    last_steps: IntArray
    values: FloatArray
    is_nonfinite: npt.NDArray[np.bool_]
    low: float
    high: float
    is_log: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """The bars of one run: a value per category.

    Attributes:
        label: The label in the legend.
        values: Shape (categories,), float64. NaN without a bar.
        texts: The hover text of each bar, with the step.
        is_nonfinite: Shape (categories,): whether the value is NaN or infinite.
        color: The color.
    """

    label: str
    values: FloatArray
    texts: tuple[str, ...]
    is_nonfinite: npt.NDArray[np.bool_]
    color: Color = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at an event.

    Attributes:
        x: The position, like a line's `x`: a float, or a numpy.datetime64 on a date axis.
        label: The event.
        kind: `"mark"` was logged by the user, `"restart"` is the start of another attempt, `"alert"` was raised by a
            rule, and `"change"` is a change point.
        step: The step.
        color: The color of the line or run that it belongs to; None if it belongs to the whole chart.
    """

    x: Any
    label: str
    kind: MarkKind
    step: int
    color: Color | None = None


@dataclass(frozen=True, slots=True)
class Threshold:
    """A labeled horizontal line."""

    y: float
    label: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """A chart, ready for a renderer. It has lines, a heatmap or bars.

    Attributes:
        kind: The builder that made it.
        title: The complete title.
        x_label: The label of the x-axis.
        y_label: The label of the y-axis.
        x_kind: Whether x is steps, other numbers or dates.
        lines: Lines and bands, from back to front.
        heatmap: The heatmap; None for other charts.
        categories: The labels of the bars on the x-axis.
        bars: The bars of each run.
        marks: Vertical lines.
        thresholds: Horizontal lines.
        log_y: Whether y is logarithmic; values of at most 0 are then marked on the axis.
        y_range: The displayed range of the y-axis; all values if None.
        note: How the data was reduced, such as `"1 point = 64 steps, min–max shown"`.
        width: The number of steps that a point represents.
        window: The requested first step and the step after the last; None is unbounded.
    """

    kind: ChartKind
    title: str
    x_label: str = "step"
    y_label: str = ""
    x_kind: AxisKind = "step"
    lines: tuple[Line, ...] = ()
    heatmap: Heatmap | None = None
    categories: tuple[str, ...] = ()
    bars: tuple[Bars, ...] = ()
    marks: tuple[Mark, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    log_y: bool = False
    y_range: tuple[float, float] | None = None
    note: str = ""
    width: int = 1
    window: tuple[int | None, int | None] = (None, None)
