"""Reading runs: while they are recorded, after they were closed, or as a crash left them.

Neither numpy nor pandas nor pyarrow is imported before something is asked for that consists of it. A
reader never blocks the training, and keeps nothing open between two calls.
"""

import datetime as dt
import difflib
import heapq
import importlib
import json
import operator
import os
import pathlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias

from holter import _core, _frames
from holter._buckets import Buckets, from_columns
from holter._ranks import Ranks, listed, opened
from holter.exceptions import HolterError, HolterWarning

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import plotly.graph_objects as go
    import pyarrow as pa

    from holter.alerts import Alert
    from holter.plots.build.band_columns import BandKind

__all__ = ["Buckets", "Run", "Series", "SeriesFacts", "Table", "list_runs", "open_run"]

_Columns: TypeAlias = tuple[bytearray, bytearray, bytearray]
_MIN_STEP, _MAX_STEP = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Series:
    """The points of one series, or those of a range of steps.

    Attributes:
        name: The metric's name.
        steps: Shape (n,), int64, strictly ascending.
        values: Shape (n,), float64. NaN and infinities are what was logged; a step that was not logged
            is not there.
        timestamps: Shape (n,), datetime64[us], UTC: when each point was logged, to a few milliseconds.
    """

    name: str
    steps: "npt.NDArray[np.int64]"
    values: "npt.NDArray[np.float64]"
    timestamps: "npt.NDArray[np.datetime64]"

    @property
    def last(self) -> float | None:
        """The value at the largest step; None if there is no point."""
        return float(self.values[-1]) if len(self) else None

    def to_pandas(self) -> "pd.Series[float]":
        """Return the values as a pandas Series, float64, with the steps as its index.

        Raises:
            ImportError: If pandas is not installed.
        """
        pandas = _load("pandas", "pandas")
        return pandas.Series(self.values, pandas.Index(self.steps, name="step"), name=self.name)

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        if not len(self):
            return f"<Series {self.name!r}: no points>"
        points = f"{len(self)} points, steps {self.steps[0]} to {self.steps[-1]}"
        return f"<Series {self.name!r}: {points}, last {self.last!r}>"


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What there is to know of a series without reading its points.

    Attributes:
        name: The metric's name.
        count: How many points it has, at least 1.
        nonfinite_count: How many of them are NaN or infinite.
        first_step: The smallest step.
        last_step: The largest step.
        last_value: The value at the largest step.
    """

    name: str
    count: int
    nonfinite_count: int
    first_step: int
    last_step: int
    last_value: float


class Table:
    """Points of a run for whatever reads the Arrow PyCapsule interface.

    `pyarrow.table(points)`, `polars.DataFrame(points)`, `duckdb.sql("SELECT ... FROM points")` and the
    like take it as it is. Columns: `run` string, `rank` int32, `name` string, `step` int64, `value` float64,
    `timestamp` timestamp[us, UTC]; rows ordered by rank, name and step. It is read anew each time, in batches
    and only as far as it is asked for.
    """

    __slots__ = ("_pattern", "_rank", "_ranks")

    def __init__(self, ranks: Ranks, pattern: str, rank: SupportsIndex | None) -> None:
        self._ranks = ranks
        self._pattern = pattern
        self._rank = rank

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return a fresh stream as a PyCapsule.

        Args:
            requested_schema: Not heeded, as the interface allows: the types are always those above.

        Raises:
            StoreError: If the run cannot be read.
        """
        del requested_schema
        return _core.arrow_stream(list(self._ranks.readers(self._rank)), self._pattern)

    def __repr__(self) -> str:
        rank = "" if self._rank is None else f" by rank {self._rank}"
        return f"<Table of {self._pattern!r}{rank} in {str(self._ranks.path)!r}>"


