"""Writes points in bounded memory, a chunk of one series at a time. Files get their names once they are complete.

Points are ordered as in a run's own Parquet files: by run, rank, name and step.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holter._text import visible
from holter.cli.commands.export.directory import atomic_directory
from holter.cli.files import atomic_file
from holter.cli.problems import Problem
from holter.cli.progress import point_bar
from holter.cli.series import matching_series

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import holter
    from holter.formats import SeriesChunk

__all__ = ["FORMATS", "Selection", "export_events", "export_points", "selections"]

FORMATS = ("parquet", "csv", "jsonl", "tfevents")


@dataclass(frozen=True)
class Selection:
    """The series to export from one rank of a run."""

    run: holter.Run
    series: list[holter.SeriesFacts]


def selections(runs: Sequence[holter.Run], patterns: Sequence[str]) -> list[Selection]:
    """Return the series of every rank of each run that match any of the patterns; all without patterns.

    Raises:
        Problem: If a pattern matches no series of a run.
    """
    selected = []
    for run in runs:
        ranks = [run.open_rank(rank) for rank in run.ranks]
        if patterns:
            matching_series(run, patterns)  # a pattern need not match in every rank
        for rank in ranks:
            found = {series.name: series for pattern in patterns or ("*",) for series in rank.facts(pattern)}
            # Names are ordered by their bytes, as in a run's own Parquet files.
            selected.append(Selection(rank, sorted(found.values(), key=lambda series: series.name.encode())))
    return selected


def export_points(selected: Sequence[Selection], kind: str, path: Path | None) -> None:
    """Write points to a file.

    Args:
        selected: The series.
        kind: One of `FORMATS`, except event files.
        path: The file, which is replaced; standard output if None.

    Raises:
        OSError: If the file cannot be written. No partial file remains.
        Problem: If the format needs a library that is not installed.
    """
    from holter.formats import format_csv, format_jsonl, write_parquet

    num_points = sum(series.count for selection in selected for series in selection.series)
    chunks = _with_progress(_chunks(selected), num_points)
    display = visible if path is None and sys.stdout.isatty() else str
    texts = format_csv(chunks, display) if kind == "csv" else format_jsonl(chunks)
    if path is None:
        sys.stdout.writelines(texts)
        sys.stdout.flush()
        return
    with atomic_file(path) as unfinished:
        if kind == "parquet":
            try:
                write_parquet(unfinished, chunks)
            except ImportError as error:
                raise Problem(str(error), "pip install 'holter[arrow]', or choose --format csv or jsonl") from None
        else:
            with unfinished.open("w", encoding="utf-8", newline="") as file:
                file.writelines(texts)


def export_events(runs: Sequence[holter.Run], patterns: Sequence[str], directory: Path, num_points: int) -> None:
    """Write event files: a single run into the directory, several runs into subdirectories.

    Args:
        runs: The runs.
        patterns: Which series; all without patterns.
        directory: Created when all files are complete; it may exist if it is empty.
        num_points: The number of points, for the progress bar.

    Raises:
        OSError: If a file cannot be written. No partial directory remains.
        Problem: If two runs have the same directory name.
    """
    from holter.formats import tfevents

    targets: dict[Path, holter.Run] = {}
    for run in runs:
        target = Path(run.path.absolute().name) if len(runs) > 1 else Path()
        if other := targets.get(target):
            raise Problem(
                f"{other.path} and {run.path} would both be exported to {directory / target}",
                "export them one by one",
            )
        targets[target] = run
    num_written = 0
    with point_bar(num_points) as progress, atomic_directory(directory) as unfinished:

        def on_progress(count: int) -> None:
            nonlocal num_written
            num_written += count
            progress(num_written)

        for target, run in targets.items():
            tfevents.write(run, unfinished / target, pattern=patterns or ["*"], on_progress=on_progress)


def _chunks(selected: Sequence[Selection]) -> Iterator[SeriesChunk]:
    from holter.formats import CHUNK_POINTS, SeriesChunk

    for selection in selected:
        for series in selection.series:
            # Steps are usually evenly spaced; otherwise a chunk is larger, but still far from the whole series.
            num_chunks = -(-series.count // CHUNK_POINTS)
            width = -(-(series.last_step - series.first_step + 1) // num_chunks)
            for index in range(num_chunks):
                start = series.first_step + index * width
                points = selection.run.series(series.name, start, start + width)
                yield SeriesChunk(selection.run.name, selection.run.rank, points)


def _with_progress(chunks: Iterator[SeriesChunk], num_points: int) -> Iterator[SeriesChunk]:
    """Yields the chunks, and shows a progress bar on a terminal if it takes long."""
    num_written = 0
    with point_bar(num_points) as progress:
        for chunk in chunks:
            yield chunk
            num_written += len(chunk.points)
            progress(num_written)
