"""What a chart is: the data and the words, with nothing of how it is drawn.

Builders make charts from runs, renderers turn them into figures. A notebook, the report, the command line and the
dashboard therefore show the same picture. Texts are as the user wrote them: escaping is the renderers' task.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
XArray: TypeAlias = npt.NDArray[Any]
Color: TypeAlias = int | float | str
"""An index into the palette, a place from 0.0 to 1.0 in the theme's sequence of colors, or `"#rrggbb"`."""
ChartKind: TypeAlias = Literal["line", "band", "heatmap", "latest", "speed"]
AxisKind: TypeAlias = Literal["step", "number", "date"]
MarkKind: TypeAlias = Literal["mark", "restart", "alert", "change"]


@dataclass(frozen=True, slots=True, eq=False)
class Nonfinite:
    """Where a line has values that no axis can show: NaN and infinities.

    Attributes:
        x: Shape (n,), as the line's `x`.
        texts: What is there, one for each x: `"NaN at step 512"`.
    """

    x: XArray
    texts: tuple[str, ...]


NOTHING_NONFINITE = Nonfinite(np.empty(0), ())


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One line, with or without a ribbon around it.

    Attributes:
        label: What the legend says.
        x: Shape (n,): float64, or datetime64[us] where the chart's axis is of dates.
        y: Shape (n,), float64. NaN where there is no finite value: the line has a gap there.
        steps: Shape (n,), int64: the first step that a point stands for.
        last_steps: Shape (n,), int64: the last one.
        lower: Shape (n,), the ribbon's lower edge; None without a ribbon.
        upper: Shape (n,), its upper edge.
        spread: What lies between the two: `"min–max"`, `"mean ± std"`.
        counts: Shape (n,), how many members a band has at a point; None for a plain line.
        nonfinite: NaN and infinities, which `y` cannot show.
        color: Its color.
        dash: `"solid"`, `"dash"` or `"dot"`.
        is_faint: Whether it stands behind another line, as the unsmoothed values do behind the smoothed.
        run: The run's label; empty where it is of several.
        name: The series' name; empty where it is of several.
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
    def columns(self) -> list[FloatArray]:
        """All that the line shows on the y-axis."""
        return [self.y, *(self.ribbon or ())]


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """Series as rows, steps as columns.

    Attributes:
        rows: The series' names, the first one at the bottom.
        row_labels: The same, without what all have in common.
        x: Shape (columns,), as a line's `x`.
        steps: Shape (columns,), int64: the first step of each column.
        last_steps: Shape (columns,), int64: the last one.
        values: Shape (rows, columns), float64. NaN where nothing finite was logged.
        is_nonfinite: Shape (rows, columns): where NaN or an infinity was logged.
        low: The value at the lower end of the color range.
        high: The value at its upper end.
        is_log: Whether the colors are spaced by the logarithm; values of at most 0 are then left out.
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
    """One run's bars: a value for each category.

    Attributes:
        label: What the legend says.
        values: Shape (categories,), float64. NaN where there is no bar.
        texts: What the hover says of each, with the step.
        is_nonfinite: Shape (categories,): where the value is NaN or infinite.
        color: Their color.
    """

    label: str
    values: FloatArray
    texts: tuple[str, ...]
    is_nonfinite: npt.NDArray[np.bool_]
    color: Color = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at something that happened.

    Attributes:
        x: Where, as a line's `x`: a float, or a numpy.datetime64 on an axis of dates.
        label: What happened.
        kind: `"mark"` was logged by the user, `"restart"` began another attempt, `"alert"` was said by a rule, and
            `"change"` is a change point.
        step: At which step.
        color: Of which line or run; None if it is of all.
    """

    x: Any
    label: str
    kind: MarkKind
    step: int
    color: Color | None = None


@dataclass(frozen=True, slots=True)
class Threshold:
    """A horizontal line at a value that matters."""

    y: float
    label: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """A chart, ready to be drawn.

    Attributes:
        kind: Which builder made it.
        title: Its title, in full.
        x_label: What the x-axis shows.
        y_label: What the y-axis shows.
        x_kind: Whether x is steps, other numbers or dates.
        lines: Lines and bands, from the back to the front.
        heatmap: Instead of lines.
        categories: The bars' names along the x-axis.
        bars: Instead of lines.
        marks: Vertical lines.
        thresholds: Horizontal lines.
        log_y: Whether y is logarithmic; values of at most 0 are then marked on the axis.
        y_range: What of the y-axis is shown; all if None.
        note: How the picture came about: `"1 point = 64 steps, min–max shown"`.
        width: How many steps a point stands for.
        window: The first step that was asked for and the one after the last; None is open.
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
