"""Response types. They document the JSON that scripts can rely on; `_openapi` publishes their schema.

Nothing validates a response against its type at run time; the tests check real responses against the schema.
"""

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from holter.dashboard.api._requests import ChartSpec

__all__ = [
    "Cell",
    "ComparisonResponse",
    "FigureAnswer",
    "FiguresResponse",
    "HealthResponse",
    "OverviewResponse",
    "PlotlyFigure",
    "Problem",
    "Row",
    "RunInfo",
    "RunsResponse",
    "SeriesResponse",
    "TableResponse",
]

# A NaN in a field of this type becomes "nan" when it is encoded.
Value: TypeAlias = Annotated[
    float | Literal["nan", "inf", "-inf"], Meta(description="A number; a non-finite one is a string.")
]
SeriesRow: TypeAlias = Annotated[
    tuple[str, int, int, int, int, Value],
    Meta(description="Name, points, points that are NaN or infinite, first step, last step, last value."),
]
TableRow: TypeAlias = tuple[str, str, int, Value, str]


class HealthResponse(Struct):
    """The server is running."""

    status: Literal["ok"]
    version: str


class Problem(Struct):
    """A run that could not be read."""

    path: str
    reason: str


class RunInfo(Struct, kw_only=True):
    """A run's metadata, status and statistics."""

    id: Annotated[str, Meta(description="The path relative to the folder; identifies the run in requests.")]
    name: str
    color: Annotated[int, Meta(description="Index in the palette, modulo its length.")]
    rank: int
    status: Annotated[str, Meta(description="`running`, or how the run ended, such as `finished` or `crashed`.")]
    is_live: bool
    revision: Annotated[str, Meta(description="An opaque version token that changes whenever the run changes.")]
    created: str | None
    finished: str | None
    last_step: int | None
    series: Annotated[int, Meta(description="Number of series.")]
    nonfinite_series: Annotated[int, Meta(description="Number of series with NaN or infinite values.")]
    points: Annotated[int, Meta(description="Number of points.")]
    tags: list[str]
    config: Annotated[dict[str, Any], Meta(description='Flattened: {"optimizer.lr": 0.1}.')]
    dropped: Annotated[int, Meta(description="Number of points lost.")]
    attempts: list[dict[str, Any]]
    steps_per_second: float | None
    total_steps: int | None
    eta_seconds: float | None
    last_point_age_seconds: float | None
    command_line: list[str]
    git: Annotated[Any, Meta(description="The recorded commit; null if unknown.")]
    host: str | None
    versions: Annotated[Any, Meta(description="Versions of Python and of packages.")]


class RunsResponse(Struct):
    """All runs, oldest first, and those that could not be read."""

    root: str
    runs: list[RunInfo]
    problems: list[Problem]


class SeriesResponse(Struct):
    """The series of a run."""

    revision: str
    series: list[SeriesRow]


class OverviewResponse(Struct):
    """Charts to show first, as `POST /api/v1/figures` accepts them."""

    charts: list[ChartSpec]


class PlotlyFigure(Struct):
    """A figure for plotly.js."""

    data: list[dict[str, Any]]
    layout: dict[str, Any]


class FigureAnswer(Struct, kw_only=True):
    """A figure, or the reason why it could not be drawn."""

    key: str
    figure: PlotlyFigure
    note: str = ""
    width: Annotated[int, Meta(description="Steps per drawn point.")] = 1
    revision: Annotated[dict[str, str], Meta(description="Revisions of the runs.")]
    error: Annotated[str, Meta(description="Why the figure is empty; absent if it is not.")] | UnsetType = UNSET


class FiguresResponse(Struct):
    """One figure for each chart of the request, in the same order."""

    figures: list[FigureAnswer]


class TableResponse(Struct):
    """A page of points."""

    columns: list[str]
    rows: list[TableRow]
    total: Annotated[int, Meta(description="Number of rows on all pages.")]


class Cell(Struct):
    """One value of a comparison."""

    text: str
    value: Value | None
    note: str


class Row(Struct):
    """One metric or setting, with a cell for each column."""

    label: str
    cells: list[Cell]
    better: Literal["lower", "higher"] | None
    best: Annotated[list[int], Meta(description="Indices of the best cells.")]
    help: str


class ComparisonResponse(Struct):
    """Runs or groups of runs side by side."""

    runs: Annotated[list[str], Meta(description="Labels of the columns.")]
    rows: list[Row]
    notes: list[str]
    markdown: str
    latex: str
    csv: str
