"""Formats of other recorders and tools: imported as runs, and written from them. Both stream, in bounded memory.

find_sources     the runs in files and directories, each a `Source`
import_source    record a source as a run
format_csv       points as CSV text
format_jsonl     points as JSON Lines text
write_parquet    points as a Parquet file
tfevents         TensorBoard's event files, read and written without TensorBoard

Each format has a module that reads it and, where Holter exports it, writes it: TensorBoard's event files, JSON Lines,
CSV, Parquet, and the Parquet of neptune-exporter (read only). An import reports what cannot be read and keeps the
rest. It records through the public `holter.Logger`, which stamps each point itself: times in the files are not kept.
"""

from holter.formats._csv import format_csv
from holter.formats._detect import KINDS, UnknownFormatError, find_sources
from holter.formats._jsonl import format_jsonl
from holter.formats._parquet import write_parquet
from holter.formats._points import CHUNK_POINTS, SeriesChunk
from holter.formats._record import Imported, directory_name, import_source
from holter.formats._source import Batch, Fault, Source

__all__ = [
    "CHUNK_POINTS",
    "KINDS",
    "Batch",
    "Fault",
    "Imported",
    "SeriesChunk",
    "Source",
    "UnknownFormatError",
    "directory_name",
    "find_sources",
    "format_csv",
    "format_jsonl",
    "import_source",
    "write_parquet",
]
