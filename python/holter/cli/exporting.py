"""Writes points in bounded memory, a stretch of one series at a time; a file that has its name is complete.

The order is that of the run's own Parquet: run by run, rank by rank, series by name, points by step.
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from holter.cli.files import whole_directory, whole_file
from holter.cli.problems import Problem
from holter.cli.progress import point_bar
from holter.cli.series import chosen_series
from holter.cli.text import json_ready, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import holter

__all__ = ["COLUMNS", "FORMATS", "Selection", "export_events", "export_points", "selections", "spreadsheet_safe"]

FORMATS = ("parquet", "csv", "jsonl", "tfevents")
COLUMNS = ("run", "rank", "name", "step", "value", "timestamp")
POINTS_AT_ONCE = 1 << 17
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Selection:
    """The series of one rank of a run that are to be written."""

    run: holter.Run
    series: list[holter.SeriesFacts]


@dataclass(frozen=True)
class Stretch:
    """Some points of one series."""

    run: str
    rank: int
    points: holter.Series


def selections(runs: Sequence[holter.Run], patterns: Sequence[str]) -> list[Selection]:
    """Find what is to be written: of every rank of each run the series that match any of the patterns.

    Raises:
        Problem: If a pattern matches nothing in a run.
    """
    chosen = []
    for run in runs:
        ranks = [run.open_rank(rank) for rank in run.ranks]
        if patterns:
            chosen_series(run, patterns)  # what one rank has the others may lack
        for member in ranks:
            found = {series.name: series for pattern in patterns or ("*",) for series in member.facts(pattern)}
            # The order of the names is that of their bytes, as in the run's own Parquet.
            chosen.append(Selection(member, sorted(found.values(), key=lambda series: series.name.encode())))
    return chosen


def export_points(chosen: Sequence[Selection], kind: str, path: Path | None) -> None:
    """Write the points.

    Args:
        chosen: Which.
        kind: One of `FORMATS`, but not event files.
        path: The file, which is replaced; the standard output if None.

    Raises:
        ImportError: If the format needs a library that is not installed.
        OSError: If the file cannot be written. Nothing of it is left then.
    """
    stretches = _with_progress(_stretches(chosen), sum(one.count for selection in chosen for one in selection.series))
    if path is None:
        _write_text(sys.stdout, kind, stretches)
        return
    with whole_file(path) as unfinished:
        if kind == "parquet":
            _write_parquet(unfinished, stretches)
        else:
            with unfinished.open("w", encoding="utf-8", newline="") as file:
                _write_text(file, kind, stretches)


def export_events(runs: Sequence[holter.Run], patterns: Sequence[str], directory: Path, num_points: int) -> None:
    """Write event files, as TensorBoard reads them: one run into the directory, several into directories in it.

    Args:
        runs: Which.
        patterns: Which series of them.
        directory: Made as a whole when all is written; it may be there if it is empty.
        num_points: How many points this will be.

    Raises:
        OSError: If something cannot be written. Nothing is left of it then.
        Problem: If two runs would be written into the same directory.
    """
    from holter import tfevents

    places: dict[Path, holter.Run] = {}
    for run in runs:
        place = Path(run.path.absolute().name) if len(runs) > 1 else Path()
        if place in places:
            raise Problem(
                f"two runs would be {directory / place}: {places[place].path} and {run.path}", "export each alone"
            )
        places[place] = run
    num_written = 0
    with point_bar(num_points) as progress, whole_directory(directory) as unfinished:

        def told(count: int) -> None:
            nonlocal num_written
            num_written += count
            progress(num_written)

        for place, run in places.items():
            tfevents.write(run, unfinished / place, pattern=patterns or ["*"], progress=told)


def spreadsheet_safe(text: str) -> str:
    """Return the text such that no spreadsheet runs it as a formula: with a `'` before what would begin one."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _stretches(chosen: Sequence[Selection]) -> Iterator[Stretch]:
    for selection in chosen:
        for series in selection.series:
            # Points are spread evenly as a rule; where they are not, a stretch is larger, but still far from all.
            pieces = -(-series.count // POINTS_AT_ONCE)
            width = -(-(series.last_step - series.first_step + 1) // pieces)
            for piece in range(pieces):
                start = series.first_step + piece * width
                points = selection.run.series(series.name, start, start + width)
                yield Stretch(selection.run.name, selection.run.rank, points)


def _with_progress(stretches: Iterator[Stretch], total: int) -> Iterator[Stretch]:
    """The same stretches, with a progress bar if somebody looks and it takes long enough."""
    num_written = 0
    with point_bar(total) as progress:
        for stretch in stretches:
            yield stretch
            num_written += len(stretch.points)
            progress(num_written)


def _write_text(file: IO[str], kind: str, stretches: Iterator[Stretch]) -> None:
    write = _csv_writer(file) if kind == "csv" else _json_writer(file)
    for stretch in stretches:
        write(stretch)
    file.flush()


def _csv_writer(file: IO[str]) -> Callable[[Stretch], None]:
    plain = csv.writer(file, lineterminator="\n")
    # Before Python 3.13 a carriage return alone is not quoted, and what is behind it would be a row of its own.
    quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    plain.writerow(COLUMNS)
    # A file gets names as they are; a terminal would obey them.
    shown = visible if file.isatty() else str

    def write(stretch: Stretch) -> None:
        run, name = spreadsheet_safe(shown(stretch.run)), spreadsheet_safe(shown(stretch.points.name))
        writer = quoting if "\r" in run + name else plain
        writer.writerows((run, stretch.rank, name, *point) for point in _points(stretch.points))

    return write


def _json_writer(file: IO[str]) -> Callable[[Stretch], None]:
    def write(stretch: Stretch) -> None:
        facts = {"run": stretch.run, "rank": stretch.rank, "name": stretch.points.name}
        for step, value, timestamp in _points(stretch.points):
            point = {**facts, "step": step, "value": json_ready(value), "timestamp": timestamp}
            file.write(json.dumps(point, allow_nan=False) + "\n")

    return write


def _points(points: holter.Series) -> Iterator[tuple[int, float, str]]:
    import numpy as np

    timestamps = np.datetime_as_string(points.timestamps, unit="us", timezone="UTC").tolist()
    return zip(points.steps.tolist(), points.values.tolist(), timestamps, strict=True)


def _write_parquet(path: Path, stretches: Iterator[Stretch]) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise Problem(
            "Parquet is written by pyarrow, which is not installed",
            "pip install 'holter[arrow]', or choose --format csv or jsonl",
        ) from None
    types = (pa.string(), pa.int32(), pa.string(), pa.int64(), pa.float64(), pa.timestamp("us", tz="UTC"))
    schema = pa.schema([pa.field(name, type_, nullable=False) for name, type_ in zip(COLUMNS, types, strict=True)])
    delta: dict[str, Any] = {"step": "DELTA_BINARY_PACKED", "timestamp": "DELTA_BINARY_PACKED"}
    with parquet.ParquetWriter(
        path, schema, compression="zstd", use_dictionary=["run", "name"], column_encoding=delta
    ) as writer:
        gathered: list[Any] = []
        for stretch in stretches:
            gathered.append(_arrow(pa, schema, stretch))
            if sum(table.num_rows for table in gathered) >= POINTS_AT_ONCE:
                writer.write_table(pa.concat_tables(gathered))
                gathered.clear()
        if gathered:
            writer.write_table(pa.concat_tables(gathered))


def _arrow(pa: Any, schema: Any, stretch: Stretch) -> Any:
    points = stretch.points
    columns = [
        pa.repeat(stretch.run, len(points)),
        pa.repeat(pa.scalar(stretch.rank, pa.int32()), len(points)),
        pa.repeat(points.name, len(points)),
        pa.array(points.steps),
        pa.array(points.values),
        pa.array(points.timestamps).cast(schema.field("timestamp").type),
    ]
    return pa.table(columns, schema=schema)
