"""`holter report`: runs in one file of HTML that needs neither a server nor the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holter.cli.files import check_target
from holter.cli.output import echo, is_terminal, terminal_console
from holter.cli.runs import RUN, open_run
from holter.cli.steps import parsed_steps
from holter.cli.text import bytes_text, shortened, visible

if TYPE_CHECKING:
    import holter

__all__ = ["report"]

DESCRIPTION_LIMIT = 40


@click.command()
@click.argument("run_texts", nargs=-1, required=True, metavar="RUN...", type=RUN)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default="report.html", metavar="PATH", help="The file."
)
@click.option("--title", help="The title; made of the runs' names if not given.")
@click.option("--at", "at_texts", multiple=True, metavar="STEPS", help="Steps to compare several runs at: 5000,10000.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def report(
    run_texts: tuple[str, ...], *, output: Path, title: str | None, at_texts: tuple[str, ...], force: bool
) -> None:
    """Write one HTML file that shows runs: their facts, an overview, every family of series as a chart.

    Several runs are also compared, as `holter compare` does. The file, report.html if no other is named, holds all
    that it needs and loads nothing: it opens offline, from a disk or a mail, and its charts can be zoomed. For a
    single chart in a paper see `holter plot --out`; to look at runs while they go on, `holter serve`.

    It needs pip install 'holter[serve]'.

    \b
    Examples:
      holter report run-2
      holter report run-1 run-2 --at 5000,10000 -o comparison.html --title 'Prose against code'
    """
    check_target(output, force=force)
    at = parsed_steps(at_texts)
    runs = [open_run(text) for text in run_texts]
    _write(runs, output, title, at)
    echo(visible(f"{output}: {bytes_text(output.stat().st_size)}"), error=True)


def _write(runs: list[holter.Run], output: Path, title: str | None, at: list[int]) -> None:
    """Write the file, with a bar on a terminal: it is a matter of seconds for a run of many families."""
    from holter import plots

    if not is_terminal(error=True):
        plots.report(runs, output, title=title, at=at)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=terminal_console(error=True), auto_refresh=False, transient=True) as progress:
        task = progress.add_task("", total=None)

        def told(done: int, total: int, what: str) -> None:
            description = shortened(visible(what), DESCRIPTION_LIMIT)
            progress.update(task, completed=done, total=total, description=description)
            progress.refresh()

        plots.report(runs, output, title=title, at=at, progress=told)
