"""`holter export`: the points of runs as one file, or as TensorBoard's event files, complete or not there at all."""

from __future__ import annotations

from pathlib import Path

import click

from holter.cli.commands.export.writing import FORMATS, Selection, export_events, export_points, selections
from holter.cli.files import check_directory, check_target
from holter.cli.output import echo_error
from holter.cli.runs import RUN, open_run
from holter.cli.text import bytes_text, count_text

__all__ = ["export"]

SUFFIXES = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
STDOUT = "-"


@click.command()
@click.argument("run_texts", nargs=-1, required=True, metavar="RUN...", type=RUN)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="PATH",
    help="The file to write; - is the standard output. For tfevents a directory.",
)
@click.option("--format", "kind", type=click.Choice(FORMATS), help="The format, where PATH does not end in it.")
@click.option(
    "--pattern", "patterns", multiple=True, metavar="PATTERN", help="Which series; all if not given. May be repeated."
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def export(
    run_texts: tuple[str, ...], output: str, kind: str | None, patterns: tuple[str, ...], *, force: bool
) -> None:
    """Write the points of runs as Parquet, CSV, JSON lines or TensorBoard's event files.

    One row for each point, all ranks of a run included: run, rank, name, step, value, timestamp (UTC). Rows are
    ordered by run, rank, name and step. The work is done piece by piece, so a run may be larger than the memory, and
    the file appears under its name only when it is complete.

    Numbers keep every digit. NaN and infinities are NaN and infinities in Parquet, and the words nan, inf and -inf in
    CSV and (as strings) in JSON lines. In CSV a name that a spreadsheet would take for a formula gets a ' before it.

    With --format tfevents PATH is a directory, which must be new or empty: TensorBoard's logdir of one run, or, with
    several runs, of one directory for each. `holter import` gives every point back from it exactly.

    Parquet needs pyarrow: pip install 'holter[arrow]'. A PATTERN is as a shell's, but * also matches /; quote it.

    \b
    Examples:
      holter export run-2 -o run-2.parquet
      holter export run-1 run-2 --pattern '*loss*' --pattern 'val/*' -o losses.csv
      holter export run-1 run-2 --format tfevents -o tensorboard-logs
      holter export run-2 --format jsonl -o - | jq 'select(.value == "nan")'
    """
    kind = kind or SUFFIXES.get(Path(output).suffix.lower())
    if kind is None:
        raise click.UsageError(f"{output!r} does not say which format is wanted; add --format {'|'.join(FORMATS)}")
    if kind == "tfevents":
        _export_events(run_texts, output, patterns, force=force)
        return
    if output == STDOUT and kind == "parquet":
        raise click.UsageError("Parquet cannot go to the standard output; name a file, or take csv or jsonl")
    if output != STDOUT:
        check_target(Path(output), force=force)
    chosen = selections([open_run(text) for text in run_texts], patterns)
    if output == STDOUT:
        export_points(chosen, kind, None)
        return
    export_points(chosen, kind, Path(output))
    echo_error(_done(Path(output), chosen))


def _export_events(run_texts: tuple[str, ...], output: str, patterns: tuple[str, ...], *, force: bool) -> None:
    if output == STDOUT:
        raise click.UsageError("event files cannot go to the standard output; name a directory")
    if force:
        raise click.UsageError("--force replaces a file, and event files go into a directory; name a new one")
    directory = Path(output)
    check_directory(directory)
    runs = [open_run(text) for text in run_texts]
    chosen = selections(runs, patterns)
    num_points = sum(series.count for selection in chosen for series in selection.series)
    export_events(runs, patterns, directory, num_points)
    num_bytes = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    echo_error(f"{directory}: {count_text(num_points)} points, {bytes_text(num_bytes)}")


def _done(path: Path, chosen: list[Selection]) -> str:
    points = sum(series.count for selection in chosen for series in selection.series)
    return f"{path}: {count_text(points)} points, {bytes_text(path.stat().st_size)}"
