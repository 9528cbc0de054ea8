"""The view of a chart: window, x-axis, smoothing."""

from dataclasses import dataclass

_MIN_PIXELS, _MAX_PIXELS = 16, 10_000
_METRIC = "metric:"


@dataclass(frozen=True, slots=True)
class View:
    """Window, x-axis and smoothing of any chart.

    Attributes:
        px: The width of the chart in pixels, which is the maximum number of points per line.
        start: The first step; the start of the run if None.
        stop: The step after the last; the end of the run if None.
        x: `"step"`, `"relative"` (time since the start of the run), `"wall"` (UTC), or `"metric:NAME"`.
        half_life: The half-life of the smoothing in steps; 0 disables it.
        log_y: Whether the y-axis, or a heatmap's color scale, is logarithmic.
        trim_outliers: Whether the y-axis omits the lowest and the highest percent of the points.
        marks: Whether to show marks, restarts and alerts.

    Raises:
        ValueError: If an attribute is invalid.
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
            raise ValueError(f"half_life must be a finite number of steps and at least 0, got {self.half_life}")
        if self.start is not None and self.stop is not None and self.start >= self.stop:
            raise ValueError(f"start must be less than stop, got {self.start} and {self.stop}")
        if self.x not in {"step", "relative", "wall"} and not self.x_metric:
            raise ValueError(f'x must be "step", "relative", "wall" or "metric:NAME", got {self.x!r}')

    @property
    def x_metric(self) -> str:
        """The metric on the x-axis; empty if x is not a metric."""
        return self.x[len(_METRIC) :] if self.x.startswith(_METRIC) else ""


WHOLE = View()
"""All steps, without smoothing."""
