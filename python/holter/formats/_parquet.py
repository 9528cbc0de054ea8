"""Parquet with a row for each point, as in a run's own Parquet files. Reading Neptune's Parquet: `_neptune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holter.formats._points import CHUNK_POINTS, COLUMNS, SeriesChunk

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["write_parquet"]


def write_parquet(path: Path, chunks: Iterable[SeriesChunk]) -> None:
    """Write points to a Parquet file.

    Raises:
        ImportError: pyarrow is not installed.
        OSError: The file cannot be written.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError("writing Parquet needs pyarrow, which is not installed") from error
    types = (pa.string(), pa.int32(), pa.string(), pa.int64(), pa.float64(), pa.timestamp("us", tz="UTC"))
    schema = pa.schema([pa.field(name, type_, nullable=False) for name, type_ in zip(COLUMNS, types, strict=True)])
    delta: dict[str, Any] = {"step": "DELTA_BINARY_PACKED", "timestamp": "DELTA_BINARY_PACKED"}
    with parquet.ParquetWriter(
        path, schema, compression="zstd", use_dictionary=["run", "name"], column_encoding=delta
    ) as writer:
        pending: list[Any] = []
        for chunk in chunks:
            pending.append(_table(pa, schema, chunk))
            if sum(table.num_rows for table in pending) >= CHUNK_POINTS:
                writer.write_table(pa.concat_tables(pending))
                pending.clear()
        if pending:
            writer.write_table(pa.concat_tables(pending))


def _table(pa: Any, schema: Any, chunk: SeriesChunk) -> Any:
    points = chunk.points
    columns = [
        pa.repeat(chunk.run, len(points)),
        pa.repeat(pa.scalar(chunk.rank, pa.int32()), len(points)),
        pa.repeat(points.name, len(points)),
        pa.array(points.steps),
        pa.array(points.values),
        pa.array(points.timestamps).cast(schema.field("timestamp").type),
    ]
    return pa.table(columns, schema=schema)
