"""What the user looks through: the window, the x-axis, the smoothing."""

from dataclasses import dataclass

_MIN_PIXELS, _MAX_PIXELS = 16, 10_000
_METRIC = "metric:"


@dataclass(frozen=True, slots=True)
class View:
    """How runs are looked at, whatever the chart.

    Attributes:
        px: How many pixels wide the chart will be: a line gets at most so many points.
        start: The first step; from the beginning if None.
        stop: The step after the last one; to the end if None.
        x: `"step"`, `"relative"` (time since the run was begun), `"wall"` (UTC), or `"metric:NAME"`.
        half_life: The half-life of the smoothing, in steps; 0 for none.
        log_y: Whether the y-axis is logarithmic; for a heatmap, its colors.
        trim_outliers: Whether the y-axis leaves out the lowest and the highest percent of the points.
        marks: Whether marks and restarts are shown.

    Raises:
        ValueError: If one of them makes no sense.
    """

    px: int = 800
    start: int | None = None
    stop: int | None = None
    x: str = "step"
    half_life: float = 0.0
    log_y: bool = False
    trim_outliers: bool = False
    marks: bool = True

    def __post_init__(self) -> None:
        if not _MIN_PIXELS <= self.px <= _MAX_PIXELS:
            raise ValueError(f"px must be {_MIN_PIXELS} to {_MAX_PIXELS}, got {self.px}")
        if not 0.0 <= self.half_life < float("inf"):
            raise ValueError(f"half_life must be a number of steps, 0 or more, got {self.half_life}")
        if self.start is not None and self.stop is not None and self.start >= self.stop:
            raise ValueError(f"start must be less than stop, got {self.start} and {self.stop}")
        if self.x not in {"step", "relative", "wall"} and not self.x_metric:
            raise ValueError(f'x must be "step", "relative", "wall" or "metric:NAME", got {self.x!r}')

    @property
    def x_metric(self) -> str:
        """The metric on the x-axis; empty if it is none."""
        return self.x[len(_METRIC) :] if self.x.startswith(_METRIC) else ""


WHOLE = View()
"""All steps, as they were logged."""
