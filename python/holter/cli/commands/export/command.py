"""`holter export`: points of runs in one file or as event files of TensorBoard; partial files never remain."""

from __future__ import annotations

from pathlib import Path

import click

from holter._text import counted
from holter.cli.commands.export.directory import check_directory
from holter.cli.commands.export.writing import FORMATS, Selection, export_events, export_points, selections
from holter.cli.files import check_target
from holter.cli.output import echo_error
from holter.cli.runs import RUN, open_run
from holter.cli.text import bytes_text

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
    help="File to write, or - for standard output; for tfevents a directory.",
)
@click.option("--format", "kind", type=click.Choice(FORMATS), help="Output format (default: from the suffix of PATH).")
@click.option(
    "--pattern", "patterns", multiple=True, metavar="PATTERN", help="Export only series that match. Repeat for several."
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def export(
    run_texts: tuple[str, ...], output: str, kind: str | None, patterns: tuple[str, ...], *, force: bool
) -> None:
    """Export points to Parquet, CSV, JSON Lines or TensorBoard's event files.

    Use it to analyze points elsewhere or to share them. Each point is one row: run, rank, name, step, value, timestamp
    (UTC), ordered by run, rank, name and step, with all ranks of each RUN. A run may be larger than memory, and PATH
    appears only when it is complete.

    Numbers keep every digit. NaN and infinities stay as they are in Parquet, and are nan, inf and -inf in CSV and (as
    strings) in JSON Lines. In CSV, names that a spreadsheet would evaluate as a formula are prefixed with '.

    With --format tfevents, PATH is a new or empty directory: a TensorBoard logdir, with one subdirectory for each run
    if there are several. `holter import` restores every point from it exactly.

    Parquet requires pip install 'holter[arrow]'. PATTERN is like a shell pattern, except that * also matches /. Quote
    it.

    \b
    Examples:
      holter export run-2 -o run-2.parquet
      holter export run-1 run-2 --pattern '*loss*' --pattern 'val/*' -o losses.csv
      holter export run-1 run-2 --format tfevents -o tensorboard-logs
      holter export run-2 --format jsonl -o - | jq 'select(.value == "nan")'
    """
    kind = kind or SUFFIXES.get(Path(output).suffix.lower())
    if kind is None:
        raise click.UsageError(f"the format of {output!r} is unknown; add --format {'|'.join(FORMATS)}")
    if kind == "tfevents":
        _export_events(run_texts, output, patterns, force=force)
        return
    if output == STDOUT and kind == "parquet":
        raise click.UsageError(
            "Parquet cannot be written to standard output; pass a file name, or --format csv or jsonl"
        )
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
        raise click.UsageError("event files cannot be written to standard output; pass a directory")
    if force:
        raise click.UsageError("--force replaces files, not directories; pass a new directory for event files")
    directory = Path(output)
    check_directory(directory)
    runs = [open_run(text) for text in run_texts]
    chosen = selections(runs, patterns)
    num_points = sum(series.count for selection in chosen for series in selection.series)
    export_events(runs, patterns, directory, num_points)
    num_bytes = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    echo_error(f"{directory}: {counted(num_points, 'point')}, {bytes_text(num_bytes)}")


def _done(path: Path, chosen: list[Selection]) -> str:
    num_points = sum(series.count for selection in chosen for series in selection.series)
    return f"{path}: {counted(num_points, 'point')}, {bytes_text(path.stat().st_size)}"
