"""Downloads: the points as CSV, piece by piece, and the report as one HTML file."""

import csv
import io
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from holter.dashboard.api._runs import Entry, reading

__all__ = ["csv_pieces", "file_name", "report"]

_ROWS_PER_PIECE = 8192
_COLUMNS = ("run", "name", "step", "value", "timestamp")


def csv_pieces(entries: Sequence[Entry], names: Sequence[str]) -> Iterator[str]:
    """Yield the points of these series as CSV, with a header, ordered as they are asked for.

    Text that a spreadsheet would take for a formula is preceded by an apostrophe. Values that are not finite are
    `nan`, `inf` and `-inf`. One series is in memory at a time.
    """
    yield _lines([_COLUMNS])
    for entry in entries:
        with reading(entry):
            there = {facts.name for facts in entry.run.facts()}
            for name in (name for name in names if name in there):
                points = entry.run.series(name)
                for first in range(0, len(points), _ROWS_PER_PIECE):
                    page = slice(first, first + _ROWS_PER_PIECE)
                    times = points.timestamps[page].astype("datetime64[ms]").astype(str).tolist()
                    columns = (points.steps[page].tolist(), points.values[page].tolist(), times)
                    label, series = _no_formula(entry.id), _no_formula(name)
                    yield _lines(
                        [label, series, step, value, f"{time}Z"] for step, value, time in zip(*columns, strict=True)
                    )


def file_name(text: str, ending: str) -> str:
    """Return a name for a download that no system takes for anything else."""
    return (re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._")[:80] or "run") + ending


def report(entries: Sequence[Entry]) -> bytes:
    """Return the report on these runs: one HTML file that needs no network."""
    from holter import plots

    with tempfile.TemporaryDirectory(prefix="holter-report-") as folder:
        path = Path(folder) / "report.html"
        with reading(*entries):
            plots.report([entry.run for entry in entries], path)
        return path.read_bytes()


def _lines(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _no_formula(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
