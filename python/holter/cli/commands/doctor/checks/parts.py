"""Whether a run's Parquet files have all points of its database; needs pyarrow, and reads only the footers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holter._text import counted
from holter.cli.commands.doctor.checks.finding import Finding, Severity

if TYPE_CHECKING:
    from pathlib import Path

    from holter._summary import RunSummary

__all__ = ["check_parts"]


def check_parts(summary: RunSummary) -> list[Finding]:
    """Compare the number of rows in the Parquet parts with the number of points."""
    if "parquet" not in summary.sinks:
        return []
    try:
        from pyarrow import parquet
    except ImportError:
        text = "Parquet files were not checked: pyarrow is not installed"
        return [Finding("parquet", Severity.NOTE, text, "pip install 'holter[arrow]'")]
    parts = sorted((summary.run.path / "parquet").glob("*.parquet"))
    rows, damaged = _rows(parquet, parts)
    if damaged:
        has_database = "sqlite" in summary.sinks
        hint = "the database has the points: `holter export` writes a new file" if has_database else "copy them again"
        return [Finding("parquet", Severity.PROBLEM, f"damaged Parquet files: {', '.join(damaged)}", hint)]
    found = f"{counted(rows, 'row')} in {counted(len(parts), 'Parquet file')}"
    if rows == summary.num_points:
        return [Finding("parquet", Severity.OK, f"{found}, one for each point")]
    return [_difference(summary, rows, len(parts), found)]


def _difference(summary: RunSummary, rows: int, num_parts: int, found: str) -> Finding:
    points = counted(summary.num_points, "point")
    if summary.is_live:
        return Finding("parquet", Severity.OK, f"{found} for {points} so far; the newest points follow")
    if summary.manifest.get("status") == "running":
        hint = f"`holter recover {summary.run.path}` completes the files"
        return Finding("parquet", Severity.WARNING, f"{found} for {points}: the run crashed before writing all", hint)
    if rows > summary.num_points and num_parts > 1:
        text = f"{found} for {points}: steps that were logged again are in several files"
        hint = "readers should use the row of the newest file; the next close merges the files"
        return Finding("parquet", Severity.NOTE, text, hint)
    hint = (
        f"a file is missing: copy it again, or write a new one with `holter export {summary.run.path} -o FILE.parquet`"
    )
    return Finding("parquet", Severity.PROBLEM, f"{found}, but the run has {points}", hint)


def _rows(parquet: Any, parts: list[Path]) -> tuple[int, list[str]]:
    """The number of rows of all parts, and the names of the damaged ones."""
    counts = {part.name: _rows_of(parquet, part) for part in parts}
    return sum(count or 0 for count in counts.values()), [name for name, count in counts.items() if count is None]


def _rows_of(parquet: Any, part: Path) -> int | None:
    try:
        return int(parquet.read_metadata(part).num_rows)
    except FileNotFoundError:
        return 0  # merged into another part since the listing
    except (OSError, ValueError):  # pyarrow's errors are subclasses of these
        return None
