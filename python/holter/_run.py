"""Reading runs: during the training, after closing, or after a crash.

numpy, pandas and pyarrow are imported on first use. A reader never blocks the training and keeps nothing open.
"""

import datetime as dt
import difflib
import heapq
import json
import operator
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

from holter import _core, _frames
from holter._buckets import Buckets, from_columns
from holter._ranks import Ranks
from holter._series import MAX_STEP, MIN_STEP, Columns, Series, SeriesFacts, load, series_of, step_bounds
from holter._table import Table
from holter._text import time_of_micros
from holter.exceptions import HolterError, StoreError

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    import pyarrow as pa

    from holter.alerts import Alert
    from holter.plots.build.band_columns import BandKind

__all__ = ["Run"]


class Run:
    """Read-only access to a run; created by `holter.open_run` and `holter.list_runs`.

    Every call reads the current state. Points are visible as soon as they are logged, even before they reach the
    database; if very many are waiting, half a second later.

    Patterns are shell patterns, except that `*` also matches `/`: `*` any characters, `?` one character, `[abc]` or
    `[a-c]` one of these, `[!abc]` none of these, `[*]` a literal star.

    The ranks of a distributed run are read as one run with the series of all ranks. If several ranks have a series, the
    lowest rank's is used; `rank=` selects another, and raises FileNotFoundError if it has recorded nothing. Other
    properties, such as the config, come from the lowest rank. Ranks that start later are included.

    Methods that read raise `StoreError` if a file is damaged or cannot be read.
    """

    __slots__ = ("_ranks",)

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks

    @property
    def path(self) -> pathlib.Path:
        """The run's directory."""
        return self._ranks.path

    @property
    def name(self) -> str:
        """The run's name: the one it was given, or that of its directory."""
        return self._ranks.lowest().name

    @property
    def id(self) -> str:
        """The run's random id, in hexadecimal."""
        return str(self.manifest["id"])

    @property
    def rank(self) -> int:
        """The lowest rank that has recorded."""
        return self._ranks.lowest().rank

    @property
    def created(self) -> dt.datetime:
        """When the run started, in UTC."""
        return time_of_micros(self._ranks.lowest().started_micros)

    @property
    def manifest(self) -> dict[str, Any]:
        """The current content of `run.json`."""
        return dict(json.loads(self._ranks.lowest().manifest_json()))

    @property
    def revision(self) -> str:
        """An opaque version token that changes whenever the run has new points or alerts, or its status changes.

        Cheap enough for polling: microseconds per rank. Data read afterwards is at least as new as the token. It can
        change without new data, and two tokens have no order.
        """
        return self._ranks.revision()

    @property
    def config(self) -> dict[str, Any]:
        """The run's config; empty if none was given."""
        return dict(self.manifest.get("config") or {})

    @property
    def tags(self) -> tuple[str, ...]:
        """The run's tags."""
        return tuple(self.manifest.get("tags") or ())

    @property
    def group(self) -> str | None:
        """The group of runs that the run belongs to."""
        return self.manifest.get("group")

    @property
    def notes(self) -> str | None:
        """Free text about the run."""
        return self.manifest.get("notes")

    @property
    def status(self) -> str:
        """`"running"`, `"finished"`, `"failed"`, `"interrupted"`, `"stopped"` or `"crashed"`.

        Interrupted means ended by Ctrl-C or SIGTERM, stopped means ended on purpose, and crashed means that the process
        died without closing the run. Crashed runs can be read without recovering them.

        A run with several ranks is running while any rank is; after that, it has the first of crashed, failed,
        interrupted, stopped and finished that any rank has.
        """
        return self._ranks.status()

    @property
    def events(self) -> "list[Alert]":
        """The alerts of all ranks, oldest first."""
        from holter.alerts._alert import parse_alerts

        by_rank = [parse_alerts(reader.event_lines(), reader.rank) for reader in self._ranks.readers()]
        return list(heapq.merge(*by_rank, key=lambda alert: alert.time))

    @property
    def is_live(self) -> bool:
        """Whether a process is recording any rank of the run."""
        return self._ranks.is_live()

    @property
    def ranks(self) -> list[int]:
        """The ranks that have recorded so far, ascending."""
        return self._ranks.numbers()

    def open_rank(self, rank: SupportsIndex) -> "Run":
        """Return a single rank as a run.

        Raises:
            FileNotFoundError: If this rank has recorded nothing.
        """
        return Run(self._ranks.alone(rank))

    def names(self, pattern: str = "*", *, rank: SupportsIndex | None = None) -> list[str]:
        """Return the sorted names of the series that match `pattern` and have points."""
        return self._ranks.names(pattern, rank)

    def facts(self, pattern: str = "*", *, rank: SupportsIndex | None = None) -> list[SeriesFacts]:
        """Return facts about the series that match `pattern`, sorted by name.

        Costs about as much as `names`: no points are read, unless the run was recorded without a database.
        """
        return [SeriesFacts(*facts) for facts in self._ranks.facts(pattern, rank)]

    def series(
        self,
        name: str,
        start: SupportsIndex | None = None,
        stop: SupportsIndex | None = None,
        *,
        rank: SupportsIndex | None = None,
    ) -> Series:
        """Return the points of one series.

        Args:
            name: The metric's name.
            start: The first step; None for the beginning.
            stop: The step after the last one, as in `range`; None for the end.
            rank: The rank; None for the lowest rank with the series.

        Raises:
            KeyError: If the run has no series of this name.
        """
        first, end = step_bounds(start, stop)
        return self._read(name, lambda reader: reader.series(name, first, end), rank)

    def downsample(
        self,
        name: str,
        points: SupportsIndex = 1000,
        start: SupportsIndex | None = None,
        stop: SupportsIndex | None = None,
        *,
        rank: SupportsIndex | None = None,
    ) -> Series:
        """Return fewer points of a series, chosen so that a plot looks like a plot of all points.

        Divides the points into groups of equal size and keeps from each group the first and the last point, the
        smallest and the largest finite value, and the first NaN or infinity: a spike of a single step is always kept.
        (Without the last rule this is M4: Jugel et al., PVLDB 2014.)

        Args:
            name: The metric's name.
            points: The most points to return; at least 5 are.
            start: As for `series`.
            stop: As for `series`.
            rank: As for `series`.

        Raises:
            KeyError: If the run has no series of this name.
            ValueError: If `points` is less than 1.
        """
        count = operator.index(points)
        if count < 1:
            raise ValueError(f"points must be at least 1, got {count}")
        first, end = step_bounds(start, stop)
        return self._read(name, lambda reader: reader.downsample(name, min(count, MAX_STEP), first, end), rank)

    def buckets(
        self,
        names: str | Sequence[str],
        *,
        width: SupportsIndex | None = None,
        max_buckets: SupportsIndex = 1000,
        start: SupportsIndex | None = None,
        stop: SupportsIndex | None = None,
        rank: SupportsIndex | None = None,
    ) -> list[Buckets]:
        """Return series aggregated in buckets of steps, all with the same width and, per rank, as of the same moment.

        Runs with a database have precomputed aggregates, so the cost depends on the number of buckets, not of points.
        Runs without a database, recent points, and points that were logged again are aggregated from the points.

        Args:
            names: Names of series, in the order of the result; or a pattern, for all matching series sorted by name.
            width: Steps per bucket: 1 or 64 * 8**k, at most 2**60. If None, 1 if no series has more than `max_buckets`
                points in the range; otherwise the smallest width with at most `max_buckets` in the range of steps. For
                series of several ranks, the largest width that any of them needs.
            max_buckets: The approximate number of buckets.
            start: The first step; None for the beginning. Buckets wider than 1 are returned whole.
            stop: The step after the last one, as in `range`; None for the end.
            rank: As for `series`.

        Raises:
            KeyError: If the run has no series of one of these names.
            ValueError: If the width is not supported, or `max_buckets` is less than 1.
        """
        most = operator.index(max_buckets)
        if most < 1:
            raise ValueError(f"max_buckets must be at least 1, got {most}")
        chosen = names if isinstance(names, str) else list(names)
        bounds = step_bounds(start, stop)
        wanted = None if width is None else max(MIN_STEP, min(operator.index(width), MAX_STEP))
        try:
            found = self._ranks.buckets(chosen, wanted, min(most, MAX_STEP), bounds, rank)
        except KeyError:
            known = set(self.names(rank=rank))
            unknown = next((name for name in chosen if name not in known), "")
            raise self._no_series(unknown, rank) from None
        return [from_columns(name, found[0], columns) for name, columns in found[1]]

    def table(self, pattern: str = "*", *, rank: SupportsIndex | None = None) -> Table:
        """Return the points of the series that match `pattern` as an Arrow stream; see `Table`.

        Args:
            pattern: The series.
            rank: The rank; None for all.
        """
        return Table(self._ranks, pattern, rank)

    def to_arrow(self, pattern: str = "*", *, rank: SupportsIndex | None = None) -> "pa.Table":
        """Return the points of the series that match `pattern` as a pyarrow Table; see `table`.

        Raises:
            ImportError: If pyarrow is not installed.
        """
        return load("pyarrow", "arrow").table(self.table(pattern, rank=rank))

    def to_pandas(self, pattern: str = "*", *, wide: bool = False, rank: SupportsIndex | None = None) -> "pd.DataFrame":
        """Return the points of the series that match `pattern` as a pandas DataFrame.

        Args:
            pattern: The series.
            wide: If False, one row per point, sorted by rank, name and step, with the columns `rank` (int32), `name`
                (categorical), `step` (int64), `value` (float64) and `timestamp` (datetime64[us, UTC]). If True, one row
                per step, which is the index, and one float64 column per series, from the lowest rank that has it; a
                step that was not logged is NaN too.
            rank: The rank; None for all.

        Raises:
            ImportError: If pandas is not installed.
        """
        pandas = load("pandas", "pandas")
        found = [
            (reader.rank, series_of(name, columns))
            for reader in self._ranks.readers(rank)
            for name, columns in reader.all_series(pattern)
        ]
        return _frames.wide(pandas, found) if wide else _frames.long(pandas, found)

    def plot(self, pattern: str = "*", band: "BandKind | None" = None, **options: Any) -> "go.Figure":
        """Return a plotly figure of the series that match `pattern`.

            run.plot("attention_entropy/layer_*", band="std")

        Args:
            pattern: The series.
            band: None for one line per series; `"std"`, `"quantile"` or `"minmax"` for a band across them.
            options: `kind` (`"line"`, `"heatmap"` or `"latest"`), `title`, `theme` (`"light"` or `"dark"`),
                `change_points`, and the arguments of `holter.plots.View`: `start`, `stop`, `x`, `half_life`, ...

        Raises:
            ImportError: If plotly is not installed.
            KeyError: If no series matches.
            ValueError: If an option is invalid.
        """
        from holter.plots.notebook import figure_of

        return figure_of(self, pattern, band, **options)

    def _read(self, name: str, read: Callable[[_core.Reader], Columns], rank: SupportsIndex | None) -> Series:
        try:
            columns = self._ranks.first(read, rank)
        except KeyError:
            if name not in self.names(rank=rank):
                raise self._no_series(name, rank) from None
            columns = self._read_listed(name, read, rank)
        return series_of(name, columns)

    def _read_listed(self, name: str, read: Callable[[_core.Reader], Columns], rank: SupportsIndex | None) -> Columns:
        """Read a series that has just started; if it is still not found, the index of the database is damaged."""
        try:
            return self._ranks.first(read, rank)
        except KeyError:
            raise StoreError(f"{self.path} is damaged: it lists the series {name!r}, but cannot find it") from None

    def _no_series(self, name: str, rank: SupportsIndex | None) -> KeyError:
        names = self.names(rank=rank)
        close = difflib.get_close_matches(name, names[:10_000], n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"names() lists its {len(names)} series"
        place = self.path if rank is None else f"rank {operator.index(rank)} of {self.path}"
        return KeyError(f"{place} has no series {name!r}; {hint}")

    def __repr__(self) -> str:
        try:
            status = self.status
        except (HolterError, OSError):
            status = "unreadable"
        return f"<Run {self.name!r} at {str(self.path)!r}: {status}>"


Run.__module__ = "holter"
