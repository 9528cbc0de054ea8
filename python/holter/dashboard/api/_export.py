"""Downloads: points as CSV, streamed in pieces, and the report as an HTML file."""

import dataclasses
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from holter.dashboard.api._runs import Entry, reading
from holter.formats import SeriesChunk, format_csv

__all__ = ["csv_pieces", "file_name", "report"]

_CHUNK_POINTS = 8192


def csv_pieces(entries: Sequence[Entry], names: Sequence[str]) -> Iterator[str]:
    """Yield the points of the series as `holter export` writes them, by run and in the order of the names.

    The column `run` has the run's id. Runs may lack some of the series.
    """
    return format_csv(_chunks(entries, names))


def file_name(text: str, ending: str) -> str:
    """Return a download name that is valid on every system."""
    return (re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._")[:80] or "run") + ending


def report(entries: Sequence[Entry]) -> bytes:
    """Return the report on the runs, an HTML file that works offline."""
    from holter import plots

    with tempfile.TemporaryDirectory(prefix="holter-report-") as folder:
        path = Path(folder) / "report.html"
        with reading(*entries):
            plots.report([entry.run for entry in entries], path)
        return path.read_bytes()


def _chunks(entries: Sequence[Entry], names: Sequence[str]) -> Iterator[SeriesChunk]:
    for entry in entries:
        with reading(entry):
            recorded = {facts.name for facts in entry.run.facts()}
            for name in (name for name in names if name in recorded):
                points = entry.run.series(name)
                for first in range(0, len(points), _CHUNK_POINTS):
                    page = slice(first, first + _CHUNK_POINTS)
                    columns = {column: getattr(points, column)[page] for column in ("steps", "values", "timestamps")}
                    yield SeriesChunk(entry.id, entry.run.rank, dataclasses.replace(points, **columns))
