"""Request types, and functions that decode and validate them.

The types are the only description of the requests: msgspec validates against them, and `_openapi` publishes their
schema. They bound every list, number and text, so no request is expensive to read.
"""

from typing import Annotated, Final, Literal, TypeAlias, TypeVar, get_args

import msgspec
from msgspec import Meta, Struct
from starlette.datastructures import QueryParams

from holter._text import shortened
from holter.dashboard.http._errors import RequestError

__all__ = [
    "MAX_CHARTS",
    "MAX_NAMES",
    "MAX_PATTERN_CHARS",
    "MAX_ROWS",
    "MAX_RUNS",
    "ChartSpec",
    "CompareRequest",
    "FiguresRequest",
    "GroupSpec",
    "RunsQuery",
    "SelectedRunsQuery",
    "SelectedSeriesQuery",
    "SeriesQuery",
    "TableRequest",
    "ThresholdSpec",
    "ViewSpec",
    "decode_body",
    "decode_query",
]

MAX_NAMES: Final = 2000  # per request, over all its charts
MAX_CHARTS: Final = 64
MAX_RUNS: Final = 256
MAX_ROWS: Final = 1000
MAX_PATTERN_CHARS: Final = 1000  # it is matched against every name
_MAX_TEXT_CHARS: Final = 1 << 16  # names of 10 KB are possible
_MAX_STEP: Final = (1 << 63) - 1
_MAX_NUMBER: Final = 1e300
_MAX_MESSAGE_CHARS: Final = 300

_T = TypeVar("_T", bound=Struct)

Kind: TypeAlias = Literal["line", "band", "heatmap", "latest", "speed"]
Band: TypeAlias = Literal["std", "quantile", "minmax"]
Theme: TypeAlias = Literal["light", "dark"]
_CHOICES: Final = {"kind": get_args(Kind), "band": get_args(Band), "theme": get_args(Theme)}
_X_AXES: Final = ("step", "relative", "wall")

Text: TypeAlias = Annotated[str, Meta(max_length=_MAX_TEXT_CHARS)]
Pattern: TypeAlias = Annotated[str, Meta(max_length=MAX_PATTERN_CHARS)]
Step: TypeAlias = Annotated[int, Meta(ge=-_MAX_STEP - 1, le=_MAX_STEP)]
Number: TypeAlias = Annotated[float, Meta(ge=-_MAX_NUMBER, le=_MAX_NUMBER)]
Runs: TypeAlias = Annotated[tuple[Text, ...], Meta(max_length=MAX_RUNS, description="Ids of runs.")]
Names: TypeAlias = Annotated[tuple[Text, ...], Meta(max_length=MAX_NAMES, description="Names of series.")]


