"""Writes points in bounded memory, a stretch of one series at a time; a file that has its name is complete.

The order is that of the run's own Parquet: run by run, rank by rank, series by name, points by step.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holter.cli.files import whole_directory, whole_file
from holter.cli.problems import Problem
from holter.cli.progress import point_bar
from holter.cli.series import chosen_series
from holter.cli.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import holter
    from holter.formats import Stretch

__all__ = ["FORMATS", "Selection", "export_events", "export_points", "selections"]

FORMATS = ("parquet", "csv", "jsonl", "tfevents")


@dataclass(frozen=True)
class Selection:
    """The series of one rank of a run that are to be written."""

    run: holter.Run
    series: list[holter.SeriesFacts]


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
        OSError: If the file cannot be written. Nothing of it is left then.
        Problem: If the format needs a library that is not installed.
    """
    from holter.formats import write_parquet, write_text

    stretches = _with_progress(_stretches(chosen), sum(one.count for selection in chosen for one in selection.series))
    if path is None:
        write_text(sys.stdout, kind, stretches, visible if sys.stdout.isatty() else str)
        return
    with whole_file(path) as unfinished:
        if kind == "parquet":
            try:
                write_parquet(unfinished, stretches)
            except ImportError as error:
                raise Problem(str(error), "pip install 'holter[arrow]', or choose --format csv or jsonl") from None
        else:
            with unfinished.open("w", encoding="utf-8", newline="") as file:
                write_text(file, kind, stretches)


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
    from holter.formats import tfevents

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


def _stretches(chosen: Sequence[Selection]) -> Iterator[Stretch]:
    from holter.formats import POINTS_AT_ONCE, Stretch

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
