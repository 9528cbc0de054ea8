"""Whether a run's Parquet files hold what its database holds; only with pyarrow, and by their footers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holter.cli.commands.doctor.checks.finding import Finding, Severity
from holter.cli.text import count_text

if TYPE_CHECKING:
    from pathlib import Path

    from holter.cli.facts import RunFacts

__all__ = ["check_parts"]


def check_parts(facts: RunFacts) -> list[Finding]:
    """Compare the rows of the parts with the points of the run."""
    folder = facts.run.path / "parquet"
    sinks = facts.manifest.get("sinks")
    if not isinstance(sinks, list) or "parquet" not in sinks:
        return []
    try:
        from pyarrow import parquet
    except ImportError:
        text = "its Parquet files were not looked at: pyarrow is not installed"
        return [Finding("parquet", Severity.NOTE, text, "pip install 'holter[arrow]'")]
    parts = sorted(folder.glob("*.parquet"))
    rows, damaged = _rows(parquet, parts)
    if damaged:
        text = f"damaged Parquet files: {', '.join(damaged)}"
        way_out = (
            "the database has the points: `holter export` writes a new file" if "sqlite" in sinks else "copy them again"
        )
        return [Finding("parquet", Severity.PROBLEM, text, way_out)]
    held = f"{count_text(rows)} rows in {len(parts)} Parquet file{'' if len(parts) == 1 else 's'}"
    if rows == facts.num_points:
        return [Finding("parquet", Severity.OK, f"{held}: as many as there are points")]
    return [_difference(facts, rows, len(parts), held)]


def _difference(facts: RunFacts, rows: int, num_parts: int, held: str) -> Finding:
    points = count_text(facts.num_points)
    if facts.is_live:
        return Finding("parquet", Severity.OK, f"{held} of {points} points so far: the newest follow")
    recover = f"`holter recover {facts.run.path}` brings them up to date"
    if facts.manifest.get("status") == "running":
        return Finding("parquet", Severity.WARNING, f"{held} for {points} points: the crash came first", recover)
    if rows > facts.num_points and num_parts > 1:
        text = f"{held} for {points} points: steps that were logged again are in several files"
        return Finding(
            "parquet", Severity.NOTE, text, "a reader takes the row of the newest file; the next close merges them"
        )
    text = f"{held}, but the run has {points} points"
    way_out = f"a file was deleted or not copied: copy it again, or `holter export {facts.run.path} -o FILE.parquet`"
    return Finding("parquet", Severity.PROBLEM, text, way_out)


def _rows(parquet: Any, parts: list[Path]) -> tuple[int, list[str]]:
    """The rows of all parts together, and the names of those that cannot be read."""
    counts = {part.name: _rows_of(parquet, part) for part in parts}
    return sum(count or 0 for count in counts.values()), [name for name, count in counts.items() if count is None]


def _rows_of(parquet: Any, part: Path) -> int | None:
    try:
        return int(parquet.read_metadata(part).num_rows)
    except FileNotFoundError:
        return 0  # merged into another one meanwhile
    except (OSError, ValueError):  # all of pyarrow's errors are one of these
        return None
