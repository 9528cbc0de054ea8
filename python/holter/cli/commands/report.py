"""`holter report`: runs in one HTML file that needs neither a server nor the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holter._text import shortened, visible
from holter.cli.files import check_target
from holter.cli.output import echo, is_terminal, terminal_console
from holter.cli.runs import RUN, open_run
from holter.cli.steps import parse_steps
from holter.cli.text import bytes_text

if TYPE_CHECKING:
    import holter

__all__ = ["report"]

DESCRIPTION_LIMIT = 40


@click.command()
@click.argument("run_texts", nargs=-1, required=True, metavar="RUN...", type=RUN)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default="report.html",
    show_default=True,
    metavar="PATH",
    help="File to write.",
)
@click.option("--title", help="Title (default: the names of the runs).")
@click.option(
    "--at", "at_texts", multiple=True, metavar="STEPS", help="Compare several runs at these steps: 5000,10000."
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def report(
    run_texts: tuple[str, ...], *, output: Path, title: str | None, at_texts: tuple[str, ...], force: bool
) -> None:
    """Write an HTML report that works offline: metadata, an overview, and a chart of every family of series.

    Use it to archive a training or to send it to someone: the file contains everything it needs, opens from a disk or
    a mail, and its charts can be zoomed. If you pass more than one RUN, they are also compared, as by `holter compare`.
    For a single chart in a paper use `holter plot --out`, for runs that are being recorded `holter serve`.

    Requires pip install 'holter[serve]'.

    \b
    Examples:
      holter report run-2
      holter report run-1 run-2 --at 5000,10000 -o comparison.html --title 'Prose or code'
    """
    check_target(output, force=force)
    at = parse_steps(at_texts)
    runs = [open_run(text) for text in run_texts]
    _write(runs, output, title, at)
    echo(visible(f"{output}: {bytes_text(output.stat().st_size)}"), error=True)


def _write(runs: list[holter.Run], output: Path, title: str | None, at: list[int]) -> None:
    """Write the file, with a progress bar on a terminal: a run of many families takes seconds."""
    from holter import plots

    if not is_terminal(error=True):
        plots.report(runs, output, title=title, at=at)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=terminal_console(error=True), auto_refresh=False, transient=True) as progress:
        task = progress.add_task("", total=None)

        def on_progress(done: int, total: int, chart: str) -> None:
            description = shortened(visible(chart), DESCRIPTION_LIMIT)
            progress.update(task, completed=done, total=total, description=description)
            progress.refresh()

        plots.report(runs, output, title=title, at=at, on_progress=on_progress)