class Run:
    """A run to be read: made by `holter.open_run` and `holter.list_runs`.

    Whatever is asked for is read at that moment. What was logged is seen at once, also when it has not
    reached the database yet; where very much is on its way there, half a second later.

    A pattern is as a shell's, but `*` also matches `/`: `*` any characters, `?` one, `[abc]` or `[a-c]`
    one of these, `[!abc]` one that is none of these, `[*]` a star itself.

    The processes of a distributed run each record a part of it, their rank, and are read as one run: it has the
    series of all ranks, and one that several have is that of the lowest of them. `rank=` asks a given rank instead,
    and raises FileNotFoundError if that has recorded nothing. What is not a matter of series, such as the
    configuration, is what the lowest rank says. Ranks that begin while the run is open are seen.

    Every method that reads raises `StoreError` if a file cannot be read or is damaged.
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
        """The name that the run was given, else that of its directory."""
        return self._ranks.lowest().name

    @property
    def id(self) -> str:
        """The run's random id, in hexadecimal."""
        return str(self.manifest["id"])

    @property
    def rank(self) -> int:
        """The lowest rank that has recorded: 0, unless rank 0 has recorded nothing or this is another rank alone."""
        return self._ranks.lowest().rank

    @property
    def created(self) -> dt.datetime:
        """When the run was begun, in UTC."""
        epoch = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
        return epoch + dt.timedelta(microseconds=self._ranks.lowest().started_micros)

    @property
    def manifest(self) -> dict[str, Any]:
        """What `run.json` holds now."""
        return dict(json.loads(self._ranks.lowest().manifest_json()))

    @property
    def revision(self) -> str:
        """A word that is another one whenever the run has new points or alerts, was closed, gone on with or recovered.

        It costs some microseconds for each rank, so that it may be polled. What is read after it is at least as new
        as it says. It may change although there is nothing new, and says nothing of the order of two.
        """
        return self._ranks.revision()

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that the run was given; empty without one."""
        return dict(self.manifest.get("config") or {})

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that the run was given."""
        return tuple(self.manifest.get("tags") or ())

    @property
    def status(self) -> str:
        """`"running"`, `"finished"`, `"failed"` or `"crashed"`.

        Crashed means that nothing was closed and that no process is recording any more: also where
        nobody has recovered the run, which reading does not need.

        A run of several ranks is running as long as one of them is. After that it has crashed if any of them has,
        else failed if any has.
        """
        return self._ranks.status()

    @property
    def events(self) -> "list[Alert]":
        """What the alerts of all ranks have said, the oldest first; empty for a run that was given no rules."""
        from holter.alerts._alert import alerts_of_lines

        by_rank = [alerts_of_lines(reader.event_lines(), reader.rank) for reader in self._ranks.readers()]
        return list(heapq.merge(*by_rank, key=lambda alert: alert.time))

    @property
    def is_live(self) -> bool:
        """Whether a process is recording the run, or any rank of it."""
        return self._ranks.is_live()

    @property
    def ranks(self) -> list[int]:
        """The ranks that have recorded so far, ascending; of a rank that was opened alone that one."""
        return self._ranks.numbers()

    def open_rank(self, rank: SupportsIndex) -> "Run":
        """Return one rank alone, as a run of which the others are no part.

        Raises:
            FileNotFoundError: If this rank has recorded nothing.
        """
        return Run(self._ranks.alone(rank))

    def names(self, pattern: str = "*", *, rank: SupportsIndex | None = None) -> list[str]:
        """Return the names of the series that match `pattern` and have a point, in order."""
        return self._ranks.names(pattern, rank)

    def facts(self, pattern: str = "*", *, rank: SupportsIndex | None = None) -> list[SeriesFacts]:
        """Return what there is to know of the series that match `pattern`, in the order of their names.

        Costs about as much as `names`: no point is read for it, unless the run was recorded without its
        database.
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
            start: The first step that is wanted; all from the beginning if None.
            stop: The step after the last one that is wanted, as in a `range`; all to the end if None.
            rank: Whose series; that of the lowest rank that has it if None.

        Raises:
            KeyError: If the run has no series of this name.
        """
        first, end = _bounds(start, stop)
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
        """Return fewer points of one series, such that a plot of them looks like a plot of all.

        The points are divided into stretches of equal count. Of each stretch the first and the last
        point are kept, the smallest and the largest finite value, and the first that is NaN or infinite:
        a spike of a single step is always there. (Without the last rule: "M4", Jugel et al., PVLDB 2014.)

        Args:
            name: The metric's name.
            points: At most so many points are returned, or 5 if that is more.
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
        first, end = _bounds(start, stop)
        return self._read(name, lambda reader: reader.downsample(name, min(count, _MAX_STEP), first, end), rank)

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
        """Return series in buckets of steps, all of one width and, rank by rank, as of one moment.

        What a run has recorded in its database is read from sums that were kept while it was recorded, so
        the cost is that of the buckets and not that of the points. Runs without a database, and what was logged again
        or not long ago, are summed up from their points.

        Args:
            names: Names of series, in the order that is wanted; or a pattern, for the series that match
                it in the order of their names.
            width: How many steps a bucket covers: 1 or 64 * 8**k, at most 2**60. If None, it is 1 where no series
                has more than `max_buckets` points in the range, else the smallest for which all of the steps that the
                series have in the range, divided by it, are at most `max_buckets`. Where the series are those
                of several ranks, it is the largest that any of these ranks alone would get.
            max_buckets: About how many buckets are wanted.
            start: The first step that is wanted; all from the beginning if None. Buckets wider than 1 are
                given whole if any of their steps is wanted.
            stop: The step after the last one that is wanted, as in a `range`; all to the end if None.
            rank: As for `series`.

        Raises:
            KeyError: If the run has no series of one of these names.
            ValueError: If there are no buckets of this width, or `max_buckets` is less than 1.
        """
        most = operator.index(max_buckets)
        if most < 1:
            raise ValueError(f"max_buckets must be at least 1, got {most}")
        chosen = names if isinstance(names, str) else list(names)
        bounds = _bounds(start, stop)
        wanted = None if width is None else max(_MIN_STEP, min(operator.index(width), _MAX_STEP))
        try:
            found = self._ranks.buckets(chosen, wanted, min(most, _MAX_STEP), bounds, rank)
        except KeyError:
            known = set(self.names(rank=rank))
            unknown = next((name for name in chosen if name not in known), "")
            raise self._no_series(unknown, rank) from None
        return [from_columns(name, found[0], columns) for name, columns in found[1]]

    def table(self, pattern: str = "*", *, rank: SupportsIndex | None = None) -> Table:
        """Return the points of the series that match `pattern` for Arrow's readers; see `Table`.

        Args:
            pattern: Which series.
            rank: Whose; those of all ranks if None.
        """
        return Table(self._ranks, pattern, rank)

    def to_arrow(self, pattern: str = "*", *, rank: SupportsIndex | None = None) -> "pa.Table":
        """Return the points of the series that match `pattern` as a pyarrow Table; see `table`.

        Raises:
            ImportError: If pyarrow is not installed.
        """
        return _load("pyarrow", "arrow").table(self.table(pattern, rank=rank))

    def to_pandas(self, pattern: str = "*", *, wide: bool = False, rank: SupportsIndex | None = None) -> "pd.DataFrame":
        """Return the points of the series that match `pattern` as a pandas DataFrame.

        Args:
            pattern: Which series.
            wide: If False, one row for each point, by rank, name and step, with the columns `rank` (int32),
                `name` (categorical), `step` (int64), `value` (float64) and `timestamp` (datetime64[us, UTC]).
                If True, one row for each step, which is the index, and one float64 column for each
                series, of the lowest rank that has it; NaN then stands for a step that was not logged, too.
            rank: Whose series; those of all ranks if None.

        Raises:
            ImportError: If pandas is not installed.
        """
        pandas = _load("pandas", "pandas")
        found = [
            (reader.rank, _series(name, columns))
            for reader in self._ranks.readers(rank)
            for name, columns in reader.all_series(pattern)
        ]
        return _frames.wide(pandas, found) if wide else _frames.long(pandas, found)

    def plot(self, pattern: str = "*", band: "BandKind | None" = None, **options: Any) -> "go.Figure":
        """Return a plotly figure of the series that match `pattern`, which a notebook shows.

            run.plot("train/loss", half_life=100)
            run.plot("attention_entropy/layer_*", band="std")
            run.plot("attention_entropy/layer_*", kind="heatmap")

        Args:
            pattern: Which series.
            band: None for a line for each series; `"std"`, `"quantile"` or `"minmax"` for a band over them all.
            options: `kind` (`"line"`, `"heatmap"` or `"latest"`), `title`, `theme` (`"light"` or `"dark"`),
                `change_points`, and whatever `holter.plots.View` takes: `start`, `stop`, `x`, `half_life`, `log_y`, ...

        Raises:
            ImportError: If plotly is not installed.
            KeyError: If no series matches.
            ValueError: If an option makes no sense.
        """
        figure: go.Figure = _load("holter.plots.notebook").figure_of(self, pattern, band, **options)
        return figure

    def _read(self, name: str, read: Callable[[_core.Reader], _Columns], rank: SupportsIndex | None) -> Series:
        try:
            columns = self._ranks.first(read, rank)
        except KeyError:
            raise self._no_series(name, rank) from None
        return _series(name, columns)

    def _no_series(self, name: str, rank: SupportsIndex | None) -> KeyError:
        names = self.names(rank=rank)
        close = difflib.get_close_matches(name, names[:10_000], n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"names() lists the {len(names)} that there are"
        place = self.path if rank is None else f"rank {operator.index(rank)} of {self.path}"
        return KeyError(f"{place} has no series {name!r}; {hint}")

    def __repr__(self) -> str:
        try:
            status = self.status
        except (HolterError, OSError):
            status = "unreadable"
        return f"<Run {self.name!r} at {str(self.path)!r}: {status}>"


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open the run in the directory `path` for reading.

    Args:
        path: The directory that was given to `holter.Logger`, for all ranks of the run; or the directory of one rank
            in it, such as `rank-00002`, for that rank alone.

    Raises:
        FileNotFoundError: If there is no run.
        FormatVersionError: If a newer Holter wrote it.
        StoreError: If its manifest is damaged.
    """
    return Run(opened(path))


