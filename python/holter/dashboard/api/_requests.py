"""What a client may ask for, read out of a query or a body and bounded: whatever does not fit is a 400 with words.

Nothing here looks at a run. After this every value has its type, every list its greatest length, every step
fits 64 bits, every number is finite, and every text is proper Unicode.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypeVar

from starlette.datastructures import QueryParams

from holter.dashboard.api import _fields as fields
from holter.dashboard.http._errors import Refused

__all__ = [
    "BANDS",
    "KINDS",
    "MAX_CHARTS",
    "MAX_NAMES",
    "MAX_PATTERN_CHARS",
    "MAX_PX",
    "MAX_ROWS",
    "MAX_RUNS",
    "MIN_PX",
    "THEMES",
    "BandKind",
    "ChartSpec",
    "CompareSpec",
    "FiguresSpec",
    "GroupSpec",
    "Kind",
    "SeriesQuery",
    "TableSpec",
    "Theme",
    "ThresholdSpec",
    "ViewSpec",
    "body",
    "compare",
    "figures",
    "names_of",
    "runs_of",
    "series",
    "table",
]

MAX_NAMES: Final = 2000  # in one request, over all its charts
MAX_CHARTS: Final = 64
MAX_RUNS: Final = 256
MAX_ROWS: Final = 1000
MAX_PATTERN_CHARS: Final = 1000  # it is tried on every name
MIN_PX: Final = 50
MAX_PX: Final = 4000
_MAX_THRESHOLDS: Final = 32
_MAX_STEPS: Final = 100
_MAX_METRICS: Final = 100

Kind: TypeAlias = Literal["line", "band", "heatmap", "latest", "speed"]
BandKind: TypeAlias = Literal["std", "quantile", "minmax"]
Theme: TypeAlias = Literal["light", "dark"]
KINDS: Final[tuple[Kind, ...]] = ("line", "band", "heatmap", "latest", "speed")
BANDS: Final[tuple[BandKind, ...]] = ("std", "quantile", "minmax")
THEMES: Final[tuple[Theme, ...]] = ("light", "dark")
_X_AXES: Final = ("step", "relative", "wall")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """Runs that are shown as one; a single run is a group of one."""

    label: str
    runs: tuple[str, ...]
    colour: int | None


@dataclass(frozen=True, slots=True)
class ThresholdSpec:
    """A horizontal line that the user set."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """One chart that is wanted."""

    key: str
    title: str | None
    kind: Kind
    band: BandKind
    names: tuple[str, ...]
    groups: tuple[GroupSpec, ...]
    thresholds: tuple[ThresholdSpec, ...]
    change_points: bool


@dataclass(frozen=True, slots=True)
class ViewSpec:
    """What the user looks through: the same for all charts of a request."""

    px: int = 600
    start: int | None = None
    stop: int | None = None
    x: str = "step"
    half_life: float = 0.0
    log_y: bool = False
    trim: bool = False
    marks: bool = True


@dataclass(frozen=True, slots=True)
class FiguresSpec:
    """The body of `POST /api/v1/figures`."""

    charts: tuple[ChartSpec, ...]
    view: ViewSpec
    theme: Theme


@dataclass(frozen=True, slots=True)
class TableSpec:
    """The body of `POST /api/v1/table`."""

    runs: tuple[str, ...]
    names: tuple[str, ...]
    start: int | None
    stop: int | None
    limit: int
    offset: int


@dataclass(frozen=True, slots=True)
class CompareSpec:
    """The body of `POST /api/v1/compare`."""

    groups: tuple[GroupSpec, ...]
    at: tuple[int, ...]
    metrics: tuple[str, ...]
    targets: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """The query of `GET /api/v1/series`."""

    run: str
    pattern: str


def body(text: bytes, read: Callable[[Any], _T]) -> _T:
    """Return what `read` makes of a JSON body.

    Raises:
        Refused: If it is not JSON, or does not fit.
    """
    try:
        value = json.loads(text, parse_int=fields.parse_int, parse_constant=fields.parse_constant)
    except RecursionError:
        raise Refused(400, "the body is nested too deeply") from None
    except ValueError as error:  # also of the encoding
        raise Refused(400, f"the body is not JSON: {str(error)[:200]}") from None
    return read(value)


def figures(value: Any) -> FiguresSpec:
    """Read the body of `POST /api/v1/figures`."""
    given = fields.object_of(value, "the body", ("charts", "view", "theme"))
    charts = fields.list_of(given.get("charts"), "charts", MAX_CHARTS, _chart)
    if sum(len(chart.names) for chart in charts) > MAX_NAMES:
        raise Refused(400, f"charts name more than {MAX_NAMES} series together; ask for fewer at once")
    if len({run for chart in charts for group in chart.groups for run in group.runs}) > MAX_RUNS:
        raise Refused(400, f"charts name more than {MAX_RUNS} runs together; ask for fewer at once")
    theme = fields.choice(given.get("theme", "light"), "theme", THEMES)
    return FiguresSpec(charts, _view(given.get("view", {})), theme)


def table(value: Any) -> TableSpec:
    """Read the body of `POST /api/v1/table`."""
    given = fields.object_of(value, "the body", ("runs", "names", "start", "stop", "limit", "offset"))
    return TableSpec(
        runs=fields.list_of(given.get("runs"), "runs", MAX_RUNS, fields.text),
        names=fields.list_of(given.get("names"), "names", MAX_NAMES, fields.text),
        start=fields.optional_step(given.get("start"), "start"),
        stop=fields.optional_step(given.get("stop"), "stop"),
        limit=fields.whole(given.get("limit", MAX_ROWS), "limit", 1, MAX_ROWS),
        offset=fields.whole(given.get("offset", 0), "offset", 0, fields.MAX_STEP),
    )


def compare(value: Any) -> CompareSpec:
    """Read the body of `POST /api/v1/compare`."""
    given = fields.object_of(value, "the body", ("groups", "at", "metrics", "targets"))
    groups = fields.list_of(given.get("groups"), "groups", MAX_RUNS, _group)
    if sum(len(group.runs) for group in groups) > MAX_RUNS:
        raise Refused(400, f"groups name more than {MAX_RUNS} runs together; ask for fewer at once")
    targets = fields.mapping_of(given.get("targets", {}), "targets", _MAX_METRICS, fields.number)
    return CompareSpec(
        groups=groups,
        at=fields.list_of(given.get("at", []), "at", _MAX_STEPS, fields.step),
        metrics=fields.list_of(given.get("metrics", []), "metrics", _MAX_METRICS, fields.text),
        targets=targets,
    )


def series(query: QueryParams) -> SeriesQuery:
    """Read the query of `GET /api/v1/series`."""
    runs = runs_of(query)
    if len(runs) != 1:
        raise Refused(400, f"run is given {len(runs)} times, expected once")
    patterns = query.getlist("pattern") or ["*"]
    if len(patterns) > 1:
        raise Refused(400, "pattern is given more than once")
    if len(patterns[0]) > MAX_PATTERN_CHARS:
        raise Refused(400, f"pattern has {len(patterns[0])} characters, expected at most {MAX_PATTERN_CHARS}")
    return SeriesQuery(runs[0], fields.text(patterns[0], "pattern"))


def runs_of(query: QueryParams, min_count: int = 0) -> tuple[str, ...]:
    """Return the runs that a query names, each once."""
    return _of_query(query, "run", min_count, MAX_RUNS)


def names_of(query: QueryParams) -> tuple[str, ...]:
    """Return the series that a query names, each once; there must be one."""
    return _of_query(query, "name", 1, MAX_NAMES)


def _of_query(query: QueryParams, key: str, min_count: int, max_count: int) -> tuple[str, ...]:
    given = list(dict.fromkeys(query.getlist(key)))
    if len(given) < min_count:
        raise Refused(400, f"{key} is missing; expected ?{key}=… at least once")
    return fields.list_of(given, key, max_count, fields.text)


def _chart(value: Any, where: str) -> ChartSpec:
    known = ("key", "title", "kind", "band", "names", "groups", "thresholds", "change_points")
    given = fields.object_of(value, where, known)
    title = given.get("title")
    band = given.get("band")
    thresholds = given.get("thresholds")
    groups = fields.list_of(given.get("groups"), f"{where}.groups", MAX_RUNS, _group)
    return ChartSpec(
        key=fields.text(given.get("key"), f"{where}.key"),
        title=None if title is None else fields.text(title, f"{where}.title"),
        kind=fields.choice(given.get("kind"), f"{where}.kind", KINDS),
        band=fields.choice("std" if band is None else band, f"{where}.band", BANDS),
        names=fields.list_of(given.get("names"), f"{where}.names", MAX_NAMES, fields.text),
        groups=groups,
        thresholds=fields.list_of(thresholds or [], f"{where}.thresholds", _MAX_THRESHOLDS, _threshold),
        change_points=fields.boolean(given.get("change_points", False), f"{where}.change_points"),
    )


def _group(value: Any, where: str) -> GroupSpec:
    given = fields.object_of(value, where, ("label", "runs", "color"))
    colour = given.get("color")
    return GroupSpec(
        label=fields.text(given.get("label"), f"{where}.label"),
        runs=fields.list_of(given.get("runs"), f"{where}.runs", MAX_RUNS, fields.text),
        colour=None if colour is None else fields.whole(colour, f"{where}.color", 0, 1 << 31),
    )


def _threshold(value: Any, where: str) -> ThresholdSpec:
    given = fields.object_of(value, where, ("y", "label"))
    return ThresholdSpec(fields.number(given.get("y"), f"{where}.y"), fields.text(given.get("label", ""), where))


def _view(value: Any) -> ViewSpec:
    known = ("px", "start", "stop", "x", "half_life", "log_y", "trim", "marks")
    given = fields.object_of(value, "view", known)
    return ViewSpec(
        px=fields.whole(given.get("px", 600), "view.px", MIN_PX, MAX_PX),
        start=fields.optional_step(given.get("start"), "view.start"),
        stop=fields.optional_step(given.get("stop"), "view.stop"),
        x=_x_axis(given.get("x", "step")),
        half_life=fields.number(given.get("half_life", 0), "view.half_life", min_value=0.0),
        log_y=fields.boolean(given.get("log_y", False), "view.log_y"),
        trim=fields.boolean(given.get("trim", False), "view.trim"),
        marks=fields.boolean(given.get("marks", True), "view.marks"),
    )


def _x_axis(value: Any) -> str:
    x = fields.text(value, "view.x")
    if x in _X_AXES or (x.startswith("metric:") and x != "metric:"):
        return x
    raise Refused(400, f"view.x must be one of {', '.join(_X_AXES)} or metric:NAME")