class _Request(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the request types; hashable, so that requests can be cache keys."""


class GroupSpec(_Request, frozen=True, omit_defaults=True):
    """Runs to show as one: one column of a comparison, one band of a chart."""

    label: Text
    runs: Runs
    color: Annotated[int, Meta(ge=0, le=1 << 31, description="Index in the palette.")] | None = None


Groups: TypeAlias = Annotated[tuple[GroupSpec, ...], Meta(max_length=MAX_RUNS)]


class ThresholdSpec(_Request, frozen=True):
    """A horizontal line."""

    y: Number
    label: Text = ""


class ChartSpec(_Request, frozen=True, omit_defaults=True):
    """A chart: which series of which runs, drawn how."""

    key: Annotated[str, Meta(max_length=_MAX_TEXT_CHARS, description="Returned with the figure.")]
    kind: Kind
    names: Names
    groups: Groups
    title: Text | None = None
    band: Band | None = None
    thresholds: Annotated[tuple[ThresholdSpec, ...], Meta(max_length=32)] | None = None
    change_points: bool = False


class ViewSpec(_Request, frozen=True):
    """Options that apply to all charts of a request."""

    px: Annotated[int, Meta(ge=50, le=4000, description="Width of a chart in pixels.")] = 600
    start: Step | None = None
    stop: Step | None = None
    x: Annotated[str, Meta(max_length=_MAX_TEXT_CHARS, description="step, relative, wall, or metric:NAME")] = "step"
    half_life: Annotated[float, Meta(ge=0, le=_MAX_NUMBER, description="Half-life of the smoothing in steps.")] = 0.0
    log_y: bool = False
    trim: Annotated[bool, Meta(description="Whether the y axis ignores outliers.")] = False
    marks: bool = True

    def __post_init__(self) -> None:
        if self.x not in _X_AXES and (not self.x.startswith("metric:") or self.x == "metric:"):
            raise ValueError(f"x must be one of {', '.join(_X_AXES)} or metric:NAME")


class FiguresRequest(_Request, frozen=True):
    """The body of `POST /api/v1/figures`."""

    charts: Annotated[tuple[ChartSpec, ...], Meta(max_length=MAX_CHARTS)]
    view: ViewSpec = ViewSpec()
    theme: Theme = "light"

    def __post_init__(self) -> None:
        if sum(len(chart.names) for chart in self.charts) > MAX_NAMES:
            raise ValueError(f"charts have more than {MAX_NAMES} names in total; request fewer at a time")
        if len({run for chart in self.charts for group in chart.groups for run in group.runs}) > MAX_RUNS:
            raise ValueError(f"charts have more than {MAX_RUNS} runs in total; request fewer at a time")


class TableRequest(_Request, frozen=True):
    """The body of `POST /api/v1/table`."""

    runs: Runs
    names: Names
    start: Step | None = None
    stop: Step | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_ROWS)] = MAX_ROWS
    offset: Annotated[int, Meta(ge=0, le=_MAX_STEP)] = 0


class CompareRequest(_Request, frozen=True):
    """The body of `POST /api/v1/compare`."""

    groups: Groups
    at: Annotated[tuple[Step, ...], Meta(max_length=100, description="Steps to compare at.")] = ()
    metrics: Annotated[tuple[Text, ...], Meta(max_length=100)] = ()
    targets: Annotated[dict[Text, Number], Meta(max_length=100, description="Target value by metric.")] = {}

    def __post_init__(self) -> None:
        if sum(len(group.runs) for group in self.groups) > MAX_RUNS:
            raise ValueError(f"groups have more than {MAX_RUNS} runs in total; request fewer at a time")


# A query's parameters can repeat, so all of them are lists here.


class RunsQuery(Struct, frozen=True):
    """Any number of runs."""

    run: Runs = ()


class SelectedRunsQuery(Struct, frozen=True):
    """At least one run."""

    run: Annotated[Runs, Meta(min_length=1)]


class SelectedSeriesQuery(Struct, frozen=True):
    """At least one run and at least one series."""

    run: Annotated[Runs, Meta(min_length=1)]
    name: Annotated[Names, Meta(min_length=1)]


class SeriesQuery(Struct, frozen=True):
    """One run, and a glob pattern for the names of its series."""

    run: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=1)]
    pattern: Annotated[tuple[Pattern, ...], Meta(min_length=1, max_length=1)] = ("*",)


def decode_body(body: bytes, request_type: type[_T]) -> _T:
    """Return a JSON body as a request.

    Raises:
        RequestError: 400 if it is not valid JSON or does not match the type.
    """
    try:
        return msgspec.json.decode(body, type=request_type)
    except msgspec.ValidationError as error:
        raise RequestError(400, _explain(error, "the body")) from None
    except msgspec.DecodeError as error:
        reason = _lower_first(str(error).removeprefix("JSON is malformed: "))
        raise RequestError(400, f"the body is not valid JSON: {reason}") from None


def decode_query(params: QueryParams, query_type: type[_T]) -> _T:
    """Return the parameters that the type has, with repeated values removed; others are ignored.

    Raises:
        RequestError: 400 if they do not match the type.
    """
    given = {key: list(dict.fromkeys(params.getlist(key))) for key in query_type.__struct_fields__ if key in params}
    try:
        return msgspec.convert(given, query_type)
    except msgspec.ValidationError as error:
        raise RequestError(400, _explain(error, "the query")) from None


def _explain(error: msgspec.ValidationError, whole: str) -> str:
    """Return a message that names the field and what was expected, such as `view.px: expected int >= 50`."""
    reason, _, path = str(error).replace("`", "").rpartition(" - at ")
    if not reason:
        reason, path = path, ""
    field = path.removeprefix("$").removeprefix(".") or whole
    reason = reason.removeprefix("Object ")
    if reason.startswith("Invalid enum value"):
        choices = ", ".join(_CHOICES[field.rpartition(".")[2]])
        reason = f"expected one of {choices}, got {reason.removeprefix('Invalid enum value ')}"
    message = shortened(f"{field}: {_lower_first(reason)}", _MAX_MESSAGE_CHARS)
    return f"{message}; /api/v1/openapi.json describes the request"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