def list_runs(
    root: str | os.PathLike[str] = "runs", *, on_unreadable: Callable[[pathlib.Path, str], object] | None = None
) -> list[Run]:
    """Return the runs at or below a directory, at most three levels down, the oldest first.

    The ranks of a run are one run. Symbolic links and hidden directories are not followed. Of what looks like a run
    and cannot be read a `HolterWarning` tells; the others are returned.

    Args:
        root: Where to look.
        on_unreadable: Called instead of the warning with each directory that cannot be read, and why.

    Raises:
        FileNotFoundError: If there is no such directory.
    """
    if not pathlib.Path(root).is_dir():
        raise FileNotFoundError(f"there is no directory {os.fspath(root)!r}; list_runs takes one that holds runs")
    readers, unreadable = _core.list_runs(root)
    for path, reason in unreadable:
        if on_unreadable is None:
            warnings.warn(f"{path} is left out: {reason}", HolterWarning, stacklevel=2)
        else:
            on_unreadable(path, reason)
    return [Run(listed(reader, root)) for reader in readers]


def _series(name: str, columns: _Columns) -> Series:
    steps, values, timestamps = columns
    array = _load("numpy").frombuffer
    return Series(name, array(steps, "<i8"), array(values, "<f8"), array(timestamps, "<M8[us]"))


def _bounds(start: SupportsIndex | None, stop: SupportsIndex | None) -> tuple[int | None, int | None]:
    """The bounds as 64-bit integers that select the same steps."""
    first = None if start is None else max(operator.index(start), _MIN_STEP)
    end = None if stop is None else max(operator.index(stop), _MIN_STEP)
    if first is not None and first > _MAX_STEP:
        return _MIN_STEP, _MIN_STEP  # behind every step: an empty range
    return first, None if end is None or end > _MAX_STEP else end


def _load(module: str, extra: str | None = None) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        wanted = f"holter[{extra}]" if extra else module
        raise ImportError(f"this needs {module}: pip install '{wanted}'") from error


for _public in (Run, Series, SeriesFacts, list_runs, open_run):
    _public.__module__ = "holter"
