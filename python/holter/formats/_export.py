"""Writes points as CSV, JSON lines and Parquet in bounded memory, a stretch of one series at a time."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import holter

__all__ = ["POINTS_AT_ONCE", "Stretch", "spreadsheet_safe", "write_parquet", "write_text"]

COLUMNS = ("run", "rank", "name", "step", "value", "timestamp")
POINTS_AT_ONCE = 1 << 17
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Stretch:
    """Some points of one series."""

    run: str
    rank: int
    points: holter.Series


def spreadsheet_safe(text: str) -> str:
    """Return the text such that no spreadsheet runs it as a formula: with a `'` before what would begin one."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def write_text(file: IO[str], kind: str, stretches: Iterator[Stretch], shown: Callable[[str], str] = str) -> None:
    """Write points to an open file.

    Args:
        file: A text file.
        kind: csv or jsonl.
        stretches: The points.
        shown: Returns the text of a name in CSV. A file gets names as they are; a terminal would obey them.
    """
    write = _csv_writer(file, shown) if kind == "csv" else _json_writer(file)
    for stretch in stretches:
        write(stretch)
    file.flush()


def _csv_writer(file: IO[str], shown: Callable[[str], str]) -> Callable[[Stretch], None]:
    plain = csv.writer(file, lineterminator="\n")
    # Before Python 3.13 a carriage return alone is not quoted, and what is behind it would be a row of its own.
    quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    plain.writerow(COLUMNS)

    def write(stretch: Stretch) -> None:
        run, name = spreadsheet_safe(shown(stretch.run)), spreadsheet_safe(shown(stretch.points.name))
        writer = quoting if "\r" in run + name else plain
        writer.writerows((run, stretch.rank, name, *point) for point in _points(stretch.points))

    return write


def _json_writer(file: IO[str]) -> Callable[[Stretch], None]:
    def write(stretch: Stretch) -> None:
        facts = {"run": stretch.run, "rank": stretch.rank, "name": stretch.points.name}
        for step, value, timestamp in _points(stretch.points):
            point = {
                **facts,
                "step": step,
                "value": value if math.isfinite(value) else str(value),
                "timestamp": timestamp,
            }
            file.write(json.dumps(point, allow_nan=False) + "\n")

    return write


def _points(points: holter.Series) -> Iterator[tuple[int, float, str]]:
    import numpy as np

    timestamps = np.datetime_as_string(points.timestamps, unit="us", timezone="UTC").tolist()
    return zip(points.steps.tolist(), points.values.tolist(), timestamps, strict=True)


def write_parquet(path: Path, stretches: Iterator[Stretch]) -> None:
    """Write points to a Parquet file.

    Raises:
        ImportError: If pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError("Parquet is written by pyarrow, which is not installed") from error
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
